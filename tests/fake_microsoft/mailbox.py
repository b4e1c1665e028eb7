"""The accounts of the fake server and the mail they sent."""

from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property

from .script import Script


@dataclass(kw_only=True)
class Mailbox:
    """One account: who it is, what opens it, and what goes wrong for it."""

    address: str
    password: str
    aliases: tuple[str, ...] = ()
    script: Script = field(default_factory=Script)

    def may_send_as(self, address: str) -> bool:
        """Tell whether an address belongs to this mailbox."""
        return address.lower() in {name.lower() for name in (self.address, *self.aliases)}


@dataclass(frozen=True, kw_only=True)
class Received:
    """One message the server took, as it came: in chunks, or in none of them after DATA."""

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
