"""Decide whether a process stayed healthy: allowed growth, and what must not happen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

type Sample = Mapping[str, float]

# Allowed growth of the minimum from the second quarter, after the warm-up, to the last; memory in
# MB.
GROWTH: Final = {"memory": 12.0, "descriptors": 3.0, "tasks": 3.0, "threads": 2.0}
# How late the event loop may be, and how long it may compute without a pause, in seconds. Other
# load on the machine delays it, too, and a reload computes.
STALLS: Final = {"wait": 2.0, "work": 0.5}
FEWEST_SAMPLES: Final = 20


@dataclass(kw_only=True)
class Verdict:
    """The measurements, and their problems."""

    samples: Sequence[Sample]
    lost: Sequence[str] = ()
    left: int | None = 0
    errors: Sequence[str] = ()
    complaints: Sequence[str] = ()
    status: int = 0
    wrongs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Compare everything with its limit."""
        if len(self.samples) < FEWEST_SAMPLES:
            self.wrongs.append(f"only {len(self.samples)} samples")
        else:
            self._compare()
        self.wrongs += [f"lost: {share}" for share in self.lost]
        self.wrongs += [f"unexpected: {error}" for error in (*self.errors, *self.complaints)]
        if self.left is None:
            self.wrongs.append("Home Assistant did not say how much was left in the end")
        elif self.left:
            self.wrongs.append(f"{self.left} messages were not sent in the end")
        if self.status:
            self.wrongs.append(f"Home Assistant ended with {self.status}")

    def _compare(self) -> None:
        """Compare the figures with their limits."""
        for name, most in GROWTH.items():
            if (grown := self.growth(name)) > most:
                self.wrongs.append(f"{name} grew by {grown:.1f}, and may by {most:.0f}")
        for name, most in STALLS.items():
            if (worst := self.worst(name)) > most:
                self.wrongs.append(f"the event loop had to {name} {worst:.2f} s, and may {most} s")

    def growth(self, name: str) -> float:
        """Return by how much the minimum of a figure has grown since the warm-up."""
        quarter = len(self.samples) // 4
        early, late = self.samples[quarter : 2 * quarter], self.samples[3 * quarter :]
        return min(one[name] for one in late) - min(one[name] for one in early)

    def worst(self, name: str) -> float:
        """Return the largest value of a figure."""
        return max(one[name] for one in self.samples)

    def __str__(self) -> str:
        """Format the figures in a few lines."""
        lines = self._figures() if len(self.samples) >= FEWEST_SAMPLES else []
        return "\n".join((*lines, *(f"WRONG: {wrong}" for wrong in self.wrongs)))

    def _figures(self) -> list[str]:
        """Format a line for each figure."""
        lines = []
        for name in GROWTH:
            values = [one[name] for one in self.samples]
            lines.append(
                f"{name}: {values[0]:.0f} at first, {min(values):.0f} to {max(values):.0f}, "
                f"{values[-1]:.0f} in the end; grew by {self.growth(name):.1f} after warm-up"
            )
        typical = sorted(one["wait"] for one in self.samples)[len(self.samples) // 2]
        lines.append(
            f"event loop: late by {self.worst('wait') * 1000:.0f} ms at most "
            f"({typical * 1000:.0f} ms in half of the seconds), "
            f"computed for {self.worst('work') * 1000:.0f} ms at most"
        )
        return lines
