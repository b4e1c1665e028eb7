"""The app registration that users sign in to, and its endpoints."""

from dataclasses import dataclass, field
import re
from typing import Final

from .clouds import CLOUDS, WORLDWIDE, Cloud

DEFAULT_TENANT: Final = "common"  # Personal, work and school accounts.
PERSONAL_ACCOUNTS: Final = "consumers"
TENANT_GROUPS: Final = (DEFAULT_TENANT, "organizations", PERSONAL_ACCOUNTS)

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{4,253}}\Z){_LABEL}(\.{_LABEL})+", re.IGNORECASE)


def is_client_id(text: str) -> bool:
    """Return whether a text can be the application (client) ID of an app registration."""
    return _GUID.fullmatch(text) is not None


def is_tenant(text: str, cloud: Cloud = CLOUDS[WORLDWIDE]) -> bool:
    """Return whether a text names a group of accounts, or a directory by its id or domain.

    Only the worldwide cloud has personal accounts.

    https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints
    """
    if text == PERSONAL_ACCOUNTS:
        return cloud.has_personal_accounts
    return text in TENANT_GROUPS or is_client_id(text) or _DOMAIN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration: its client ID, and the tenant whose accounts may sign in.

    `client_secret` is for browser sign-ins only: Microsoft refuses it with a device code and when
    renewing tokens that came from a device code (AADSTS700025), and requires it otherwise
    (AADSTS7000218).
    """

    client_id: str
    tenant: str = DEFAULT_TENANT
    cloud: Cloud = CLOUDS[WORLDWIDE]
    client_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Require a tenant that can be part of a URL."""
        if not is_tenant(self.tenant, self.cloud):
            raise ValueError("the tenant is no directory's id or domain")

    def endpoint(self, name: str) -> str:
        """Return the URL of `authorize`, `token` or `devicecode`."""
        return f"{self.cloud.authority}/{self.tenant}/oauth2/v2.0/{name}"

    def credentials(self) -> dict[str, str]:
        """Return the form fields that identify the client (RFC 6749, section 2.3.1)."""
        secret = {"client_secret": self.client_secret} if self.client_secret else {}
        return {"client_id": self.client_id, **secret}
