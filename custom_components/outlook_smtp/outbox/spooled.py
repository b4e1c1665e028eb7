"""Descriptions of the messages on disk, from their files."""

from dataclasses import dataclass

from .entry import SpoolEntry


@dataclass(frozen=True, slots=True)
class Spooled:
    """A message on disk: its place in the order, when it was queued, its ID and its entry.

    `queued_at` is in seconds since the epoch.
    """

    sequence: int
    queued_at: int
    id: str
    entry: SpoolEntry

    @property
    def name(self) -> str:
        """Return the name of its file; names sort in queue order."""
        return f"{self.sequence:010d}-{self.queued_at:010d}-{self.id}.msg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed message, the reason, and since when (seconds since the epoch)."""

    spooled: Spooled
    event: str
    problem: str
    reply: str
    failed_at: float


@dataclass(frozen=True, slots=True)
class Contents:
    """The messages found on disk; `quarantined` names files that are damaged or not ours."""

    waiting: list[Spooled]
    failed: list[Failure]
    quarantined: list[str]
