"""Microsoft's clouds: where each one signs users in and accepts mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

IDENTITY_SCOPES: Final = ("offline_access", "openid", "profile", "email")

WORLDWIDE: Final = "worldwide"
GCC_HIGH: Final = "gcc_high"
CHINA: Final = "china"


class Resource(StrEnum):
    """What an access token gives access to; each token is for one resource."""

    SMTP = "smtp"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One of Microsoft's clouds.

    `authority` and `graph` are base URLs, `smtp_host` is the submission server of work accounts.
    `permissions` are the scopes that permit sending, always written in full: next to an Outlook
    scope, a bare `Mail.Send` means Outlook's.
    """

    authority: str
    graph: str
    smtp_host: str
    permissions: Mapping[Resource, str]
    has_personal_accounts: bool = False

    def scope(self, *resources: Resource) -> str:
        """Return the scopes to request; a token request may name one resource (AADSTS28000)."""
        return " ".join((*(self.permissions[resource] for resource in resources), *IDENTITY_SCOPES))


# https://learn.microsoft.com/graph/deployments and
# https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
CLOUDS: Final[dict[str, Cloud]] = {
    WORLDWIDE: Cloud(
        authority="https://login.microsoftonline.com",
        graph="https://graph.microsoft.com",
        smtp_host="smtp.office365.com",
        # The forms outlook.office365.com/SMTP.Send and a bare SMTP.Send fail for personal accounts.
        permissions={
            Resource.SMTP: "https://outlook.office.com/SMTP.Send",
            Resource.GRAPH: "https://graph.microsoft.com/Mail.Send",
        },
        has_personal_accounts=True,
    ),
    GCC_HIGH: Cloud(
        authority="https://login.microsoftonline.us",
        graph="https://graph.microsoft.us",
        smtp_host="smtp.office365.us",
        permissions={
            Resource.SMTP: "https://outlook.office365.us/SMTP.Send",
            Resource.GRAPH: "https://graph.microsoft.us/Mail.Send",
        },
    ),
    CHINA: Cloud(
        authority="https://login.chinacloudapi.cn",
        graph="https://microsoftgraph.chinacloudapi.cn",
        smtp_host="smtp.partner.outlook.cn",
        permissions={
            Resource.SMTP: "https://partner.outlook.cn/SMTP.Send",
            Resource.GRAPH: "https://microsoftgraph.chinacloudapi.cn/Mail.Send",
        },
    ),
}
