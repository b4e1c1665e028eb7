"""What goes wrong, and where: the faults that a test or a person sets."""

from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .row import Row

IMAP_GREETING = "* OK The Microsoft Exchange IMAP4 service is ready."
POP_GREETING = "+OK The Microsoft Exchange POP3 service is ready."
# EHLO extensions in Microsoft's order, except for STARTTLS and AUTH, which depend on encryption.
EXTENSIONS = (
    "SIZE",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
)
NEEDS = {"BINARYMIME": {"8BITMIME", "CHUNKING"}}


class Step(StrEnum):
    """The steps of a conversation where something can go wrong."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    HANDSHAKE = "handshake"
    EHLO_TLS = "ehlo_tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    FINAL = "final"
    QUIT = "quit"
    IDLE = "idle"


class Manner(StrEnum):
    """The ways in which a server may write its replies, all of them allowed."""

    PROMPT = "prompt"
    BYTE_BY_BYTE = "byte_by_byte"
    AT_ONCE = "at_once"
    LONG_WINDED = "long_winded"


@dataclass(kw_only=True)
class Script:
    """The behavior of a server: healthy by default; every field may change while it runs.

    replies: answer this, verbatim, instead of the normal reply. A 2xx or 3xx text only replaces the
        text of the normal reply; anything else refuses the command, and a 421 also disconnects. At
        CONTENT (which it ends) and IDLE (after a message), it is unsolicited. DATA is the first
        BDAT of a message too, CONTENT the middle of its octets and FINAL the end of its last chunk.
    drop: close the connection instead of replying at this step; at IDLE, right after a message.
    stall: never reply at this step or later, until `go_on` is called.
    keep: at FINAL, accept the message even though the script spoils the reply.
    reset: drop with a TCP reset instead of an orderly end of stream.
    times: the number of spoiled steps (replies, drops, stalls) before all is normal again.
    silent: accept connections and never send anything.
    greeting: the first line; after an IMAP or POP greeting no SMTP command is understood.
    refusal_delay: the tarpit, in seconds, before every 4xx and 5xx (5 at Microsoft's).
    offer_starttls: list STARTTLS in the EHLO before TLS, and accept it.
    auth_offered: the mechanisms listed after TLS (none: no AUTH line).
    size: the SIZE advertised and enforced, instead of the server's.
    refuse_recipients: replies to RCPT by lower-case address.
    limit_connections: the sessions of one account that may submit at the same time.
    limit_recipients: the recipients of one transaction.
    let_begin: let DATA begin without any valid recipient (RFC 2920, section 3.1).
    hold: send no reply about a message before its last chunk.
    max_errors: after this many refusals in a session, send 421 and disconnect (20 for Postfix).
    unknown: replies to commands whose beginning matches a regular expression; their content is not
        read, so it is treated as commands.
    without: the extensions neither offered nor supported, by EHLO keyword; without CHUNKING or
        8BITMIME there is no BINARYMIME, and without PIPELINING a client that does not wait is
        dismissed.
    pretends: extensions that are offered but not supported, like a proxy that passes on an EHLO.
    twice: whether every command gets two replies once the client has signed in.
    manner: how replies are written: byte by byte, those of a round trip together, or with some
        twenty long lines before the last one.

    In a mailbox's script, offer_starttls, auth_offered, let_begin, hold, max_errors, unknown,
    without, pretends, twice and manner are ignored.
    """

    replies: dict[Step, str] = field(default_factory=dict)
    drop: Step | None = None
    stall: Step | None = None
    keep: bool = False
    reset: bool = False
    times: int | None = None
    silent: bool = False
    greeting: str | None = None
    refusal_delay: float = 0.0
    offer_starttls: bool = True
    auth_offered: tuple[str, ...] = ("LOGIN", "XOAUTH2")
    size: int | None = None
    refuse_recipients: dict[str, str] = field(default_factory=dict)
    limit_connections: int | None = None
    limit_recipients: int | None = None
    let_begin: bool = False
    hold: bool = False
    max_errors: int | None = None
    unknown: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    pretends: tuple[str, ...] = ()
    twice: bool = False
    manner: Manner = Manner.PROMPT

    @classmethod
    def for_row(cls, row: Row, *, times: int | None = None) -> Script:
        """Return the script for one row of the catalogue."""
        return cls(replies={row.step: row.reply}, times=times)

    def extends(self, keyword: str) -> bool:
        """Return whether an extension is supported."""
        missing = {*self.without, *self.pretends}
        return NEEDS.get(keyword, set()).union({keyword}).isdisjoint(missing)

    def offers(self, keyword: str) -> bool:
        """Return whether an extension is offered."""
        return self.extends(keyword) or keyword in self.pretends

    def unknown_reply(self, line: str) -> str | None:
        """Return the reply to an unknown command."""
        return next((self.unknown[form] for form in self.unknown if re.match(form, line)), None)

    def stalls_at(self, step: Step) -> bool:
        """Return whether the server stalls at this step."""
        return self.stall is step or (self.silent and step is Step.CONNECT)

    def reply_at(self, step: Step) -> str | None:
        """Return the replacement for the normal reply."""
        if step is Step.GREETING and self.greeting is not None:
            return self.greeting
        return self.replies.get(step)

    def take(self, step: Step) -> bool:
        """Return whether this step is spoiled, and count it if so."""
        spoiled = (
            self.drop is step or self.stalls_at(step) or self.reply_at(step) is not None
        ) and self.times != 0
        if spoiled and self.times is not None:
            self.times -= 1
        return spoiled
