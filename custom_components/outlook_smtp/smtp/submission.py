"""A submission: who sends to whom, and what comes of it."""

from dataclasses import dataclass

from .faults import Fault, Kind


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom (RFC 5321): bare addresses; `utf8` where one is not ASCII (RFC 6531)."""

    sender: str
    recipients: tuple[str, ...]
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the server refused while it took others."""

    recipient: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who gets the message and who does not.

    `left` are those who were too many for one transaction and are to get it in another one.
    `reply` is the server's last answer, cleaned, and `message_id` the one it gave, if any.
    """

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: str = ""
    message_id: str | None = None
    left: tuple[str, ...] = ()

    @property
    def trouble(self) -> Fault | None:
        """Return what keeps some recipients waiting."""
        faults = [refusal.fault for refusal in self.refused]
        return next((fault for fault in reversed(faults) if fault.kind is not Kind.MESSAGE), None)

    @property
    def is_well(self) -> bool:
        """Return whether the server is well, whatever some recipients of the message wait for."""
        trouble = self.trouble
        return trouble is None or (bool(self.accepted) and trouble.kind is Kind.TRANSIENT)

    @property
    def obstacle(self) -> Fault | None:
        """Return what stood in the way of the message."""
        if not self.is_well:
            return self.trouble
        return None if self.accepted else self.refused[-1].fault
