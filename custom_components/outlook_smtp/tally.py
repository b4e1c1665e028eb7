"""Counts recipients over the last 24 hours, in a form that survives a restart."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self, override

from homeassistant.helpers.restore_state import ExtraStoredData

PERIOD: Final = timedelta(hours=24)
GRAIN: Final = 600  # Seconds; what is counted within them grows old together.


class Tally(ExtraStoredData):
    """How many recipients, by the time at which mail was sent to them."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """Start with what is known: recipients by the number of a grain since the epoch."""
        self._counts = dict(counts or {})

    def add(self, now: datetime, recipients: int) -> None:
        """Count recipients."""
        grain = int(now.timestamp()) // GRAIN
        self._counts[grain] = self._counts.get(grain, 0) + recipients

    def count(self, now: datetime) -> int:
        """Return how many there were in the last 24 hours, and forget those before.

        None is forgotten too early: some count for a grain longer.
        """
        oldest = int((now - PERIOD).timestamp()) // GRAIN
        self._counts = {grain: count for grain, count in self._counts.items() if grain >= oldest}
        return sum(self._counts.values())

    @override
    def as_dict(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return {"counts": {str(grain): count for grain, count in self._counts.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what was stored; what is not of that form counts as nothing."""
        try:
            return cls({int(grain): int(count) for grain, count in values["counts"].items()})
        except AttributeError, KeyError, TypeError, ValueError:
            return cls()
