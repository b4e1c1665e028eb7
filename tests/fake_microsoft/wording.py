"""Names and phrases in Microsoft's replies."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
import random
import secrets

BACKENDS = (
    "PS2PR06MB3510.apcprd06.prod.outlook.com",
    "AM9P192MB0935.EURP192.PROD.OUTLOOK.COM",
    "DB9PR10MB5427.EURPRD10.PROD.OUTLOOK.COM",
)

AUTHENTICATED = "235 2.7.0 Authentication successful"
SENDER_OK = "250 2.1.0 Sender OK"
RECIPIENT_OK = "250 2.1.5 Recipient OK"
START_INPUT = "354 Start mail input; end with <CRLF>.<CRLF>"
STARTTLS_READY = "220 2.0.0 SMTP server ready"
GOODBYE = "221 2.0.0 Service closing transmission channel"
OK = "250 2.0.0 OK"
CHUNK_RECEIVED = "250 2.6.0 CHUNK received OK, {} octets"
RESETTING = "250 2.0.0 Resetting"
CANNOT_VERIFY = "252 2.1.5 Cannot VRFY user"
USERNAME_CHALLENGE = "334 VXNlcm5hbWU6"
PASSWORD_CHALLENGE = "334 UGFzc3dvcmQ6"

WRONG_PASSWORD = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
WRONG_TOKEN = "535 5.7.3 Authentication unsuccessful"
MALFORMED_TOKEN = "501 5.5.124 Invalid XOAUTH2 auth data"
AUTH_CANCELLED = "501 5.5.4 Authentication cancelled"
AUTH_UNDECODABLE = "501 5.5.2 Cannot decode response"
AUTH_UNKNOWN = "504 5.7.4 Unrecognized authentication type"
AUTH_TWICE = "503 5.5.2 Auth command already specified"
AUTH_NEEDED = "530 5.7.57 Client not authenticated to send mail."
TLS_NEEDED = "530 5.7.0 Must issue a STARTTLS command first"
TLS_TWICE = "503 5.5.2 Only one STARTTLS command can be issued per session"
HELLO_NEEDED = "503 5.5.2 Send hello first"
MAIL_NEEDED = "503 5.5.2 Need mail command"
RCPT_NEEDED = "503 5.5.2 Need rcpt command"
NO_RECIPIENTS = "554 5.5.1 No valid recipients"
MAIL_TWICE = "503 5.5.2 Sender already specified"
BAD_SEQUENCE = "503 5.5.1 Bad sequence of commands"
IMPROPER_PIPELINING = "503 5.5.0 Improper use of SMTP command pipelining"
INVALID_DOMAIN = "501 5.5.4 Invalid domain name"
INVALID_ARGUMENTS = "501 5.5.4 Invalid arguments"
INVALID_SENDER = "501 5.1.7 Invalid address"
INVALID_RECIPIENT = "501 5.1.3 Invalid address"
UNKNOWN_PARAMETER = "501 5.5.4 Unrecognized parameter"
UNKNOWN_COMMAND = "500 5.3.3 Unrecognized command"
COMMAND_TOO_LONG = "500 5.5.2 Command too long"
NOT_IMPLEMENTED = "502 5.3.3 Command not implemented"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"
TOO_MANY_CONNECTIONS = (
    "432 4.3.2 Concurrent connections limit exceeded. "
    "Visit https://aka.ms/concurrent_sending for more information."
)
TOO_BIG = "552 5.3.4 Message size exceeds fixed maximum message size"
BARE_LINEFEEDS = (
    "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot "
    "be sent via DATA and receiving system does not support BDAT"
)


@dataclass(frozen=True)
class Frontend:
    """The datacenter machine that a client happens to reach."""

    name: str
    region: str

    @property
    def host(self) -> str:
        """Return the host name in its greeting."""
        return f"{self.name}.outlook.office365.com"

    @classmethod
    def pick(cls) -> Frontend:
        """Choose a machine, like the load balancer."""
        return random.choice(FRONTENDS)  # noqa: S311 - no secret depends on it

    def greeting(self) -> str:
        """Return the greeting of a conversation."""
        now = format_datetime(datetime.now(UTC))
        return f"220 {self.host} Microsoft ESMTP MAIL Service ready at {now} [{_trace_id()}]"

    def mark(self) -> str:
        """Return the trailer of this machine's errors."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        return f"[{self.name}.{self.region}.PROD.OUTLOOK.COM {now}Z {_trace_id()}]"


FRONTENDS = (
    Frontend("BE1P281CA0440", "DEUP281"),
    Frontend("SGXP274CA0016", "SGPP274"),
    Frontend("LO2P265CA0356", "GBRP265"),
)


def accepted() -> str:
    """Return the reply to an accepted message, with its Message-ID."""
    backend = random.choice(BACKENDS)  # noqa: S311 - no secret depends on it
    name, _, domain = backend.partition(".")
    new_id = f"<{name}{secrets.token_hex(14).upper()}@{name}.{domain.upper()}>"
    return f"{OK} {new_id} [Hostname={backend}]"


def backend_mark() -> str:
    """Return the trailer of a mailbox server's errors."""
    return f"[Hostname={random.choice(BACKENDS)}]"  # noqa: S311 - no secret depends on it


def send_as_denied(account: str, sender: str) -> str:
    """Return the reply to a message with somebody else's From address."""
    return (
        f"554 5.2.252 SendAsDenied; {account} not allowed to send as {sender}; "
        "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; "
        "Failed to process message due to a permanent exception with message "
        f"{diagnostics('Cannot submit message.')} {backend_mark()}"
    )


def diagnostics(message: str, entries: int = 100) -> str:
    """Return the diagnostic numbers that the mailbox store appends to its errors."""
    numbers = random.Random(message)  # noqa: S311 - the same text for the same message
    tail = ", ".join(
        f"{numbers.randrange(60)}.{numbers.randrange(1000, 99999)}:{numbers.randbytes(8).hex()}"
        for _ in range(entries)
    ).upper()
    return f"[BeginDiagnosticData]{message} {tail}[EndDiagnosticData]"


def _trace_id() -> str:
    """Return the ID under which Microsoft logs a session."""
    return f"08D{secrets.token_hex(7).upper()[:13]}"
