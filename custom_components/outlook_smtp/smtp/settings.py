"""What a session needs to know about an account: its mailbox, server and credentials."""

from dataclasses import dataclass, field
from enum import StrEnum
import ssl
from typing import Final

from ..delivery.secrets import Secrets
from .credentials import Credentials


class Security(StrEnum):
    """How the connection is encrypted; there is no unencrypted option."""

    STARTTLS = "starttls"
    TLS = "tls"


class AccountKind(StrEnum):
    """The provider of a mailbox."""

    PERSONAL = "personal"
    WORK = "work"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Server:
    """A submission server: host name, TCP port and encryption."""

    host: str
    port: int
    security: Security = Security.STARTTLS


PORTS: Final[dict[Security, int]] = {Security.STARTTLS: 587, Security.TLS: 465}

# https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040 and
# https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission
SERVERS: Final[dict[AccountKind, Server]] = {
    AccountKind.PERSONAL: Server("smtp-mail.outlook.com", PORTS[Security.STARTTLS]),
    AccountKind.WORK: Server("smtp.office365.com", PORTS[Security.STARTTLS]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One mailbox and how to submit mail for it.

    `timeout` is the longest wait for one step of the conversation, in seconds, `content_timeout`
    that for half a megabyte of content, which is slow over a narrow connection, and `final_timeout`
    that for the final reply to a message, which is worth waiting for: without it the message must
    be sent again and may arrive twice (RFC 5321, section 4.5.3.2). A session is closed after
    `idle_time` seconds without a message; Microsoft closes it after about 5 minutes. `unsupported`
    are extensions that the server offers but does not accept, such as those that a proxy passes on
    without knowing them: they are not used again. `secrets` are redacted from the server's texts,
    on this connection and later ones.
    """

    address: str
    server: Server
    credentials: Credentials
    tls_context: ssl.SSLContext = field(repr=False)
    timeout: float
    content_timeout: float = 180.0
    final_timeout: float = 600.0
    idle_time: float = 90.0
    unsupported: set[str] = field(default_factory=set, repr=False, compare=False)
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)
