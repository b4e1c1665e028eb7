"""A brake for automations that send without end."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
import time
from typing import Final

from .queued import since

WINDOW: Final = 600.0  # Seconds.
MOST_CALLS: Final = 20_000  # To remember; twice the highest limit.
MOST_SOURCES: Final = 5  # Automations to name.


@dataclass(slots=True)
class Flood:
    """What the brake refused: since when (seconds since the epoch), the limit, and its senders."""

    since: float
    limit: int
    sources: list[str] = field(default_factory=list)


class Brake:
    """Counts the emails of ten minutes, and refuses those beyond a limit.

    A refused email counts, too: a loop stays braked until it calls less often. Urgent ones are
    exempt up to twice the limit, however many others are refused.
    """

    def __init__(self) -> None:
        """Start without emails."""
        self._calls: deque[float] = deque(maxlen=MOST_CALLS)
        self._urgent: deque[float] = deque(maxlen=MOST_CALLS)
        self._reports: deque[float] = deque(maxlen=MOST_CALLS)
        self._is_new = True
        self.flood: Flood | None = None  # Until a person has seen it.

    def remember(self, times: Iterable[tuple[float, bool]]) -> None:
        """Count emails from before a start: when they were queued, and whether they are urgent.

        Args:
            times: Seconds since the epoch, in order.

        """
        for queued_at, is_urgent in times:
            (self._urgent if is_urgent else self._calls).append(since(queued_at))

    def admit(self, limit: int, *, is_urgent: bool) -> bool:
        """Count an email, and return whether it may be sent."""
        is_admitted = self.admits(limit, is_urgent=is_urgent)
        if len(self._calls) + len(self._urgent) < max(limit // 2, 1):
            self._is_new = True  # The flood is over.
        (self._urgent if is_urgent else self._calls).append(time.monotonic())
        return is_admitted

    def admits(self, limit: int, *, is_urgent: bool) -> bool:
        """Return whether an email may be sent, without counting it."""
        now = time.monotonic()
        _forget(self._calls, now)
        _forget(self._urgent, now)
        calls, urgent = len(self._calls), len(self._urgent)
        return min(calls, limit) + urgent < 2 * limit if is_urgent else calls + urgent < limit

    def may_report(self, limit: int) -> bool:
        """Count a rejected email, and return whether to report it: thousands would fill a disk."""
        now = time.monotonic()
        _forget(self._reports, now)
        if len(self._reports) >= limit:
            return False
        self._reports.append(now)
        return True

    def blame(self, source: str, limit: int) -> bool:
        """Note who sent an email that was refused; return whether that is news."""
        if self._is_new or self.flood is None:
            self._is_new = False
            self.flood = Flood(time.time(), limit, [source])
            return True
        if source in self.flood.sources or len(self.flood.sources) >= MOST_SOURCES:
            return False
        self.flood.sources.append(source)
        return True

    def reset(self) -> None:
        """Let emails be sent again, because a person has seen to the cause."""
        self._calls.clear()
        self._urgent.clear()
        self.flood = None
        self._is_new = True


def _forget(times: deque[float], now: float) -> None:
    """Forget times from before the last ten minutes."""
    while times and times[0] <= now - WINDOW:
        times.popleft()
