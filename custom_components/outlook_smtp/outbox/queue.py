"""The waiting messages in order: stored on disk by the spool, with their state in memory."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
import logging
from math import inf
import time
from typing import BinaryIO, Final

from ..delivery.faults import Fault
from ..delivery.outcome import Outcome
from . import ages
from .ages import KEEP_FAILED
from .disk import FOREIGN
from .entry import DamagedError, SpoolEntry
from .events import Delivery, Event
from .queued import FailedMessage, InProgressError, QueuedMessage, UnknownMessageError
from .spooled import Contents, Failure
from .try_order import TryOrder

_LOGGER = logging.getLogger(__name__)

MOST_DISCARDED: Final = 100  # Discarded messages to remember.


@dataclass(eq=False)
class Queue(TryOrder):
    """The outbox of one account; it outlives delivery workers."""

    failed: list[FailedMessage] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    rejected: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))  # When each was.
    discarded: deque[Failure] = field(default_factory=partial(deque, maxlen=MOST_DISCARDED))
    on_added: Callable[[QueuedMessage], None] | None = None
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> None:
        """Read the messages on disk.

        Raises `OSError` if the folder can neither be created nor read.
        """
        contents: Contents = await asyncio.to_thread(self.spool.open)
        saved = await asyncio.to_thread(ages.load, self.spool.folder)
        self.waiting, self.failed = ages.restore(contents, saved)
        self.quarantined = contents.quarantined

    async def save_ages(self) -> None:
        """Save the messages' ages for after a restart."""
        measured = ages.measure(self.waiting, self.failed)
        with suppress(OSError):  # Without it, they stay a little longer.
            await asyncio.to_thread(ages.save, self.spool.folder, measured)

    async def add(self, entry: SpoolEntry, content: Iterable[bytes]) -> QueuedMessage:
        """Add a message, with its content in pieces; it is safely on disk when this returns.

        Raises:
            OutboxFullError: If it does not fit.
            OutboxClosedError: If the account was removed.
            OSError: If it cannot be written; nothing of it remains then.

        """
        async with self._order:
            self.check_room(entry.size)
            spooled = await asyncio.to_thread(self.spool.write, entry, content, time.time())
            self.disk.note_written()
            answer = asyncio.get_running_loop().create_future()
            queued = QueuedMessage(spooled, time.monotonic(), answer)
            self._append(queued)
        return queued

    async def close(self) -> None:
        """Close the outbox because the account is removed; waiting callers get an error."""
        self.is_closed = True
        async with self._order:
            pass  # Any write in progress has finished.
        for queued in self.waiting:
            queued.resolve()

    def await_worker(self) -> None:
        """Let callers wait for the next delivery worker, or until `rest` answers them."""
        self.on_added = _leave_unanswered

    @property
    def is_orphaned(self) -> bool:
        """Return whether callers wait for a delivery worker that has not started yet."""
        return self.on_added is _leave_unanswered and not self.is_closed

    def rest(self) -> None:
        """Answer the callers of all waiting messages, because there is no delivery worker now."""
        self.on_added = None
        for queued in tuple(self.waiting):
            self.defer(queued)

    async def open_content(self, queued: QueuedMessage) -> BinaryIO | None:
        """Open the file of a message at its content, or return None if it cannot be sent now.

        A missing file may come back; a damaged file, or one that is not ours, is quarantined.
        """
        try:
            file = await asyncio.to_thread(self.spool.open_content, queued.spooled)
        except DamagedError as error:
            await self.quarantine(queued, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in FOREIGN:
                await self.quarantine(queued, reason)
            elif not queued.deferrals:
                _LOGGER.warning(
                    "Message %s will be retried later, because its file cannot be read: %s",
                    queued.spooled.id,
                    reason,
                )
        else:
            if await self.check_disk():
                return file
            file.close()  # Otherwise the message would be sent again after each start.
        return None

    def reject(self, delivery: Delivery) -> None:
        """Count a message that is rejected before it reaches the outbox, and notify listeners."""
        self.rejected.append(time.monotonic())
        self._listeners.tell(delivery)

    def defer(self, queued: QueuedMessage, fault: Fault | None = None) -> None:
        """Defer a message, and report it once."""
        if fault:
            queued.fault = fault
        if queued.queued_reported or queued not in self.waiting:
            return
        queued.queued_reported = True
        self._tell(Event.QUEUED, queued, queued.recipients, queued.fault)
        queued.resolve(waiting=queued.recipients, fault=queued.fault)

    async def settle(self, queued: QueuedMessage, outcome: Outcome) -> None:
        """Settle the accepted and the rejected recipients of a message; the others keep waiting."""
        rejected = tuple(outcome.rejected)
        everyone = queued.recipients
        waiting = queued.apply(outcome)
        if rejected:
            fault = outcome.rejected[rejected[-1]]
            event = Event.of_refusal(fault)
            kept = await self._fail(queued, event, rejected, fault)
        if waiting and waiting != everyone:
            await self._restrict(queued, waiting)
        elif not waiting:
            self._drop(queued)
            if rejected != everyone:
                await self._on_disk(self.spool.delete, queued.spooled)
        if outcome.accepted:
            self._tell(Event.SENT, queued, outcome.accepted, reply=outcome.reply)
        if rejected:
            # Only now: if it was canceled before the file is restricted, a crash would restore it.
            await self._add_failed(kept)
            self._tell(event, queued, rejected, fault, kept_as=kept.spooled.id if kept else None)
        queued.conclude(outcome, waiting)

    async def refuse(self, queued: QueuedMessage, fault: Fault) -> None:
        """Settle a message as refused for all recipients."""
        await self.settle(queued, Outcome(refused=dict.fromkeys(queued.recipients, fault)))

    async def expire(self, lifetime: float, now: float) -> None:
        """Expire messages that have waited longer than the lifetime, and delete old failed ones."""
        if self.next_expiry(lifetime) > now or not await self.check_disk():
            return
        for queued in [queued for queued in self.waiting if queued.since + lifetime <= now]:
            if queued is not self.under_way and queued in self.waiting:
                self._drop(queued)
                kept = await self._fail(queued, Event.EXPIRED, queued.recipients, queued.fault)
                await self._add_failed(kept)
                self._tell(Event.EXPIRED, queued, queued.recipients, queued.fault)
                queued.resolve(fault=queued.fault)
        for failed in [failed for failed in self.failed if failed.since + KEEP_FAILED <= now]:
            await self._discard(failed)

    def next_expiry(self, lifetime: float) -> float:
        """Return when the next message expires or is deleted."""
        ends = [queued.since + lifetime for queued in self.waiting]
        ends += [failed.since + KEEP_FAILED for failed in self.failed]
        return min(ends, default=inf)

    async def quarantine(self, queued: QueuedMessage, reason: str = "its file is damaged") -> None:
        """Quarantine a message whose file is damaged or not ours: it cannot be sent."""
        self._drop(queued)
        self.quarantined.append(queued.spooled.name)
        await self._on_disk(self.spool.quarantine, queued.spooled)
        _LOGGER.error("Message %s is lost: %s", queued.spooled.id, reason)
        self._tell(Event.FAILED, queued, queued.recipients)
        queued.resolve()

    async def cancel(self, message_id: str) -> None:
        """Delete a waiting or failed message.

        Raises:
            UnknownMessageError: If no message has that ID.
            InProgressError: If it is being submitted.
            OSError: If its file cannot be deleted; the message keeps waiting.

        """
        for queued in self.waiting:
            if queued.spooled.id == message_id:
                if queued is self.under_way:
                    raise InProgressError
                # If the calling automation is stopped, the deletion still finishes.
                await asyncio.shield(asyncio.create_task(self._cancel(queued), eager_start=True))
                return
        await self._discard(self._find_failed(message_id))

    async def _cancel(self, queued: QueuedMessage) -> None:
        """Delete a waiting message; if its file cannot be deleted, it keeps waiting."""
        place = self.waiting.index(queued)
        self._drop(queued)
        try:
            await asyncio.to_thread(self.spool.delete, queued.spooled)
        except OSError:
            self.waiting.insert(place, queued)
            raise
        queued.resolve()
        self._listeners.tell(None)

    async def retry(self, message_id: str | None = None) -> int:
        """Queue one failed message again, or all of them; return how many.

        Raises:
            UnknownMessageError: If no failed message has that ID.
            OutboxFullError: If a message does not fit.
            OSError: If a file cannot be moved.

        """
        chosen = [self._find_failed(message_id)] if message_id else list(self.failed)
        return sum([await asyncio.shield(self._retry(failed)) for failed in chosen])

    async def _retry(self, failed: FailedMessage) -> bool:
        """Queue a failed message again, unless it was retried or deleted meanwhile."""
        async with self._order:
            if failed not in self.failed:
                return False
            self.check_room(failed.failure.spooled.entry.size)
            self.failed.remove(failed)
            try:
                spooled = await asyncio.to_thread(self.spool.requeue, failed.failure, time.time())
            except OSError:
                self.failed.append(failed)
                raise
            self._append(QueuedMessage(spooled, time.monotonic(), queued_reported=True))
            return True

    def _append(self, queued: QueuedMessage) -> None:
        """Append a message, and have it tried."""
        self.waiting.append(queued)
        self._listeners.tell(None)
        if self.on_added:
            self.on_added(queued)
        else:
            self.defer(queued)

    def _drop(self, queued: QueuedMessage) -> None:
        """Remove a message from the order."""
        if queued in self.waiting:
            self.waiting.remove(queued)
        self._rejected_size = self._rejected_size if self.is_full else None

    def _find_failed(self, message_id: str) -> FailedMessage:
        """Return the failed message with an ID."""
        for failed in self.failed:
            if failed.failure.spooled.id == message_id:
                return failed
        raise UnknownMessageError

    async def _restrict(self, queued: QueuedMessage, recipients: Sequence[str]) -> None:
        """Keep a message waiting for some of its recipients only."""
        if restricted := await self._on_disk(self.spool.restrict, queued.spooled, recipients):
            queued.spooled = restricted
        else:
            envelope = replace(queued.entry.envelope, recipients=tuple(recipients))
            queued.spooled = replace(queued.spooled, entry=replace(queued.entry, envelope=envelope))

    async def _fail(
        self, queued: QueuedMessage, event: Event, recipients: Sequence[str], fault: Fault | None
    ) -> Failure | None:
        """Save a message as failed for some recipients; return None if that does not work."""
        failure = Failure(
            spooled=queued.spooled,
            event=event,
            problem=fault.problem if fault else "",
            reply=fault.reply if fault else "",
            failed_at=time.time(),
        )
        return await self._on_disk(self.spool.fail, failure, recipients)

    async def _add_failed(self, kept: Failure | None) -> None:
        """Record a failed message, and make room for it."""
        if kept:
            self.failed.append(FailedMessage(kept, time.monotonic()))
        while len(self.failed) > self.limits.messages or self._failed_size() > self.limits.size:
            await self._make_room(self.failed[0])

    def _failed_size(self) -> int:
        """Return the total size of the failed messages, in bytes."""
        return sum(failed.failure.spooled.entry.size for failed in self.failed)

    async def _make_room(self, failed: FailedMessage) -> None:
        """Delete a failed message before its week is over, and report that."""
        self.discarded.append(failed.failure)
        await self._discard(failed)
        self._listeners.tell(failed.discarded())

    async def _discard(self, failed: FailedMessage) -> None:
        """Delete a failed message."""
        if failed not in self.failed:  # It was deleted or retried meanwhile.
            return
        self.failed.remove(failed)
        await self._on_disk(self.spool.discard, failed.failure)
        self._listeners.tell(None)

    def _tell(
        self,
        event: Event,
        queued: QueuedMessage,
        recipients: Sequence[str],
        fault: Fault | None = None,
        *,
        reply: str = "",
        kept_as: str | None = None,
    ) -> None:
        """Notify all listeners of an event, with the ID that `retry` accepts."""
        delivery = Delivery(
            event=event,
            id=kept_as or queued.spooled.id,
            message_id=queued.entry.message_id,
            title=queued.entry.title,
            recipients=tuple(recipients),
            hidden=queued.entry.hidden,
            missing=queued.entry.missing,
            reply=fault.reply if fault else reply,
            fault=fault,
        )
        self._listeners.tell(delivery)


def _leave_unanswered(_: QueuedMessage) -> None:
    """Keep the caller of a new message waiting."""
