"""The outcome of a submission: which recipients get the message and which do not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .faults import Fault, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Which recipients get the message, which do not, and why.

    `refused` holds a fault for each recipient that the server refused. `left` are those that need
    another transaction: they were too many for this one, or it ended before their turn. `reply` is
    the server's last reply, cleaned, and `message_id` the Message-ID that it assigned, if any.
    `lost` says that those left may have received the message, because the reply was lost.
    """

    accepted: tuple[str, ...] = ()
    refused: Mapping[str, Fault] = field(default_factory=dict)
    reply: str = ""
    message_id: str | None = None
    left: tuple[str, ...] = ()
    lost: Fault | None = None

    @property
    def rejected(self) -> dict[str, Fault]:
        """Return the recipients that are refused for good."""
        return {name: fault for name, fault in self.refused.items() if fault.kind is Kind.MESSAGE}

    @property
    def deferred(self) -> dict[str, Fault]:
        """Return the recipients that are refused for now."""
        rejected = self.rejected
        return {name: fault for name, fault in self.refused.items() if name not in rejected}

    @property
    def trouble(self) -> Fault | None:
        """Return the fault that keeps recipients waiting and is not limited to them, if any."""
        faults = [fault for fault in self.refused.values() if not fault.is_recipients_own]
        return self.lost or (faults[-1] if faults else None)

    @property
    def is_well(self) -> bool:
        """Return whether the server works, even if some recipients are deferred."""
        trouble = self.trouble
        return trouble is None or (bool(self.accepted) and trouble.kind is Kind.TRANSIENT)

    @property
    def obstacle(self) -> Fault | None:
        """Return the fault that blocked the message, if any.

        A deferred recipient says no more about the account than a refused one.
        """
        if not self.is_well:
            return self.trouble
        return None if self.accepted else replace([*self.refused.values()][-1], kind=Kind.MESSAGE)
