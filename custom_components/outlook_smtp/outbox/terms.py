"""How long messages may wait, as an account's options and their own fields say."""

from dataclasses import dataclass
from typing import Final

from .queued import QueuedMessage

FIRST_CHANCE: Final = 60.0  # Seconds that a message has after a start before it counts as delayed.


@dataclass(frozen=True, slots=True)
class Terms:
    """How long messages may wait, in seconds: until they expire, and until that is reported.

    `lifetime` is the account's patience; a message gets all of it back at a start, until it was
    tried. A message with a time of its own is of no use afterwards, so that time goes on while Home
    Assistant is off, as far as the system clock tells. `urgent_lifetime` is such a time for urgent
    messages without one.
    """

    lifetime: float
    urgent_lifetime: float | None = None
    delay: float = 900.0

    def expiry(self, queued: QueuedMessage) -> float:
        """Return when a message expires, on the monotonic clock."""
        urgent = self.urgent_lifetime if queued.entry.urgent else None
        if own := queued.entry.expires_after or urgent:
            return queued.waited_since + own
        return queued.since + self.lifetime

    def delayed_at(self, queued: QueuedMessage) -> float:
        """Return when a message has waited for so long that people should know."""
        return max(queued.waited_since + self.delay, queued.since + FIRST_CHANCE)
