"""The order of tries: which message is next, and the counts of its earlier tries."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from math import inf
from typing import Final, override

from ..delivery.faults import Fault, Problem
from .capacity import Capacity
from .queued import QueuedMessage

_SIGN_IN_FAILURES: Final = (Problem.FEDERATION_UNREACHABLE, Problem.TEMPORARY_AUTH_FAILURE)


@dataclass(eq=False)
class TryOrder(Capacity):
    """The waiting messages, in the order in which the delivery worker tries them.

    Urgent ones come first; otherwise the order is that of the calls. `under_way` are the messages
    that are being submitted: one at a time, and an urgent one that overtakes it.
    """

    under_way: set[QueuedMessage] = field(default_factory=set)

    def first(self, now: float, *, urgent: bool = False) -> QueuedMessage | None:
        """Return the first message in order that may be tried now; only an urgent one if asked."""
        return next((each for each in self._open(urgent=urgent) if each.not_before <= now), None)

    def next_due(self, *, urgent: bool = False) -> float:
        """Return when the next message may be tried, on the monotonic clock."""
        due = inf
        for queued in self._open(urgent=urgent):
            due = min(due, queued.not_before)
            if due == -inf:
                break  # Nothing is earlier than at any time, which is when most may be tried.
        return due

    def _open(self, *, urgent: bool) -> Iterable[QueuedMessage]:
        """Return the messages that are not being submitted, in order."""
        candidates = takewhile(_is_urgent, self.waiting) if urgent else self.waiting
        return (queued for queued in candidates if queued not in self.under_way)

    @contextmanager
    def trying(self, queued: QueuedMessage) -> Iterator[None]:
        """Mark a message as being submitted."""
        self.under_way.add(queued)
        try:
            yield
        finally:
            self.under_way.remove(queued)

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
        """Let every other message be tried before this one, or if it is urgent, the urgent ones."""
        self.waiting.sort(key=lambda each: (_rank(each), each is queued))

    def make_all_due(self) -> None:
        """Let every message be tried now, unless it is scheduled for later."""
        for queued in self.waiting:
            if not queued.is_scheduled:
                queued.not_before = -inf

    @override
    def _enter(self, queued: QueuedMessage) -> None:
        """Put a message into the order, behind those that are as urgent."""
        super()._enter(queued)
        if queued.entry.urgent:
            self.waiting.insert(bisect_right(self.waiting, 0, key=_rank), queued)
        else:
            self.waiting.append(queued)

    def _sort(self) -> None:
        """Put urgent messages first, and leave the order as it is otherwise."""
        self.waiting.sort(key=_rank)


def _is_urgent(queued: QueuedMessage) -> bool:
    """Return whether a message goes before others."""
    return queued.entry.urgent


def _rank(queued: QueuedMessage) -> int:
    """Return the place of a message's kind in the order: urgent ones first."""
    return 0 if queued.entry.urgent else 1
