"""The waiting messages in order: stored on disk by the spool, with their state in memory."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
import logging
import time
from typing import BinaryIO

from ..delivery.faults import Fault
from ..delivery.outcome import Outcome
from . import ages
from .aging import Aging
from .brake import WINDOW, Brake
from .disk import FOREIGN
from .duplicates import Duplicates, Original
from .entry import DamagedError, SpoolEntry
from .events import Delivery, Event
from .queued import FailedMessage, InProgressError, QueuedMessage
from .spooled import Contents

_LOGGER = logging.getLogger(__name__)


@dataclass(eq=False)
class Queue(Aging):
    """The outbox of one account; it outlives delivery workers."""

    quarantined: list[str] = field(default_factory=list)
    rejected: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))  # When each was.
    brake: Brake = field(default_factory=Brake)
    duplicates: Duplicates = field(default_factory=Duplicates)
    on_added: Callable[[QueuedMessage], None] | None = None
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> None:
        """Read the messages on disk.

        Raises `OSError` if the folder can neither be created nor read.
        """
        contents: Contents = await asyncio.to_thread(self.spool.open)
        saved = await asyncio.to_thread(ages.load, self.spool.folder)
        self.waiting, self.failed = ages.restore(contents, saved)
        self._sort()
        for queued in self.waiting:
            self._schedule(queued)
        self.delayed = ages.delayed_before(self.waiting, saved)
        self.size = sum(queued.entry.size for queued in self.waiting)
        self._failed_size = sum(each.size for each in self.failed)
        self.quarantined = contents.quarantined
        found = (*contents.waiting, *(failure.spooled for failure in contents.failed))
        times = sorted((spooled.queued_at, spooled.entry.urgent) for spooled in found)
        self.brake.remember((at, urgent) for at, urgent in times if at > time.time() - WINDOW)

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

    def count_rejected(self, oldest: float) -> int:
        """Return how many messages were rejected since a time on the monotonic clock."""
        while self.rejected and self.rejected[0] <= oldest:
            self.rejected.popleft()
        return len(self.rejected)

    def tell_duplicate(self, original: Original, queued: QueuedMessage) -> None:
        """Report that an email came again and was not sent again, once for each email."""
        if not original.has_duplicate:
            original.has_duplicate = True
            self._tell(Event.DUPLICATE, queued, queued.recipients)

    def defer(self, queued: QueuedMessage, fault: Fault | None = None) -> None:
        """Defer a message, and report it once."""
        if fault:
            queued.fault = fault
        if queued.queued_reported or queued.is_dropped:
            return
        queued.queued_reported = True
        self._tell(Event.QUEUED, queued, queued.recipients, queued.fault)
        queued.resolve(waiting=queued.recipients, fault=queued.fault)

    async def settle(self, queued: QueuedMessage, outcome: Outcome) -> None:
        """Settle the accepted and the rejected recipients of a message; the others keep waiting."""
        rejected = tuple(outcome.rejected)
        everybody = queued.recipients
        waiting = queued.apply(outcome)
        if rejected:
            fault = outcome.rejected[rejected[-1]]
            event = Event.of_refusal(fault)
            kept = await self._fail(queued, event, rejected, fault)
        if waiting and waiting != everybody:
            await self._restrict(queued, waiting)
        elif not waiting:
            self._drop(queued)
            if rejected != everybody:
                await self._on_disk(self.spool.delete, queued.spooled)
        if outcome.accepted:
            queued.is_sent = True
            self._tell(Event.SENT, queued, outcome.accepted, reply=outcome.reply)
        if rejected:
            # Only now: if it was canceled before the file is restricted, a crash would restore it.
            await self._add_failed(kept)
            self._tell(event, queued, rejected, fault, kept_as=kept.spooled.id if kept else None)
        queued.conclude(outcome, waiting)

    async def refuse(self, queued: QueuedMessage, fault: Fault) -> None:
        """Settle a message as refused for all recipients."""
        await self.settle(queued, Outcome(refused=dict.fromkeys(queued.recipients, fault)))

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
                if queued in self.under_way:
                    raise InProgressError
                # If the calling automation is stopped, the deletion still finishes.
                await asyncio.shield(asyncio.create_task(self._cancel(queued), eager_start=True))
                return
        await self._discard(self._find_failed(message_id))

    async def _cancel(self, queued: QueuedMessage) -> None:
        """Delete a waiting message; if its file cannot be deleted, it keeps waiting."""
        place, marks = self.waiting.index(queued), self.delayed & {queued.spooled.id}
        self._drop(queued)
        try:
            await asyncio.to_thread(self.spool.delete, queued.spooled)
        except OSError:
            queued.is_dropped = False
            self.waiting.insert(place, queued)
            self._sort()
            self.size += queued.entry.size
            self.delayed |= marks
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
            if failed in self.failed:
                self.check_room(failed.size)
            if not self._take_failed(failed):
                return False
            try:
                spooled = await asyncio.to_thread(self.spool.requeue, failed.failure, time.time())
            except OSError:
                self._put_failed(failed)
                raise
            self._append(QueuedMessage(spooled, time.monotonic(), queued_reported=True))
            return True

    def _append(self, queued: QueuedMessage) -> None:
        """Put a message into the order, and have it tried."""
        self._enter(queued)
        self._listeners.tell(None)
        if self.on_added:
            self.on_added(queued)
        else:
            self.defer(queued)

    async def _restrict(self, queued: QueuedMessage, recipients: Sequence[str]) -> None:
        """Keep a message waiting for some of its recipients only."""
        if restricted := await self._on_disk(self.spool.restrict, queued.spooled, recipients):
            queued.spooled = restricted
        else:
            envelope = replace(queued.entry.envelope, recipients=tuple(recipients))
            queued.spooled = replace(queued.spooled, entry=replace(queued.entry, envelope=envelope))


def _leave_unanswered(_: QueuedMessage) -> None:
    """Keep the caller of a new message waiting."""
