"""Send messages: all callers go through `Mailer.send`."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
import logging
import time
from typing import Final

from homeassistant.components.notify import ATTR_TITLE_DEFAULT
from homeassistant.const import __version__
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .callers import async_find_caller_name
from .const import DOMAIN
from .delivery.envelope import Envelope
from .delivery.faults import Problem
from .delivery.route import Route
from .errors import (
    closed_error,
    fault_error,
    flood_error,
    input_error,
    message_errors,
    outbox_errors,
    public_text,
    refusal_error,
)
from .message.compose import compose
from .message.mailbox import Mailbox
from .message.outgoing import OutgoingMessage
from .message.parts import MessageParts
from .outbox.entry import SpoolEntry
from .outbox.events import Delivery, Event, veiled
from .outbox.queue import Queue
from .outbox.queued import QueuedMessage
from .outbox.receipt import Receipt
from .outbox.worker import DeliveryWorker

_LOGGER = logging.getLogger(__name__)

PATIENCE: Final = 10.0  # Seconds; the longest that a caller waits for the server.
PRODUCT: Final = f"Home Assistant {__version__}"


class Mailer:
    """Sends the messages of one account and reports the results."""

    def __init__(
        self,
        hass: HomeAssistant,
        address: str,
        route: Route,
        queue: Queue,
        worker: DeliveryWorker,
        *,
        flood_limit: Callable[[], int],
        sender_address: str = "",
        sender_name: str,
        reply_to: tuple[Mailbox, ...],
    ) -> None:
        """Keep the account and the sender defaults of its messages.

        Args:
            hass: Home Assistant.
            address: The address of the account to send from.
            route: How the account submits messages.
            queue: The outbox, where messages wait.
            worker: The delivery worker that submits them.
            flood_limit: Returns how many messages may be sent within ten minutes.
            sender_address: The From address, if it is not the address that signs in.
            sender_name: The name that recipients see next to the address.
            reply_to: Where replies go.

        """
        self.address = address
        self.sender = Mailbox(sender_address or address, sender_name)
        self.reply_to = reply_to
        self.queue = queue
        self.worker = worker
        self._route = route
        self._flood_limit = flood_limit
        self._hass = hass
        self._order = asyncio.Lock()

    @property
    def size_limit(self) -> int:
        """Return the size of the largest message that is tried, in bytes."""
        return self._route.size_limit

    @property
    def usual_size_limit(self) -> int:
        """Return the size of the largest message that the server usually accepts, in bytes."""
        return self._route.usual_size_limit

    @contextmanager
    def noting_rejection(
        self, recipients: Iterable[Mailbox] = (), title: str | None = None
    ) -> Iterator[None]:
        """Record a message that is rejected before it reaches the outbox.

        Alerts and notify groups ignore errors, so the log and the delivery event show them too.
        """
        try:
            yield
        except HomeAssistantError as error:
            self.note_rejection(error, recipients, title)
            raise

    @callback
    def note_rejection(
        self,
        error: HomeAssistantError,
        recipients: Iterable[Mailbox] = (),
        title: str | None = None,
    ) -> None:
        """Log, count and report why a message is not sent.

        Of a loop that goes on, each message is counted, and only the first ones are reported.

        Args:
            error: The error that the caller gets.
            recipients: The intended recipients, if known, without those of blind copies.
            title: The intended title, if any.

        """
        if not self.queue.brake.may_report(self._flood_limit()):
            self.queue.rejected.append(time.monotonic())
            return
        _LOGGER.warning(
            "An email from %s was rejected before it reached the outbox: %s",
            self.address,
            public_text(self._hass, error, "en"),
        )
        delivery = Delivery(
            event=Event.FAILED,
            title=title or ATTR_TITLE_DEFAULT,
            recipients=tuple(mailbox.envelope for mailbox in recipients),
            problem=error.translation_key,
            text=public_text(self._hass, error, self._hass.config.language),
        )
        self.queue.reject(delivery)

    @callback
    def open_ahead(self, outgoing: OutgoingMessage) -> None:
        """Let the connection be opened while the rest of a message is read, unless it must wait."""
        limit, is_urgent = self._flood_limit(), outgoing.is_urgent
        if outgoing.send_at is None and self.queue.brake.admits(limit, is_urgent=is_urgent):
            self.worker.open_ahead()

    async def send(self, outgoing: OutgoingMessage, context: Context | None = None) -> Receipt:
        """Put a message into the outbox, wait for the server's reply, and return the receipt.

        When this returns, the message is sent or safe on disk. If the caller is canceled
        meanwhile, the message is still sent.

        Args:
            outgoing: The message and its recipients.
            context: The context of the call, which leads to the automation that made it.

        Raises:
            ServiceValidationError: If the message is larger than the server accepts.
            HomeAssistantError: If the server refused it for all recipients, with its reply, or if
                the outbox is full or cannot be written, or if more are sent than the brake allows.

        """
        deadline = self._hass.loop.time() + PATIENCE
        fingerprint = outgoing.fingerprint if outgoing.deduplicate else b""
        if receipt := await self._find_duplicate(fingerprint, outgoing.deduplicate or 0.0):
            return receipt
        self.open_ahead(outgoing)
        self._brake(outgoing, context)
        keeping = self._hass.async_create_task(self._keep(outgoing))
        if fingerprint:
            self.queue.duplicates.add(fingerprint, keeping)
        queued = await asyncio.shield(keeping)
        receipt = await self._wait(queued, deadline)
        if receipt.accepted or receipt.waiting:
            return receipt
        raise self._refusal(receipt)

    async def _find_duplicate(self, fingerprint: bytes, within: float) -> Receipt | None:
        """Return the receipt of a message that was sent a moment ago, or None if there is none."""
        while original := self.queue.duplicates.find(fingerprint, within):
            with suppress(HomeAssistantError):  # It is not in the outbox, so this one may be sent.
                queued = await asyncio.shield(original.keeping)
                self.queue.tell_duplicate(original, queued)
                message_id = queued.entry.message_id
                return Receipt(id=queued.spooled.id, message_id=message_id, is_duplicate=True)
        return None

    def _brake(self, outgoing: OutgoingMessage, context: Context | None) -> None:
        """Refuse a message if too many were sent within ten minutes; report that once."""
        limit, brake = self._flood_limit(), self.queue.brake
        if brake.admit(limit, is_urgent=outgoing.is_urgent):
            return
        error = flood_error(self.address, 2 * limit if outgoing.is_urgent else limit)
        if brake.blame(async_find_caller_name(self._hass, context) or "", limit):
            self.note_rejection(error, outgoing.to + outgoing.cc)
            self.queue.announce()  # The repair names the sender, reported or not.
        else:
            self.queue.rejected.append(time.monotonic())
        raise error

    async def _keep(self, outgoing: OutgoingMessage) -> QueuedMessage:
        """Compose a message and put it into the outbox, in call order."""
        async with self._order:
            with self.noting_rejection(outgoing.to + outgoing.cc, outgoing.title):
                return await self._check_in(outgoing)

    async def _check_in(self, outgoing: OutgoingMessage) -> QueuedMessage:
        """Compose a message, check its size and put it into the outbox."""
        with message_errors():
            entry, content = await self._hass.async_add_executor_job(self._compose, outgoing)
        if content.size > self.size_limit:
            raise input_error(
                "message_over_limit",
                "attachments",
                f"{content.size / 1e6:.1f}",
                limit=f"{self.usual_size_limit / 1e6:.1f}",
            )
        with outbox_errors(self.queue):
            queued = await self.queue.add(entry, content)
        if outgoing.is_urgent:
            self.worker.interrupt()
        return queued

    def _compose(self, outgoing: OutgoingMessage) -> tuple[SpoolEntry, MessageParts]:
        """Build the message and describe it for the outbox; runs in the executor."""
        outgoing = replace(outgoing, reply_to=outgoing.reply_to or self.reply_to)
        composed = compose(outgoing, self.sender, now=dt_util.now(), product=PRODUCT)
        entry = SpoolEntry.of(
            Envelope(composed.sender, composed.recipients, composed.utf8),
            composed.content.size,
            message_id=composed.message_id,
            title=outgoing.title,
            to=tuple(map(str, outgoing.to + outgoing.cc + outgoing.bcc)),
            hidden=outgoing.hidden,
            missing=tuple((each.attachment, each.reason) for each in outgoing.missing),
            urgent=outgoing.is_urgent,
            expires_after=outgoing.expires_after,
            send_at=outgoing.send_at,
            created=dt_util.utcnow(),
        )
        return entry, composed.content

    async def _wait(self, queued: QueuedMessage, deadline: float) -> Receipt:
        """Wait for the first attempt to send a message, at most until the deadline."""
        assert queued.receipt  # noqa: S101 - Only a message from before a restart has none.
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(queued.receipt)
        except TimeoutError:
            self.queue.defer(queued)
            return await asyncio.shield(queued.receipt)

    def _refusal(self, receipt: Receipt) -> HomeAssistantError:
        """Return the error that says why no recipient gets a message."""
        faults = set(receipt.refused.values())
        if not faults and self.queue.is_closed:
            return closed_error()
        if not faults:
            key = "message_expired" if receipt.is_expired else "message_cancelled"
            return HomeAssistantError(translation_domain=DOMAIN, translation_key=key)
        fault = faults.pop()
        if faults or fault.problem is Problem.RECIPIENT_REFUSED:
            return refusal_error(receipt)
        return fault_error(veiled(fault, receipt.hidden), self.address, self._route)
