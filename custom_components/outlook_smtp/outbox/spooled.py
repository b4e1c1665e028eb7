"""What is known of the messages that are on disk, by their files."""

from dataclasses import dataclass

from .entry import SpoolEntry


@dataclass(frozen=True, slots=True)
class Spooled:
    """A message on disk: its place in the order, when it was put there, its id and its entry.

    `queued_at` is in seconds since the epoch.
    """

    sequence: int
    queued_at: int
    id: str
    entry: SpoolEntry

    @property
    def name(self) -> str:
        """Return the name of its file, which sorts by the order."""
        return f"{self.sequence:010d}-{self.queued_at:010d}-{self.id}.msg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A message that is kept as failed, why, and since when (seconds since the epoch)."""

    spooled: Spooled
    event: str
    problem: str
    reply: str
    failed_at: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found on disk; `quarantined` names the files that are none of ours."""

    waiting: list[Spooled]
    failed: list[Failure]
    quarantined: list[str]
