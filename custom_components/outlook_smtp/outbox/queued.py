"""What is known in memory of the messages of an outbox: never their content."""

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

# No message is older: a clock that says so was not set when the message was written.
EARLIEST: Final = 1_767_225_600.0  # The start of 2026, in seconds since the epoch.


class OutboxFullError(Exception):
    """The outbox holds as much as it may."""


class OutboxClosedError(Exception):
    """The account of the outbox was removed."""


class UnknownMessageError(Exception):
    """There is no message of that id."""


class UnderWayError(Exception):
    """The message is being handed to the server at this moment."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait: messages, and bytes of them."""

    messages: int
    size: int


@dataclass(slots=True, eq=False)
class QueuedMessage:
    """A message that waits.

    `since` is when its lifetime began; for a message from before the start `known` is when that
    was as far as is known for sure. `not_before` is when it may be tried at the earliest. All
    are on a clock that never jumps. `tries` counts those that the account's sign-in did not
    prevent, `deferrals` those in a row that the server deferred, and `lost_answers` those after
    which it may have arrived. `accepted` and `refused` say what became of recipients in earlier
    transactions, where the server takes only some at a time, and `deferred` are the recipients
    that it deferred there: they are not tried again before all others were.
    """

    spooled: Spooled
    since: float
    receipt: asyncio.Future[Receipt] | None = None
    tries: int = 0
    deferrals: int = 0
    fault: Fault | None = None
    not_before: float = -inf
    told_queued: bool = False
    lost_answers: int = 0
    accepted: tuple[str, ...] = ()
    refused: dict[str, Fault] = field(default_factory=dict)
    known: float = inf
    deferred: frozenset[str] = frozenset()

    @property
    def entry(self) -> SpoolEntry:
        """Return what the message says of itself."""
        return self.spooled.entry

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return who has not got the message yet."""
        return self.entry.envelope.recipients

    @property
    def envelope(self) -> Envelope:
        """Return the addresses for the next try."""
        envelope = self.entry.envelope
        others = tuple(name for name in envelope.recipients if name not in self.deferred)
        return replace(envelope, recipients=others or envelope.recipients, hidden=self.entry.hidden)

    def take_in(self, outcome: Outcome) -> tuple[str, ...]:
        """Note who of those who wait on is not to be tried next; return all of them, in order."""
        tried = (*self.envelope.recipients, *outcome.rejected)
        deferred = self.deferred.difference(tried).union(outcome.deferred)
        self.deferred = deferred if outcome.left else frozenset()
        wait_on = deferred.union(outcome.left)
        return tuple(recipient for recipient in self.recipients if recipient in wait_on)

    def conclude(self, outcome: Outcome, waiting: tuple[str, ...]) -> None:
        """Answer the caller, unless some recipients have a transaction of their own at once."""
        if outcome.deferred:
            self.fault = [*outcome.deferred.values()][-1]
        elif not waiting or (outcome.left and not self.deferred):
            self.fault = None  # Else it is what an earlier transaction has met.
        if outcome.left:
            self.accepted += outcome.accepted
            self.refused |= outcome.rejected
        elif outcome.accepted or outcome.rejected:
            self.told_queued = True
            self.resolve(outcome, waiting=waiting, fault=self.fault)

    def resolve(
        self,
        outcome: Outcome | None = None,
        *,
        waiting: tuple[str, ...] = (),
        fault: Fault | None = None,
    ) -> None:
        """Give the caller that waits its receipt, earlier transactions included.

        Args:
            outcome: The outcome of the last transaction, if there was one.
            waiting: The recipients for whom the message is tried again.
            fault: What blocks delivery, if anything does.

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
            )
        )


@dataclass(slots=True, eq=False)
class FailedMessage:
    """A message that is kept as failed, and since when on a clock that never jumps."""

    failure: Failure
    since: float

    def discarded(self) -> Delivery:
        """Return what listeners are told when the message is deleted before its week is over."""
        entry = self.failure.spooled.entry
        return Delivery(
            event=Event.DISCARDED,
            id=self.failure.spooled.id,
            message_id=entry.message_id,
            recipients=entry.envelope.recipients,
            reply=self.failure.reply,
        )


def since(written_at: float) -> float:
    """Return when something of a time of day began, on the clock that never jumps."""
    now = time.time()
    age = now - written_at if EARLIEST <= written_at <= now else 0.0
    return time.monotonic() - age
