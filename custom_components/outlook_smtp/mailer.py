"""The account's runtime object: every caller's letter goes through `Mailer.send`."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
import logging
from typing import Any, Final

from homeassistant.const import __version__
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .exceptions import (
    closed_error,
    fault_error,
    input_error,
    letter_errors,
    outbox_errors,
    public_text,
    refusal_error,
)
from .message.compose import compose
from .message.content import Content
from .message.letter import Letter, Priority
from .message.mailbox import Mailbox
from .outbox.courier import Courier
from .outbox.delivery import Contact, Delivery, Event, Verdict, veiled
from .outbox.item import Item
from .outbox.queue import Queue
from .outbox.record import Record
from .smtp.account import Account
from .smtp.faults import Problem
from .smtp.submission import Envelope, Refusal

_LOGGER = logging.getLogger(__name__)

DEFAULT_SIZE_LIMIT: Final = 157_286_400  # Bytes; what Microsoft advertises.
PATIENCE: Final = 10.0  # Seconds that a caller waits for the server at most.
URGENT: Final = (Priority.HIGH, Priority.HIGHEST)
PRODUCT: Final = f"Home Assistant {__version__}"


class Status(StrEnum):
    """What became of a message."""

    SENT = "sent"
    PARTIALLY_SENT = "partially_sent"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The word that a message was sent or is safe, for whom, and what the server said.

    `id` is the outbox's name of the message; `waiting` are those for whom it is tried again, and
    `problem` is what blocks delivery, where known. `missing` could not be attached, and `hidden`
    get blind copies.
    """

    id: str
    message_id: str
    server_message_id: str | None
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    waiting: tuple[str, ...]
    reply: str
    problem: Problem | None
    missing: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """Return whether everybody gets the message."""
        if not self.accepted:
            return Status.QUEUED
        return Status.PARTIALLY_SENT if self.refused or self.waiting else Status.SENT

    def as_response(self) -> dict[str, Any]:
        """Return the receipt as an action's response."""
        return {
            "status": self.status.value,
            "id": self.id,
            "message_id": self.message_id,
            "server_message_id": self.server_message_id,
            "accepted": list(self.accepted),
            "refused": [
                {"recipient": refusal.recipient, "reply": refusal.fault.reply}
                for refusal in self.refused
            ],
            "waiting": list(self.waiting),
            "problem": self.problem.value if self.problem else None,
            "reply": self.reply,
            "missing_attachments": missing_attachments(self.missing),
        }

    def raise_for_refused(self) -> None:
        """Raise the error that names the refused recipients, if there are any."""
        if self.refused:
            raise refusal_error(self.refused, self.accepted + self.waiting, self.hidden)


class Mailer:
    """Sends the letters of one account and tells everyone who wants to know how it went."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: Account,
        queue: Queue,
        *,
        lifetime: float,
        sender_address: str = "",
        sender_name: str,
        reply_to: tuple[Mailbox, ...],
    ) -> None:
        """Keep the account and what its letters say of the sender where they do not themselves.

        Args:
            hass: Home Assistant.
            account: Who sends.
            queue: Where messages wait.
            lifetime: How long they may, in seconds.
            sender_address: Who mail is from, if not the address that signs in.
            sender_name: What recipients see beside the address.
            reply_to: Where answers go.

        """
        self.account = account
        self.sender = Mailbox(sender_address or account.address, sender_name)
        self.reply_to = reply_to
        self.queue = queue
        self.courier = Courier(account, queue, lifetime=lifetime, on_contact=self._async_tell)
        self._hass = hass
        self._order = asyncio.Lock()
        self._listeners: set[Callable[[Contact], None]] = set()

    @property
    def size_limit(self) -> int:
        """Return the largest message that the server takes, in bytes."""
        server = self.courier.server_info
        return (server.size_limit if server else None) or DEFAULT_SIZE_LIMIT

    @callback
    def async_subscribe(self, listener: Callable[[Contact], None]) -> CALLBACK_TYPE:
        """Call a listener after every submission; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    @contextmanager
    def noting_rejection(self, recipients: Iterable[Mailbox] = ()) -> Iterator[None]:
        """Leave a trace of a message that is refused before it is in the outbox.

        An alert or a notify group reads no errors; the log and the delivery event do.
        """
        try:
            yield
        except HomeAssistantError as error:
            self.note_rejection(error, recipients)
            raise

    @callback
    def note_rejection(self, error: HomeAssistantError, recipients: Iterable[Mailbox] = ()) -> None:
        """Log, count and announce why a message is not sent.

        Args:
            error: What the caller gets.
            recipients: Who would have got it, if that is known, without those of blind copies.

        """
        _LOGGER.warning(
            "An email of %s was refused before it was in the outbox: %s",
            self.account.address,
            public_text(self._hass, error, "en"),
        )
        delivery = Delivery(
            event=Event.FAILED,
            recipients=tuple(mailbox.envelope for mailbox in recipients),
            problem=error.translation_key,
            text=public_text(self._hass, error, self._hass.config.language),
        )
        self.queue.reject(delivery)

    async def send(self, letter: Letter) -> Receipt:
        """Put a letter into the outbox, and return what the server says if it does so in time.

        Once this returns the message is sent or safe on disk. A caller who is cancelled
        meanwhile leaves a message that is sent all the same.

        Args:
            letter: What to send to whom.

        Raises:
            ServiceValidationError: If the letter is larger than the server takes.
            HomeAssistantError: If the server refused it for everybody, in its own words, or if
                the outbox is full or cannot be written.

        """
        deadline = self._hass.loop.time() + PATIENCE
        item = await asyncio.shield(self._hass.async_create_task(self._keep(letter)))
        verdict = await self._wait(item, deadline)
        if verdict.accepted or verdict.waiting:
            return _receipt(item, verdict)
        raise self._refusal(verdict, item.record.hidden)

    async def _keep(self, letter: Letter) -> Item:
        """Compose a letter and put it into the outbox, in the order of the calls."""
        async with self._order:
            with self.noting_rejection(letter.to + letter.cc):
                return await self._check_in(letter)

    async def _check_in(self, letter: Letter) -> Item:
        """Compose a letter and put it into the outbox, unless one of them refuses it."""
        with letter_errors():
            record, content = await self._hass.async_add_executor_job(self._compose, letter)
        if content.size > self.size_limit:
            raise input_error(
                "message_over_limit",
                "attachments",
                f"{content.size / 1e6:.1f}",
                limit=f"{self.size_limit / 1e6:.1f}",
            )
        with outbox_errors(self.queue):
            item = await self.queue.add(record, content)
        if letter.priority in URGENT:
            self.courier.hurry()
        return item

    def _compose(self, letter: Letter) -> tuple[Record, Content]:
        """Build the message and describe it for the outbox; runs in the executor."""
        letter = replace(letter, reply_to=letter.reply_to or self.reply_to)
        composed = compose(letter, self.sender, now=dt_util.now(), product=PRODUCT)
        record = Record.of(
            Envelope(composed.sender, composed.recipients, composed.utf8),
            composed.content.size,
            message_id=composed.message_id,
            title=letter.title,
            to=tuple(map(str, letter.to + letter.cc + letter.bcc)),
            hidden=letter.hidden,
            missing=tuple((each.attachment, each.reason) for each in letter.missing),
            created=dt_util.utcnow(),
        )
        return record, composed.content

    async def _wait(self, item: Item, deadline: float) -> Verdict:
        """Wait for the first try of a message, or until a time."""
        assert item.verdict  # noqa: S101 - Only a message from before a restart has none.
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(item.verdict)
        except TimeoutError:
            self.queue.put_off(item)
            return await asyncio.shield(item.verdict)

    def _refusal(self, verdict: Verdict, hidden: tuple[str, ...]) -> HomeAssistantError:
        """Return the error that says why nobody gets a message."""
        faults = {refusal.fault for refusal in verdict.refused}
        if not faults and self.queue.is_closed:
            return closed_error()
        if not faults:
            return HomeAssistantError(
                translation_domain=DOMAIN, translation_key="message_cancelled"
            )
        fault = faults.pop()
        if faults or fault.problem is Problem.RECIPIENT_REFUSED:
            return refusal_error(verdict.refused, (), hidden)
        return fault_error(veiled(fault, hidden), self.account.address, self.account.server)

    @callback
    def _async_tell(self, contact: Contact) -> None:
        """Tell every listener how a meeting with the server went."""
        for listener in tuple(self._listeners):
            listener(contact)


def _receipt(item: Item, verdict: Verdict) -> Receipt:
    """Return what the caller is told of a message."""
    fault = verdict.fault
    return Receipt(
        id=item.spooled.id,
        message_id=item.record.message_id,
        server_message_id=verdict.message_id,
        accepted=verdict.accepted,
        refused=verdict.refused,
        waiting=verdict.waiting,
        reply=fault.reply if fault else verdict.reply,
        problem=fault.problem if fault else None,
        missing=item.record.missing,
        hidden=item.record.hidden,
    )


def missing_attachments(missing: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    """Return what could not be attached as a response and an event tell it."""
    return [{"attachment": attachment, "reason": reason} for attachment, reason in missing]
