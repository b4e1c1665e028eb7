"""When to kill: at random, but covering every phase of a message."""

from dataclasses import dataclass
from random import Random
from typing import Final, Self

type Kinds = tuple[tuple[str, int, float, int], ...]

# The event to count, how often to use it, the longest delay after it in seconds, and the maximum
# number of occurrences.
SENDING: Final[Kinds] = (
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
# The same for a process that switches routes while a queue is sent.
SWITCHING: Final[Kinds] = (
    ("ready", 2, 0.1, 1),
    ("+switch", 12, 0.03, 3),
    ("+submit", 10, 0.008, 12),
    ("+settle", 10, 0.002, 12),
    ("+fail", 3, 0.004, 2),
    ("+restrict", 3, 0.002, 2),
)


@dataclass
class KillPoint:
    """A number of seconds after an event has occurred a number of times."""

    event: str
    times: int
    delay: float

    @classmethod
    def draw(cls, chances: Random, kinds: Kinds = SENDING) -> Self:
        """Draw a random kill point."""
        weights = [weight for _, weight, _, _ in kinds]
        ((event, _, longest, most),) = chances.choices(kinds, weights)
        return cls(event, chances.randint(1, most), chances.uniform(0, longest))

    def has_come(self, event: str) -> bool:
        """Return whether the event has occurred often enough."""
        if event.partition(" ")[0] == self.event:
            self.times -= 1
        return self.times <= 0
