"""The receipt of a message: its result for the waiting caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..delivery.faults import Fault


class Status(StrEnum):
    """The result of sending a message."""

    SENT = "sent"
    PARTIALLY_SENT = "partially_sent"
    QUEUED = "queued"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Which recipients of a message were accepted, were refused or are still waiting.

    `id` is the outbox's ID of the message. `waiting` are the recipients that will be tried again,
    and `fault` is what blocks delivery, if known. `reply` is the server's last reply, and
    `server_message_id` the Message-ID that the server assigned, if any. `missing` are attachments
    that were not available, each with the reason, and `hidden` the recipients of blind copies. That
    of a duplicate has the IDs of the message that was sent before. A message that expires while its
    caller waits has neither accepted nor waiting recipients.
    """

    id: str
    message_id: str
    server_message_id: str | None = None
    accepted: tuple[str, ...] = ()
    refused: Mapping[str, Fault] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    fault: Fault | None = None
    reply: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()
    is_duplicate: bool = False
    is_expired: bool = False

    @property
    def status(self) -> Status:
        """Return whether all recipients, some or none have been accepted."""
        if self.is_duplicate:
            return Status.DUPLICATE
        if not self.accepted:
            return Status.QUEUED
        return Status.PARTIALLY_SENT if self.refused or self.waiting else Status.SENT

    @property
    def problem(self) -> str | None:
        """Return the key of what blocks delivery, if known."""
        return self.fault.problem.value if self.fault else None

    def as_response(self) -> dict[str, Any]:
        """Return the receipt as the response of an action."""
        return {
            "status": self.status.value,
            "id": self.id,
            "message_id": self.message_id,
            "server_message_id": self.server_message_id,
            "accepted": list(self.accepted),
            "refused": [
                {"recipient": recipient, "reply": fault.reply}
                for recipient, fault in self.refused.items()
            ],
            "waiting": list(self.waiting),
            "problem": self.problem,
            "reply": self.reply,
            "missing_attachments": missing_attachments(self.missing),
        }


def missing_attachments(missing: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    """Return missing attachments in the form of a response or an event."""
    return [{"attachment": attachment, "reason": reason} for attachment, reason in missing]
