"""The accounts of the fake server and the mail they sent."""

from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property

from .script import Script


@dataclass(kw_only=True)
class Mailbox:
    """One account: its names, its credentials, and its faults."""

    address: str
    password: str
    aliases: tuple[str, ...] = ()
    script: Script = field(default_factory=Script)

    def may_send_as(self, address: str) -> bool:
        """Return whether an address belongs to this mailbox."""
        return address.lower() in {name.lower() for name in (self.address, *self.aliases)}


@dataclass(frozen=True, kw_only=True)
class Received:
    """One message accepted by the server, as it came: its chunks, or none after DATA."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    account: str
    tls_version: str
    message_id_given: str | None
    at: datetime
    chunks: int = 0
    body: str = "7BIT"

    @cached_property
    def message(self) -> EmailMessage:
        """Parse the content."""
        return message_from_bytes(self.content, policy=policy.default)
