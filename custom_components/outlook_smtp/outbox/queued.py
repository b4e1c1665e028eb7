"""The state of outbox messages in memory, without their content."""

import asyncio
from dataclasses import dataclass, field, replace
from math import inf
import time
from typing import Final

from ..delivery.envelope import Envelope
from ..delivery.faults import Fault
from ..delivery.outcome import Outcome
from .entry import SpoolEntry
from .events import Delivery, Event
from .receipt import Receipt
from .spooled import Failure, Spooled

# No message is older: an earlier date means that the clock was not set.
EARLIEST: Final = 1_767_225_600.0  # The start of 2026, in seconds since the epoch.


class OutboxFullError(Exception):
    """The outbox holds as much as it may."""


class OutboxClosedError(Exception):
    """The account of the outbox was removed."""


class UnknownMessageError(Exception):
    """No message has that ID."""


class InProgressError(Exception):
    """The message is being submitted right now."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an outbox: the number of messages and their total bytes."""

    messages: int
    size: int


@dataclass(slots=True, eq=False)
class QueuedMessage:
    """A waiting message.

    `since` is when its lifetime began; for a message from before the start, `known` is the
    latest time when it can have begun. `waited_since` also counts the time before the start, as far
    as the system clock tells. `not_before` is the earliest time of the next try; a scheduled
    message has none before its time of day. All are times of the monotonic clock. `tries` counts
    attempts that the sign-in did not prevent, `deferrals` attempts in a row that the server
    deferred, and `lost_answers` attempts after which the message may have arrived. `accepted` and
    `refused` are results of earlier transactions, if the server accepts only some recipients at a
    time, and `deferred` are the recipients that it deferred there: they are not tried again before
    all others.
    """

    spooled: Spooled
    since: float
    receipt: asyncio.Future[Receipt] | None = None
    tries: int = 0
    deferrals: int = 0
    fault: Fault | None = None
    not_before: float = -inf
    queued_reported: bool = False
    lost_answers: int = 0
    accepted: tuple[str, ...] = ()
    refused: dict[str, Fault] = field(default_factory=dict)
    known: float = inf
    deferred: frozenset[str] = frozenset()
    waited_since: float = inf
    is_scheduled: bool = False
    is_dropped: bool = False  # It no longer waits.
    is_sent: bool = False  # To some of its recipients at least.

    def __post_init__(self) -> None:
        """Let a new message have waited since now."""
        self.waited_since = min(self.waited_since, self.since)

    def begin(self, now: float) -> None:
        """Begin the lifetime of a scheduled message, whose time has come."""
        self.is_scheduled = False
        self.since = self.waited_since = now
        self.known, self.not_before = inf, -inf

    @property
    def entry(self) -> SpoolEntry:
        """Return the stored entry of the message."""
        return self.spooled.entry

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return the recipients that have not received the message yet."""
        return self.entry.envelope.recipients

    @property
    def envelope(self) -> Envelope:
        """Return the envelope for the next try."""
        envelope = self.entry.envelope
        others = tuple(name for name in envelope.recipients if name not in self.deferred)
        return replace(envelope, recipients=others or envelope.recipients, hidden=self.entry.hidden)

    def apply(self, outcome: Outcome) -> tuple[str, ...]:
        """Note which recipients to try last; return all that keep waiting, in order."""
        tried = (*self.envelope.recipients, *outcome.rejected)
        deferred = self.deferred.difference(tried).union(outcome.deferred)
        self.deferred = deferred if outcome.left else frozenset()
        wait_on = deferred.union(outcome.left)
        return tuple(recipient for recipient in self.recipients if recipient in wait_on)

    def conclude(self, outcome: Outcome, waiting: tuple[str, ...]) -> None:
        """Answer the caller, unless another transaction for more recipients follows at once."""
        if outcome.deferred:
            self.fault = [*outcome.deferred.values()][-1]
        elif not waiting or (outcome.left and not self.deferred):
            self.fault = None  # Otherwise keep the fault of an earlier transaction.
        if outcome.left:
            self.accepted += outcome.accepted
            self.refused |= outcome.rejected
        elif outcome.accepted or outcome.rejected:
            self.queued_reported = True
            self.resolve(outcome, waiting=waiting, fault=self.fault)

    def resolve(
        self,
        outcome: Outcome | None = None,
        *,
        waiting: tuple[str, ...] = (),
        fault: Fault | None = None,
        is_expired: bool = False,
    ) -> None:
        """Give the waiting caller its receipt, including earlier transactions.

        Args:
            outcome: The outcome of the last transaction, if there was one.
            waiting: The recipients that will be tried again.
            fault: What blocks delivery, if anything does.
            is_expired: Whether it could not be sent in its time.

        """
        if self.receipt is None or self.receipt.done():
            return
        outcome = outcome or Outcome()
        self.receipt.set_result(
            Receipt(
                id=self.spooled.id,
                message_id=self.entry.message_id,
                server_message_id=outcome.message_id,
                accepted=self.accepted + outcome.accepted,
                refused=self.refused | outcome.rejected,
                waiting=waiting,
                fault=fault,
                reply=fault.reply if fault else outcome.reply,
                missing=self.entry.missing,
                hidden=self.entry.hidden,
                is_expired=is_expired,
            )
        )


@dataclass(slots=True, eq=False)
class FailedMessage:
    """A failed message, and since when it has failed, on the monotonic clock."""

    failure: Failure
    since: float

    @property
    def size(self) -> int:
        """Return the size of its content, in bytes."""
        return self.failure.spooled.entry.size

    def discarded(self) -> Delivery:
        """Return the event for the deletion of the message before its week is over."""
        entry = self.failure.spooled.entry
        return Delivery(
            event=Event.DISCARDED,
            id=self.failure.spooled.id,
            message_id=entry.message_id,
            title=entry.title,
            urgent=entry.urgent,
            recipients=entry.envelope.recipients,
            hidden=entry.hidden,
            reply=self.failure.reply,
        )


def since(written_at: float) -> float:
    """Convert a time of the system clock to the monotonic clock."""
    now = time.time()
    age = now - written_at if EARLIEST <= written_at <= now else 0.0
    return time.monotonic() - age
