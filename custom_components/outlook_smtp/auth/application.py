"""The app registration under which a person signs in, and where Microsoft answers for it."""

from dataclasses import dataclass
from typing import Final

AUTHORITY: Final = "https://login.microsoftonline.com"
DEFAULT_TENANT: Final = "common"  # Personal, work and school accounts alike.

# The forms outlook.office365.com/SMTP.Send and a bare SMTP.Send fail for personal accounts.
SEND_SCOPE: Final = "https://outlook.office.com/SMTP.Send"
SCOPES: Final = (SEND_SCOPE, "offline_access", "openid", "profile", "email")


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration: its client id, and the tenant whose accounts may sign in to it.

    https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints
    """

    client_id: str
    tenant: str = DEFAULT_TENANT
    authority: str = AUTHORITY

    def endpoint(self, name: str) -> str:
        """Return the address of one of `authorize`, `token` and `devicecode`."""
        return f"{self.authority}/{self.tenant}/oauth2/v2.0/{name}"
