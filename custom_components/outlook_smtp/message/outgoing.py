"""An outgoing message: content and recipients, validated before anything is built."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
import re
from typing import Final, NamedTuple

from .mailbox import Mailbox, check_mailbox
from .problems import InvalidMessageError, MessageProblem
from .text import short_line

MAX_TEXT: Final = 10_000_000  # Bytes in UTF-8, of the text and of the HTML each.
MAX_RECIPIENTS: Final = 100  # RFC 5321, section 4.5.3.1.8: what every server must accept.

# RFC 2392 requires an address here; mail readers accept any word that fits an HTML attribute.
_CONTENT_ID: Final = re.compile(r"[!-;=?-~]{1,255}")


class Priority(StrEnum):
    """How urgent a message is; the values are those of Home Assistant's `smtp.send_message`."""

    HIGHEST = "highest"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
    LOWEST = "lowest"


URGENT: Final = (Priority.HIGH, Priority.HIGHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file to attach, already read.

    With a `content_id` it is shown where the message's HTML refers to `cid:<content_id>`.
    """

    content: bytes = field(repr=False)
    filename: str
    mime_type: str
    content_id: str | None = None


class MissingAttachment(NamedTuple):
    """An attachment that is not available: what the caller gave, its name, and the reason."""

    attachment: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message to one or more recipients; every instance is valid.

    Without `text`, the text is made from `html`; with `markdown`, the HTML is made from `text`.
    `sender_name` replaces the account's own. `note` is a line for the reader, at the end of both.
    `send_at` is when to send it. It is of use for `expires_after` seconds, and the same message is
    not sent again within `deduplicate` seconds.

    Raises `InvalidMessageError` if a part of it cannot be sent.
    """

    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    title: str
    text: str | None = None
    html: str | None = None
    markdown: bool = False
    attachments: tuple[Attachment, ...] = ()
    missing: tuple[MissingAttachment, ...] = ()
    note: str = ""
    priority: Priority | None = None
    reply_to: tuple[Mailbox, ...] = ()
    sender_name: str | None = None
    send_at: datetime | None = None
    expires_after: float | None = None
    deduplicate: float | None = None

    def __post_init__(self) -> None:
        """Put the title on one line, and reject invalid values."""
        object.__setattr__(self, "title", short_line(self.title))
        if self.sender_name is not None:
            object.__setattr__(self, "sender_name", short_line(self.sender_name))
        self.check_size(len)
        for mailbox in self.reply_to:
            check_mailbox(mailbox, "reply_to")
        self._check_recipients()
        self._check_content_ids()

    @property
    def is_urgent(self) -> bool:
        """Whether it has a high priority."""
        return self.priority in URGENT

    @property
    def fingerprint(self) -> bytes:
        """What recipients see as the same message: its recipients, its title and its text."""
        recipients = sorted(address.lower() for address in self.recipients)
        return sha256(repr((recipients, self.title, self.text, self.html)).encode()).digest()

    @property
    def recipients(self) -> tuple[str, ...]:
        """The distinct envelope addresses of to, cc and bcc, in order."""
        return tuple(_distinct(self.to + self.cc + self.bcc).values())

    @property
    def hidden(self) -> tuple[str, ...]:
        """The distinct addresses of bcc that are neither in to nor in cc."""
        hidden = _distinct(self.bcc)
        for address in _distinct(self.to + self.cc):
            hidden.pop(address, None)
        return tuple(hidden.values())

    def check_size(self, measure: Callable[[str], int]) -> None:
        """Reject a text or HTML that is too large.

        Args:
            measure: Returns the size of a text: its characters, which is instant, or its bytes.

        Raises:
            InvalidMessageError: If it is larger than `MAX_TEXT`.

        """
        for field_name, text in (("message", self.text), ("html", self.html)):
            if text and measure(text) > MAX_TEXT:
                raise InvalidMessageError(field_name, MessageProblem.TEXT_TOO_LONG, "")

    def _check_recipients(self) -> None:
        """Reject malformed recipients, too many, and none."""
        seen: dict[str, str] = {}
        for name, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                check_mailbox(mailbox, name)
            seen |= _distinct(mailboxes)
            if len(seen) > MAX_RECIPIENTS:
                raise InvalidMessageError(name, MessageProblem.TOO_MANY_RECIPIENTS, str(len(seen)))
        if not seen:
            raise InvalidMessageError("to", MessageProblem.NO_RECIPIENT, "")

    def _check_content_ids(self) -> None:
        """Reject content IDs that HTML cannot refer to, and duplicates."""
        seen: set[str] = set()
        for attachment in self.attachments:
            if (content_id := attachment.content_id) is None:
                continue
            if not _CONTENT_ID.fullmatch(content_id):
                raise InvalidMessageError(
                    "attachments", MessageProblem.INVALID_CONTENT_ID, content_id
                )
            if content_id in seen:
                raise InvalidMessageError(
                    "attachments", MessageProblem.DUPLICATE_CONTENT_ID, content_id
                )
            seen.add(content_id)


def _distinct(mailboxes: tuple[Mailbox, ...]) -> dict[str, str]:
    """Return the envelope addresses by their case-folded form."""
    distinct: dict[str, str] = {}
    for mailbox in mailboxes:
        distinct.setdefault(mailbox.envelope.lower(), mailbox.envelope)
    return distinct
