"""When to kill: at random, but covering every phase of a message."""

from dataclasses import dataclass
from random import Random
from typing import Final, Self

# The event to count, how often to use it, the longest delay after it in seconds, and the maximum
# number of occurrences.
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
    """A number of seconds after an event has occurred a number of times."""

    event: str
    times: int
    delay: float

    @classmethod
    def draw(cls, chances: Random) -> Self:
        """Draw a random kill point."""
        weights = [weight for _, weight, _, _ in _KINDS]
        ((event, _, longest, most),) = chances.choices(_KINDS, weights)
        return cls(event, chances.randint(1, most), chances.uniform(0, longest))

    def has_come(self, event: str) -> bool:
        """Return whether the event has occurred often enough."""
        if event.partition(" ")[0] == self.event:
            self.times -= 1
        return self.times <= 0
