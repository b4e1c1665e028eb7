"""A way to hand messages to Microsoft, which is all that the outbox knows of it."""

from typing import Any, Protocol

from .content import Content
from .envelope import Envelope
from .faults import Stage
from .outcome import Outcome


class Route(Protocol):
    """One account's way to submit messages, one after another."""

    @property
    def size_limit(self) -> int:
        """Return the largest message that the route accepts, in bytes."""

    async def submit(
        self, envelope: Envelope, content: Content, *, may_have_arrived: bool = False
    ) -> Outcome:
        """Submit one message.

        Args:
            envelope: Who sends to whom.
            content: The whole message.
            may_have_arrived: Whether an earlier try may have delivered the message.

        Raises:
            SubmissionError: If nobody gets the message, and why.
            OSError: If the content cannot be read.

        """

    async def check(self) -> dict[Stage, float]:
        """Sign in as a submission would, and return how long each stage took, in seconds.

        Raises `SubmissionError` with the fault of the stage that failed.
        """

    @property
    def was_interrupted(self) -> bool:
        """Return whether the last submission ended because of `interrupt`."""

    def prepare(self) -> None:
        """Expect a message, which nobody has interrupted yet."""

    def interrupt(self) -> None:
        """Wait only a moment longer for a submission that takes long: others are urgent."""

    async def close(self) -> None:
        """Close the connection, if one is open."""

    def describe(self) -> dict[str, Any] | None:
        """Return what the server said of itself when it was last met, for diagnostics."""
