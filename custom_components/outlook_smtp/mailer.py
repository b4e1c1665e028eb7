"""The account's runtime object: every caller's letter goes through `Mailer.send`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
import time
from typing import Any, Final

from homeassistant.const import __version__
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .exceptions import fault_error, input_error, letter_errors, refusal_error
from .message.compose import Composed, compose
from .message.letter import Letter
from .message.mailbox import Mailbox
from .smtp.account import Account
from .smtp.faults import Fault, SubmissionError
from .smtp.probe import Report, probe
from .smtp.session import Envelope, Outcome, Refusal, ServerInfo, Session

DEFAULT_SIZE_LIMIT: Final = 157_286_400  # Bytes; what Microsoft advertises.
PRODUCT: Final = f"Home Assistant {__version__}"


class Status(StrEnum):
    """What became of a message."""

    SENT = "sent"
    PARTIALLY_SENT = "partially_sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The server's word that it took a message, and for whom."""

    message_id: str
    server_message_id: str | None
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: str

    @property
    def status(self) -> Status:
        """Return whether everybody gets the message."""
        return Status.PARTIALLY_SENT if self.refused else Status.SENT

    def as_response(self) -> dict[str, Any]:
        """Return the receipt as an action's response."""
        return {
            "status": self.status.value,
            "message_id": self.message_id,
            "server_message_id": self.server_message_id,
            "accepted": list(self.accepted),
            "refused": [
                {"recipient": refusal.recipient, "reply": refusal.fault.reply}
                for refusal in self.refused
            ],
            "reply": self.reply,
        }

    def raise_for_refused(self) -> None:
        """Raise the error that names the refused recipients, if there are any."""
        if self.refused:
            raise refusal_error(self.refused, self.accepted)


@dataclass(frozen=True, slots=True)
class Contact:
    """One meeting with the server: `fault` is None when it went well; `latency` in seconds.

    `submitting` says that the account was let in and handed in a message: a check proves less.
    """

    fault: Fault | None
    latency: float
    submitting: bool = False


class Mailer:
    """Sends the letters of one account and tells everyone who wants to know how it went."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: Account,
        sender_name: str,
        reply_to: tuple[Mailbox, ...],
    ) -> None:
        """Keep the account and what its letters say of the sender where they do not themselves."""
        self.account = account
        self.sender = Mailbox(account.address, sender_name)
        self.reply_to = reply_to
        self.server_info: ServerInfo | None = None
        self._hass = hass
        self._turn = asyncio.Lock()
        self._listeners: set[Callable[[Contact], None]] = set()

    @property
    def size_limit(self) -> int:
        """Return the largest message that the server takes, in bytes."""
        limit = self.server_info.size_limit if self.server_info else None
        return limit or DEFAULT_SIZE_LIMIT

    @callback
    def async_subscribe(self, listener: Callable[[Contact], None]) -> CALLBACK_TYPE:
        """Call a listener after every submission; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def send(self, letter: Letter) -> Receipt:
        """Submit a letter and return the server's receipt.

        Args:
            letter: What to send to whom.

        Raises:
            ServiceValidationError: If the letter is larger than the server takes.
            HomeAssistantError: If the server or the way to it refused it for everybody; the
                error quotes the server's reply.

        """
        with letter_errors():
            composed = await self._hass.async_add_executor_job(self._compose, letter)
        if len(composed.content) > self.size_limit:
            raise input_error(
                "message_over_limit",
                "attachments",
                f"{len(composed.content) / 1e6:.1f}",
                limit=f"{self.size_limit / 1e6:.1f}",
            )
        outcome = await self._submit(composed)
        if not outcome.accepted:
            raise refusal_error(outcome.refused, ())
        return Receipt(
            message_id=composed.message_id,
            server_message_id=outcome.message_id,
            accepted=outcome.accepted,
            refused=outcome.refused,
            reply=outcome.reply,
        )

    async def check(self) -> Report:
        """Connect, encrypt, verify, sign in and take leave.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """
        async with self._turn:
            report = await probe(self.account)
        self.server_info = report.server_info
        return report

    def _compose(self, letter: Letter) -> Composed:
        """Build the message; runs in the executor."""
        letter = replace(letter, reply_to=letter.reply_to or self.reply_to)
        return compose(letter, self.sender, now=dt_util.now(), product=PRODUCT)

    async def _submit(self, composed: Composed) -> Outcome:
        """Take a turn at the account's one connection and submit."""
        envelope = Envelope(composed.sender, composed.recipients, composed.utf8)
        submitting = False
        async with self._turn:
            started = time.monotonic()
            try:
                async with await Session.open(self.account) as session:
                    self.server_info, submitting = session.server_info, True
                    outcome = await session.submit(envelope, composed.content)
            except SubmissionError as error:
                self._async_tell(error.fault, started, submitting)
                raise fault_error(error.fault, self.account.address, self.account.server) from error
            fault = None if outcome.accepted else outcome.refused[-1].fault
            self._async_tell(fault, started, submitting)
        return outcome

    @callback
    def _async_tell(self, fault: Fault | None, started: float, submitting: bool) -> None:
        """Tell every listener how a submission that started at a time went."""
        contact = Contact(fault, time.monotonic() - started, submitting)
        for listener in tuple(self._listeners):
            listener(contact)
