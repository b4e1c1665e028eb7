"""The order of tries: which message is next, and the counts of its earlier tries."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Final

from ..delivery.faults import Fault, Problem
from .capacity import Capacity
from .queued import QueuedMessage

_SIGN_IN_FAILURES: Final = (Problem.FEDERATION_UNREACHABLE, Problem.TEMPORARY_AUTH_FAILURE)


@dataclass(eq=False)
class TryOrder(Capacity):
    """The waiting messages, in the order in which the delivery worker tries them."""

    under_way: QueuedMessage | None = None

    def first(self, now: float) -> QueuedMessage | None:
        """Return the first message in order that may be tried now."""
        return next((queued for queued in self.waiting if queued.not_before <= now), None)

    def next_due(self) -> float:
        """Return when the next message may be tried, on the monotonic clock."""
        return min((queued.not_before for queued in self.waiting), default=inf)

    @contextmanager
    def trying(self, queued: QueuedMessage) -> Iterator[None]:
        """Mark a message as being submitted."""
        self.under_way = queued
        try:
            yield
        finally:
            self.under_way = None

    def count_deferral(
        self, queued: QueuedMessage, fault: Fault | None, *, submitting: bool = True
    ) -> None:
        """Count a try that ended in a transient fault.

        One that failed at the sign-in is no attempt to show, and one without a submission no
        deferral.

        Args:
            queued: The message that was tried.
            fault: The fault of the try, if known.
            submitting: Whether the message was submitted.

        """
        queued.tries += not (fault and fault.problem in _SIGN_IN_FAILURES)
        queued.deferrals += submitting

    def count_lost_answer(self, queued: QueuedMessage) -> int:
        """Count a try after which the message may have arrived, and return the total."""
        queued.lost_answers += 1
        return queued.lost_answers

    def postpone(self, queued: QueuedMessage, until: float) -> None:
        """Let the others pass a message until a time on the monotonic clock."""
        queued.not_before = until

    def move_to_end(self, queued: QueuedMessage) -> None:
        """Let every other message be tried before this one."""
        self.waiting.sort(key=lambda each: each is queued)

    def make_all_due(self) -> None:
        """Let every message be tried now, unless it is scheduled for later."""
        for queued in self.waiting:
            if not queued.is_scheduled:
                queued.not_before = -inf
