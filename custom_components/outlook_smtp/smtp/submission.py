"""A submission: who sends to whom, and what comes of it."""

from dataclasses import dataclass, replace

from .faults import Fault, Kind


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom (RFC 5321): bare addresses; `utf8` where one is not ASCII (RFC 6531).

    `hidden` are addresses of blind copies, which no log names.
    """

    sender: str
    recipients: tuple[str, ...]
    utf8: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the server refused while it took others."""

    recipient: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who gets the message and who does not.

    `left` are those who are to get it in another transaction: they were too many for this one,
    or it ended before they had their turn. `reply` is the server's last answer, cleaned, and
    `message_id` the one it gave, if any. `lost` says that they may have got it, and why nobody
    knows.
    """

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: str = ""
    message_id: str | None = None
    left: tuple[str, ...] = ()
    lost: Fault | None = None

    @property
    def gone(self) -> tuple[Refusal, ...]:
        """Return who is refused for good."""
        return tuple(item for item in self.refused if item.fault.kind is Kind.MESSAGE)

    @property
    def kept(self) -> tuple[Refusal, ...]:
        """Return who is refused for now."""
        return tuple(item for item in self.refused if item.fault.kind is not Kind.MESSAGE)

    @property
    def trouble(self) -> Fault | None:
        """Return what keeps some recipients waiting and is not a matter of theirs alone."""
        if self.lost:
            return self.lost
        faults = [item.fault for item in self.refused if not item.fault.is_recipients_own]
        return faults[-1] if faults else None

    @property
    def is_well(self) -> bool:
        """Return whether the server is well, whatever some recipients of the message wait for."""
        trouble = self.trouble
        return trouble is None or (bool(self.accepted) and trouble.kind is Kind.TRANSIENT)

    @property
    def obstacle(self) -> Fault | None:
        """Return what stood in the way of the message.

        What a recipient waits for says no more about the account than a refusal.
        """
        if not self.is_well:
            return self.trouble
        return None if self.accepted else replace(self.refused[-1].fault, kind=Kind.MESSAGE)
