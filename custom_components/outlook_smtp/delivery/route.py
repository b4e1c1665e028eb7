"""The interface of a route: how the outbox submits messages to Microsoft."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from .content import Content
from .envelope import Envelope
from .faults import Fault, Stage
from .outcome import Outcome

# Seconds to wait for a reply while another message is urgent; Microsoft takes two.
URGENT_PATIENCE: Final = 5.0


class Route(Protocol):
    """The way one account submits messages, one after another, over at most one connection."""

    @property
    def name(self) -> str:
        """Return the key of the route: `smtp` or `graph`."""

    @property
    def host(self) -> str:
        """Return the name of the server that the route submits to."""

    @property
    def port(self) -> int:
        """Return the port of the server."""

    @property
    def size_limit(self) -> int:
        """Return the largest message that the route tries to submit, in bytes."""

    @property
    def usual_size_limit(self) -> int:
        """Return the largest message that the server is known to accept, in bytes."""

    def set_timeout(self, timeout: float) -> None:
        """Set the longest wait for one step from the next connection on, in seconds."""

    async def open(self) -> None:
        """Get ready for the next message: connect and sign in, as far as that can be done ahead.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """

    async def submit(
        self,
        envelope: Envelope,
        content: Content,
        *,
        may_have_arrived: bool = False,
        on_begin: Callable[[], None] | None = None,
    ) -> Outcome:
        """Submit one message.

        Args:
            envelope: The sender and the recipients.
            content: The complete message.
            may_have_arrived: Whether an earlier attempt may have delivered the message.
            on_begin: Called when the account is signed in and the message follows.

        Raises:
            SubmissionError: If no recipient gets the message; its fault says why.
            OSError: If the content cannot be read.

        """

    async def check(self, on_stage: Callable[[Stage], None] | None = None) -> dict[Stage, float]:
        """Sign in as a submission would, and return how long each stage took, in seconds.

        Args:
            on_stage: Called with each stage as it begins.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """

    async def diagnose(self, fault: Fault) -> Fault:
        """Return the actual cause of a fault of a check, after a closer look at the server."""

    @property
    def was_interrupted(self) -> bool:
        """Return whether the last submission ended because of `interrupt`."""

    def prepare(self) -> None:
        """Prepare for the next message by forgetting earlier interruptions."""

    def interrupt(self) -> None:
        """Cut a slow submission short soon, because other messages are urgent."""

    def beside(self) -> Route:
        """Return a route of the same account for a second connection, which the caller closes."""

    async def close(self) -> None:
        """Close the connection, if one is open."""

    def describe(self) -> dict[str, Any] | None:
        """Return what the server last said about itself, for diagnostics."""
