"""Kill points: at random, but so that every part of a message's way gets its share."""

from dataclasses import dataclass
from random import Random
from typing import Final, Self

# Where to begin to count, how often, the longest delay after that in seconds, and how many times
# it has to be seen at most.
_KINDS: Final = (
    ("forked", 18, 0.25, 1),
    ("+open", 6, 0.004, 1),
    ("ready", 14, 0.4, 1),
    ("+compose", 12, 0.003, 6),
    ("+write", 16, 0.004, 6),
    ("+connect", 6, 0.015, 6),
    ("+submit", 14, 0.008, 6),
    ("+settle", 16, 0.002, 6),
    ("+fail", 8, 0.004, 2),
    ("+restrict", 8, 0.002, 2),
    ("+cancel", 6, 0.002, 2),
    ("+retry", 6, 0.002, 2),
    ("+idle", 8, 0.01, 4),
)


@dataclass
class KillPoint:
    """So many seconds after something has been heard so many times."""

    event: str
    times: int
    delay: float

    @classmethod
    def draw(cls, chances: Random) -> Self:
        """Draw a kill point."""
        weights = [weight for _, weight, _, _ in _KINDS]
        ((event, _, longest, most),) = chances.choices(_KINDS, weights)
        return cls(event, chances.randint(1, most), chances.uniform(0, longest))

    def has_come(self, event: str) -> bool:
        """Tell whether it begins with this event."""
        if event.partition(" ")[0] == self.event:
            self.times -= 1
        return self.times <= 0
