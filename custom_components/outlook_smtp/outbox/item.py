"""What is known in memory of the messages of an outbox: never their content."""

import asyncio
from dataclasses import dataclass, replace
from math import inf
import time
from typing import Final

from ..smtp.faults import Fault, Problem
from ..smtp.submission import Envelope, Outcome, Refusal
from .delivery import Delivery, Event, Verdict
from .record import Record
from .spooled import Failure, Spooled

# No message is older: a clock that says so was not set when the message was written.
EARLIEST: Final = 1_767_225_600.0  # The start of 2026, in seconds since the epoch.

_SIGN_IN_FAILURES: Final = (Problem.FEDERATION_UNREACHABLE, Problem.TEMPORARY_AUTH_FAILURE)


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
class Item:
    """A message that waits.

    `born` is when its lifetime began; for a message from before the start `known` is when that
    was as far as is known for sure. `not_before` is when it may be tried at the earliest. All
    are on a clock that never jumps. `tries` counts those that the account's sign-in did not
    prevent, `setbacks` those in a row that the server took in hand and put off, and
    `lost_answers` those after which it may have arrived. `accepted` and `refused` say what
    became of recipients in earlier transactions, where the server takes only some at a time, and
    `deferred` are the recipients that it deferred there: they are not tried again before all
    others were.
    """

    spooled: Spooled
    born: float
    verdict: asyncio.Future[Verdict] | None = None
    tries: int = 0
    setbacks: int = 0
    fault: Fault | None = None
    not_before: float = -inf
    told_queued: bool = False
    lost_answers: int = 0
    accepted: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    known: float = inf
    deferred: frozenset[str] = frozenset()

    def note_try(self) -> None:
        """Let count what it has waited before the start, now that it was tried since."""
        self.born = min(self.born, self.known)

    def note_put_off(self, fault: Fault, *, handed_in: bool) -> None:
        """Count a try after a passing fault: those that the sign-in prevented are none."""
        self.tries += fault.problem not in _SIGN_IN_FAILURES
        self.setbacks += handed_in

    @property
    def record(self) -> Record:
        """Return what the message says of itself."""
        return self.spooled.record

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return who has not got the message yet."""
        return self.record.envelope.recipients

    @property
    def envelope(self) -> Envelope:
        """Return the addresses for the next try."""
        envelope = self.record.envelope
        others = tuple(name for name in envelope.recipients if name not in self.deferred)
        return replace(
            envelope, recipients=others or envelope.recipients, hidden=self.record.hidden
        )

    def take_in(self, outcome: Outcome) -> tuple[str, ...]:
        """Note who of those who wait on is not to be tried next; return all of them, in order."""
        gone = (refusal.recipient for refusal in outcome.gone)
        kept = (refusal.recipient for refusal in outcome.kept)
        deferred = self.deferred.difference(self.envelope.recipients, gone).union(kept)
        self.deferred = deferred if outcome.left else frozenset()
        wait_on = deferred.union(outcome.left)
        return tuple(recipient for recipient in self.recipients if recipient in wait_on)

    def conclude(self, outcome: Outcome, waiting: tuple[str, ...]) -> None:
        """Answer the caller, unless some recipients have a transaction of their own at once."""
        if outcome.kept:
            self.fault = outcome.kept[-1].fault
        elif not waiting or (outcome.left and not self.deferred):
            self.fault = None  # Else it is what an earlier transaction has met.
        if outcome.left:
            self.accepted += outcome.accepted
            self.refused += outcome.gone
        elif outcome.accepted or outcome.gone:
            self.told_queued = True
            self.resolve(
                Verdict(
                    accepted=outcome.accepted,
                    refused=outcome.gone,
                    waiting=waiting,
                    fault=self.fault,
                    reply=outcome.reply,
                    message_id=outcome.message_id,
                ),
            )

    def resolve(self, verdict: Verdict) -> None:
        """Give the caller who waits his answer, earlier transactions of the message included."""
        if self.verdict and not self.verdict.done():
            accepted = self.accepted + verdict.accepted
            refused = self.refused + verdict.refused
            self.verdict.set_result(replace(verdict, accepted=accepted, refused=refused))


@dataclass(slots=True, eq=False)
class FailedItem:
    """A message that is kept aside, and since when on a clock that never jumps."""

    failure: Failure
    born: float

    def discarded(self) -> Delivery:
        """Return what listeners are told when the message is deleted before its week is over."""
        record = self.failure.spooled.record
        return Delivery(
            event=Event.DISCARDED,
            id=self.failure.spooled.id,
            message_id=record.message_id,
            recipients=record.envelope.recipients,
            reply=self.failure.reply,
        )


def born(written_at: float) -> float:
    """Return when something of a time of day began, on the clock that never jumps."""
    now = time.time()
    age = now - written_at if EARLIEST <= written_at <= now else 0.0
    return time.monotonic() - age
