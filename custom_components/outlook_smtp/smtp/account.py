"""What a session needs to know of an account: its mailbox, server and credentials."""

from dataclasses import dataclass, field
from enum import StrEnum
import ssl
from typing import Final

from ..delivery.secrets import Secrets
from .credentials import Credentials


class Security(StrEnum):
    """How the line is encrypted; there is no clear text."""

    STARTTLS = "starttls"
    TLS = "tls"


class AccountKind(StrEnum):
    """Whose servers hold the mailbox."""

    PERSONAL = "personal"
    WORK = "work"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Server:
    """A submission server: host name, TCP port and how its line is encrypted."""

    host: str
    port: int
    security: Security = Security.STARTTLS


PORTS: Final[dict[Security, int]] = {Security.STARTTLS: 587, Security.TLS: 465}

# https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040 and
# https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-
# smtp-submission
SERVERS: Final[dict[AccountKind, Server]] = {
    AccountKind.PERSONAL: Server("smtp-mail.outlook.com", PORTS[Security.STARTTLS]),
    AccountKind.WORK: Server("smtp.office365.com", PORTS[Security.STARTTLS]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One mailbox and the way to submit mail for it.

    `timeout` is the longest wait for one step of the conversation, in seconds, `content_timeout`
    that for half a megabyte of content, which takes as long as the line is narrow, and
    `final_timeout` that for the word whether a message is accepted, which is worth waiting for:
    without it the message has to be sent again and may arrive twice (RFC 5321, section 4.5.3.2).
    `unsupported` are the extensions that the server offers and turned out not to take, as when a
    proxy passes on what it does not know itself: they are not tried again. `secrets` are what no
    text of the server is shown with, on this connection and on those that follow.
    """

    address: str
    server: Server
    credentials: Credentials
    tls_context: ssl.SSLContext = field(repr=False)
    timeout: float
    content_timeout: float = 180.0
    final_timeout: float = 600.0
    unsupported: set[str] = field(default_factory=set, repr=False, compare=False)
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)
