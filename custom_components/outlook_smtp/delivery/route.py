"""The interface of a route: how the outbox submits messages to Microsoft."""

from typing import Any, Protocol

from .content import Content
from .envelope import Envelope
from .faults import Stage
from .outcome import Outcome


class Route(Protocol):
    """The way one account submits messages, one after another."""

    @property
    def size_limit(self) -> int:
        """Return the largest message that the route accepts, in bytes."""

    async def submit(
        self, envelope: Envelope, content: Content, *, may_have_arrived: bool = False
    ) -> Outcome:
        """Submit one message.

        Args:
            envelope: The sender and the recipients.
            content: The complete message.
            may_have_arrived: Whether an earlier attempt may have delivered the message.

        Raises:
            SubmissionError: If no recipient gets the message; its fault says why.
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
        """Prepare for the next message by forgetting earlier interruptions."""

    def interrupt(self) -> None:
        """Cut a slow submission short soon, because other messages are urgent."""

    async def close(self) -> None:
        """Close the connection, if one is open."""

    def describe(self) -> dict[str, Any] | None:
        """Return what the server last said about itself, for diagnostics."""
