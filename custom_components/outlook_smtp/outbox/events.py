"""The events of an outbox, and who listens to them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum
import logging
import re
from typing import Self

from ..delivery.faults import Fault

_LOGGER = logging.getLogger(__name__)


class Event(StrEnum):
    """The turns that a message's way can take; automations rely on the keys."""

    SENT = "sent"
    QUEUED = "queued"
    REFUSED = "refused"
    EXPIRED = "expired"
    FAILED = "failed"
    DISCARDED = "discarded"

    @classmethod
    def of_refusal(cls, fault: Fault) -> Self:
        """Tell a server's word from what cannot even be said to it."""
        return cls.REFUSED if fault.code else cls.FAILED


def without(hidden: Collection[str], text: str) -> str:
    """Return a text without the addresses of blind copies that it names."""
    if not hidden:
        return text
    return re.sub("|".join(map(re.escape, hidden)), "…", text, flags=re.IGNORECASE)


def veiled(fault: Fault, hidden: Collection[str]) -> Fault:
    """Return a fault that names no blind copy: what holds an account is shown in many places."""
    return replace(fault, text=without(hidden, fault.text)) if hidden else fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One turn of a message's way, for the recipients whom it concerns.

    `id` is the spool's name of the message, `reply` the server's last words, cleaned. A refusal
    is the server's; what fails cannot be sent at all, as when its file is damaged. What fails
    before it is in the outbox has no `id`; `problem` and `text` say why. What is discarded has
    failed before, and was deleted early to make room for another. `hidden` are the recipients of
    blind copies, among others, and `missing` are attachments that could not be had, each with the
    reason.
    """

    event: Event
    id: str | None = None
    message_id: str | None = None
    recipients: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    reply: str = ""
    fault: Fault | None = None
    problem: str | None = None
    text: str | None = None
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def shown_recipients(self) -> tuple[str, ...]:
        """Return the recipients but those of blind copies."""
        return tuple(each for each in self.recipients if each not in self.hidden)

    @property
    def shown_reply(self) -> str:
        """Return the server's words without the addresses of blind copies that they repeat."""
        return without(self.hidden, self.reply)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One meeting with the server: `fault` is None when it went well; `latency` in seconds.

    `submitting` says that the account was authenticated and handed in a message: a check proves
    less.
    """

    fault: Fault | None
    latency: float
    submitting: bool = False


class Listeners[T]:
    """Those that are called with every event of a kind."""

    def __init__(self) -> None:
        """Begin with none."""
        self._listeners: set[Callable[[T], None]] = set()

    def add(self, listener: Callable[[T], None]) -> Callable[[], None]:
        """Call a listener from now on; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def tell(self, event: T) -> None:
        """Call every listener; one that fails keeps nothing from the others."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _LOGGER.exception("A listener of the outbox failed")
