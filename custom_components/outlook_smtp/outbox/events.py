"""The events of an outbox, and their listeners."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum
import logging
import re
from typing import Self

from ..delivery.faults import Fault

_LOGGER = logging.getLogger(__name__)


class Event(StrEnum):
    """The events in the life of a message; automations rely on the keys."""

    SENT = "sent"
    QUEUED = "queued"
    REFUSED = "refused"
    DELAYED = "delayed"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    FAILED = "failed"
    DISCARDED = "discarded"

    @classmethod
    def of_refusal(cls, fault: Fault) -> Self:
        """Return REFUSED for a server's refusal, or FAILED if the message cannot be submitted."""
        return cls.REFUSED if fault.code else cls.FAILED


def without(hidden: Collection[str], text: str) -> str:
    """Return a text without the addresses of blind copies in it."""
    if not hidden:
        return text
    return re.sub("|".join(map(re.escape, hidden)), "…", text, flags=re.IGNORECASE)


def veiled(fault: Fault, hidden: Collection[str]) -> Fault:
    """Return a fault without addresses of blind copies, because a hold is shown in many places."""
    return replace(fault, text=without(hidden, fault.text)) if hidden else fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event of a message, for the recipients that it affects.

    `id` is the spool's ID of the message, `reply` the server's last reply, cleaned. A message is
    refused by the server; it fails if it cannot be sent at all, for example because its file is
    damaged. A delayed message keeps waiting. A message that fails before it reaches the outbox has
    no `id`; `problem` and `text` say why. A discarded message had failed before, and was deleted
    early to make room for another. `title` is the message's title, `urgent` says that it has a high
    priority, `hidden` are all recipients of blind copies, affected or not, and `missing` the
    attachments that were not available, each with the reason.
    """

    event: Event
    id: str | None = None
    message_id: str | None = None
    title: str = ""
    urgent: bool = False
    recipients: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    reply: str = ""
    fault: Fault | None = None
    problem: str | None = None
    text: str | None = None
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def shown_recipients(self) -> tuple[str, ...]:
        """Return the recipients without those of blind copies."""
        return tuple(each for each in self.recipients if each not in self.hidden)

    @property
    def shown_reply(self) -> str:
        """Return the server's reply without the addresses of blind copies."""
        return without(self.hidden, self.reply)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission or check: `fault` is None if it succeeded; `latency` is in seconds.

    `submitting` says that the account was authenticated and submitted a message, which proves more
    than a check.
    """

    fault: Fault | None
    latency: float
    submitting: bool = False


class Listeners[T]:
    """The listeners for one kind of event."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: set[Callable[[T], None]] = set()

    def add(self, listener: Callable[[T], None]) -> Callable[[], None]:
        """Add a listener; return a function that removes it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def tell(self, event: T) -> None:
        """Call all listeners, even if one fails."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _LOGGER.exception("An outbox listener failed")
