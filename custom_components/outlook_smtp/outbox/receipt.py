"""The receipt of a message: how far it got, for the caller that waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..delivery.faults import Fault


class Status(StrEnum):
    """What became of a message."""

    SENT = "sent"
    PARTIALLY_SENT = "partially_sent"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How far a message got: accepted, refused or still waiting, by recipient.

    `id` is the outbox's name of the message. `waiting` are the recipients for whom it is kept and
    tried again, and `fault` is what blocks delivery, where known. `reply` is the server's last
    reply, and `server_message_id` the Message-ID that the server gave the message, if any.
    `missing` are attachments that were not available, each with the reason, and `hidden` the
    recipients of blind copies.
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

    @property
    def status(self) -> Status:
        """Return whether everybody gets the message."""
        if not self.accepted:
            return Status.QUEUED
        return Status.PARTIALLY_SENT if self.refused or self.waiting else Status.SENT

    @property
    def problem(self) -> str | None:
        """Return the key of what blocks delivery, where known."""
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
    """Return missing attachments as a response and an event name them."""
    return [{"attachment": attachment, "reason": reason} for attachment, reason in missing]
