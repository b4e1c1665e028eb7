"""Turn an outgoing message into an RFC 5322 message and its envelope."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from uuid import uuid4

from .body import build_body
from .headers import mailbox_field, text_field, token_field
from .mailbox import Mailbox, check_mailbox
from .outgoing import OutgoingMessage, Priority
from .parts import MessageParts
from .problems import check_line
from .text import encoded_size

# X-Priority as Home Assistant's own integration writes it; Importance (RFC 2156, section 5.3.4) is
# what Outlook uses; Priority (RFC 2156, section 5.3.6) is how servers rank messages.
PRIORITIES: Final[dict[Priority, tuple[str, str, str]]] = {
    Priority.HIGHEST: ("1 (Highest)", "high", "urgent"),
    Priority.HIGH: ("2 (High)", "high", "urgent"),
    Priority.NORMAL: ("3 (Normal)", "normal", "normal"),
    Priority.LOW: ("4 (Low)", "low", "non-urgent"),
    Priority.LOWEST: ("5 (Lowest)", "low", "non-urgent"),
}


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready to be submitted, with its envelope.

    `sender` and `recipients` are bare addresses with ASCII domains. `content` has CRLF line
    ends only, lines of at most 998 octets, and is ASCII unless `utf8` says that the message
    needs SMTPUTF8 (RFC 6531). `message_id` includes its angle brackets.
    """

    sender: str
    recipients: tuple[str, ...]
    content: MessageParts = field(repr=False)
    message_id: str
    utf8: bool


def compose(outgoing: OutgoingMessage, sender: Mailbox, *, now: datetime, product: str) -> Composed:
    """Build an RFC 5322 message; pure, but too slow for an event loop.

    Args:
        outgoing: The content and the recipients.
        sender: The account's mailbox; its name is used unless the message brings its own.
        now: The time of writing, with its time zone.
        product: The client's name, for the X-Mailer header.

    Raises:
        InvalidMessageError: The sender or the product is no header value, or the text is too large.

    """
    outgoing.check_size(encoded_size)
    check_mailbox(sender, "sender")
    check_line(product, "product")
    # Not the library's, which would reveal the host name, the process ID and the time.
    message_id = f"<{uuid4()}@{sender.domain}>"
    head = "".join(
        (
            *_addressing(outgoing, sender),
            text_field("Subject", outgoing.title),
            token_field("Date", format_datetime(now)),
            token_field("Message-ID", message_id),
            text_field("X-Mailer", product),
            *_handling(outgoing.priority),
            token_field("MIME-Version", "1.0"),
        )
    )
    return Composed(
        sender=sender.envelope,
        recipients=outgoing.recipients,
        content=MessageParts([head.encode(), *build_body(outgoing)]),
        message_id=message_id,
        utf8=_needs_utf8(outgoing, sender),
    )


def _needs_utf8(outgoing: OutgoingMessage, sender: Mailbox) -> bool:
    """Return whether an address needs SMTPUTF8 (RFC 6531)."""
    replies = (mailbox.envelope for mailbox in outgoing.reply_to)
    addresses = (sender.envelope, *outgoing.recipients, *replies)
    return not all(address.isascii() for address in addresses)


def _addressing(outgoing: OutgoingMessage, sender: Mailbox) -> Iterator[str]:
    """Yield the address headers; blind copies are in the envelope only."""
    name = sender.name if outgoing.sender_name is None else outgoing.sender_name
    yield mailbox_field("From", [Mailbox(sender.address, name)])
    if outgoing.to:
        yield mailbox_field("To", outgoing.to)
    if outgoing.cc:
        yield mailbox_field("Cc", outgoing.cc)
    if not outgoing.to and not outgoing.cc:
        yield token_field("To", "undisclosed-recipients:;")
    if outgoing.reply_to:
        yield mailbox_field("Reply-To", outgoing.reply_to)


def _handling(priority: Priority | None) -> Iterator[str]:
    """Yield the priority headers, and those that prevent automatic replies."""
    if priority is not None:
        x_priority, importance, transport = PRIORITIES[priority]
        yield token_field("X-Priority", x_priority)
        yield token_field("Importance", importance)
        yield token_field("Priority", transport)
    # RFC 3834, section 5; Exchange uses its own header ([MS-OXCMAIL], section 2.1.3.2.20).
    yield token_field("Auto-Submitted", "auto-generated")
    yield token_field("X-Auto-Response-Suppress", "OOF, AutoReply")
