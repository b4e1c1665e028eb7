"""The health of an account, as its entities and issues show it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .delivery.faults import Fault, Kind, Problem

STATUS_OK: Final = "ok"
STATUS_RETRYING: Final = "retrying"
NO_PROBLEM: Final = "none"
AWAY: Final = frozenset(
    {
        Problem.CONNECTION_LOST,
        Problem.CONNECTION_REFUSED,
        Problem.HOST_NOT_FOUND,
        Problem.IDENTITY_UNREACHABLE,
        Problem.NETWORK_UNREACHABLE,
        Problem.PORT_BLOCKED,
        Problem.PORT_BLOCKED_OTHER_OPEN,
        Problem.TIMEOUT,
        Problem.TLS_FAILED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether an account can send.

    `connected` is None before the first result; `since` is when it last changed; `latency` is
    how long the last attempt took, in seconds. `detail` is what the system says if no server
    spoke. `submitting` says that the problem occurred while
    submitting a message. `doubt` is a temporary fault that does not count yet: it is tried again
    within a minute.
    """

    connected: bool | None = None
    kind: Kind | None = None
    problem: Problem | None = None
    reply: str | None = None
    since: datetime | None = None
    last_success: datetime | None = None
    latency: float | None = None
    detail: str = ""
    submitting: bool = False
    doubt: Fault | None = None

    @property
    def status(self) -> str | None:
        """Return the problem, that a temporary one is being retried, or that all is well."""
        if self.doubt:
            return STATUS_RETRYING
        return STATUS_OK if self.connected else self.problem

    @property
    def is_on(self) -> bool | None:
        """Return whether the account can send, or None if the server did not respond just now."""
        return None if self._is_away else self.connected

    @property
    def shown_problem(self) -> str:
        """Return the key of the problem, also while a server that does not respond is in doubt."""
        problem = self.doubt.problem if self.doubt and self._is_away else self.problem
        return problem or NO_PROBLEM

    @property
    def _is_away(self) -> bool:
        """Return whether no server responded to the last attempt, which does not count yet."""
        return bool(self.doubt and is_away(self.doubt))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A temporary fault that has not repeated yet: since when, and whether it hit a message."""

    since: float
    submitting: bool


def is_away(fault: Fault) -> bool:
    """Return whether a temporary fault means that no server responded."""
    return fault.kind is Kind.TRANSIENT and fault.problem in AWAY and not fault.reply
