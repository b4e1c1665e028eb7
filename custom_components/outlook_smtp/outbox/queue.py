"""The messages that wait, in order: on disk by the spool, and what is known of them in memory."""

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
from .queued import FailedMessage, QueuedMessage, UnderWayError, UnknownMessageError
from .spooled import Contents, Failure
from .try_order import TryOrder

_LOGGER = logging.getLogger(__name__)

MOST_DISCARDED: Final = 100  # Messages that are remembered after they made room for others.


@dataclass(eq=False)
class Queue(TryOrder):
    """The outbox of one account; it outlives what takes its messages to the server."""

    failed: list[FailedMessage] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    rejected: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))  # When each was.
    discarded: deque[Failure] = field(default_factory=partial(deque, maxlen=MOST_DISCARDED))
    on_added: Callable[[QueuedMessage], None] | None = None
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> None:
        """Read what is on disk.

        Raises `OSError` if the folder can be neither made nor read.
        """
        contents: Contents = await asyncio.to_thread(self.spool.open)
        saved = await asyncio.to_thread(ages.load, self.spool.folder)
        self.waiting, self.failed = ages.restore(contents, saved)
        self.quarantined = contents.quarantined

    async def save_ages(self) -> None:
        """Keep for after a restart how long the messages have been there."""
        measured = ages.measure(self.waiting, self.failed)
        with suppress(OSError):  # They stay a little longer.
            await asyncio.to_thread(ages.save, self.spool.folder, measured)

    async def add(self, entry: SpoolEntry, content: Iterable[bytes]) -> QueuedMessage:
        """Take a message in, its content in pieces; it is safe when this returns.

        Raises:
            OutboxFullError: If there is no room for it.
            OutboxClosedError: If the account was removed.
            OSError: If it cannot be written; nothing is kept of it.

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
        """Take no more in, for good: the account is removed; who still waits gets an error."""
        self.is_closed = True
        async with self._order:
            pass  # What is being written has come to its end.
        for queued in self.waiting:
            queued.resolve()

    def await_worker(self) -> None:
        """Let callers wait for the next delivery worker, or for the word that there is none."""
        self.on_added = _leave_unanswered

    @property
    def is_orphaned(self) -> bool:
        """Return whether callers wait for a delivery worker that has not come yet."""
        return self.on_added is _leave_unanswered and not self.is_closed

    def rest(self) -> None:
        """Answer the callers of all waiting messages: no delivery worker takes them now."""
        self.on_added = None
        for queued in tuple(self.waiting):
            self.defer(queued)

    async def open_content(self, queued: QueuedMessage) -> BinaryIO | None:
        """Open the file of a message at its content, or return None: it cannot be sent now.

        A file that is missing may come back; what is none of ours is taken out of the way.
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
                    "The message %s is tried again later, for its file cannot be read now: %s",
                    queued.spooled.id,
                    reason,
                )
        else:
            if await self.check_disk():
                return file
            file.close()  # The message would be sent again after each start.
        return None

    def reject(self, delivery: Delivery) -> None:
        """Count a message that is refused before it is kept, and tell every listener."""
        self.rejected.append(time.monotonic())
        self._listeners.tell(delivery)

    def defer(self, queued: QueuedMessage, fault: Fault | None = None) -> None:
        """Note that a message has to wait, and tell so the first time."""
        if fault:
            queued.fault = fault
        if queued.told_queued or queued not in self.waiting:
            return
        queued.told_queued = True
        self._tell(Event.QUEUED, queued, queued.recipients, queued.fault)
        queued.resolve(waiting=queued.recipients, fault=queued.fault)

    async def settle(self, queued: QueuedMessage, outcome: Outcome) -> None:
        """Note for whom a message was accepted, who is refused for good, and who waits on."""
        rejected = tuple(outcome.rejected)
        everybody = queued.recipients
        waiting = queued.take_in(outcome)
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
            self._tell(Event.SENT, queued, outcome.accepted, reply=outcome.reply)
        if rejected:
            # Only now: what is canceled before the file is restricted would come back in a crash.
            await self._add_failed(kept)
            self._tell(event, queued, rejected, fault, kept_as=kept.spooled.id if kept else None)
        queued.conclude(outcome, waiting)

    async def refuse(self, queued: QueuedMessage, fault: Fault) -> None:
        """Note that a message is refused for everybody, for good."""
        await self.settle(queued, Outcome(refused=dict.fromkeys(queued.recipients, fault)))

    async def expire(self, lifetime: float, now: float) -> None:
        """Give up what waits for longer than its lifetime, and forget what failed long ago."""
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
        """Return when the next message expires or is forgotten."""
        ends = [queued.since + lifetime for queued in self.waiting]
        ends += [failed.since + KEEP_FAILED for failed in self.failed]
        return min(ends, default=inf)

    async def quarantine(self, queued: QueuedMessage, reason: str = "its file is damaged") -> None:
        """Note that the file of a message is none of ours any more: it cannot be sent."""
        self._drop(queued)
        self.quarantined.append(queued.spooled.name)
        await self._on_disk(self.spool.quarantine, queued.spooled)
        _LOGGER.error("The message %s is lost: %s", queued.spooled.id, reason)
        self._tell(Event.FAILED, queued, queued.recipients)
        queued.resolve()

    async def cancel(self, message_id: str) -> None:
        """Forget a message that waits or has failed.

        Raises:
            UnknownMessageError: If there is none of that id.
            UnderWayError: If it is being handed to the server.
            OSError: If its file cannot be deleted; it goes on waiting.

        """
        for queued in self.waiting:
            if queued.spooled.id == message_id:
                if queued is self.under_way:
                    raise UnderWayError
                # An automation that is stopped meanwhile does not stop it half-way.
                await asyncio.shield(asyncio.create_task(self._cancel(queued), eager_start=True))
                return
        await self._discard(self._find_failed(message_id))

    async def _cancel(self, queued: QueuedMessage) -> None:
        """Forget a message that waits; one that the disk does not let go goes on waiting."""
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
        """Let a failed message wait again, or all of them; return how many.

        Raises:
            UnknownMessageError: If none of that id has failed.
            OutboxFullError: If there is no room for one.
            OSError: If one cannot be moved.

        """
        chosen = [self._find_failed(message_id)] if message_id else list(self.failed)
        return sum([await asyncio.shield(self._retry(failed)) for failed in chosen])

    async def _retry(self, failed: FailedMessage) -> bool:
        """Let a failed message wait again, unless that was done or it was forgotten meanwhile."""
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
            self._append(QueuedMessage(spooled, time.monotonic(), told_queued=True))
            return True

    def _append(self, queued: QueuedMessage) -> None:
        """Put a message at the end, and have it tried."""
        self.waiting.append(queued)
        self._listeners.tell(None)
        if self.on_added:
            self.on_added(queued)
        else:
            self.defer(queued)

    def _drop(self, queued: QueuedMessage) -> None:
        """Take a message out of the order."""
        if queued in self.waiting:
            self.waiting.remove(queued)
        self._turned_away = self._turned_away if self.is_full else None

    def _find_failed(self, message_id: str) -> FailedMessage:
        """Return the failed message of an id."""
        for failed in self.failed:
            if failed.failure.spooled.id == message_id:
                return failed
        raise UnknownMessageError

    async def _restrict(self, queued: QueuedMessage, recipients: Sequence[str]) -> None:
        """Let a message wait for some of its recipients only."""
        if restricted := await self._on_disk(self.spool.restrict, queued.spooled, recipients):
            queued.spooled = restricted
        else:
            envelope = replace(queued.entry.envelope, recipients=tuple(recipients))
            queued.spooled = replace(queued.spooled, entry=replace(queued.entry, envelope=envelope))

    async def _fail(
        self, queued: QueuedMessage, event: Event, recipients: Sequence[str], fault: Fault | None
    ) -> Failure | None:
        """Keep a message as failed for some of its recipients, if the disk does so."""
        failure = Failure(
            spooled=queued.spooled,
            event=event,
            problem=fault.problem if fault else "",
            reply=fault.reply if fault else "",
            failed_at=time.time(),
        )
        return await self._on_disk(self.spool.fail, failure, recipients)

    async def _add_failed(self, kept: Failure | None) -> None:
        """Note what was kept as failed, and make room for it."""
        if kept:
            self.failed.append(FailedMessage(kept, time.monotonic()))
        while len(self.failed) > self.limits.messages or self._failed_size() > self.limits.size:
            await self._make_room(self.failed[0])

    def _failed_size(self) -> int:
        """Return the bytes of all that is kept as failed."""
        return sum(failed.failure.spooled.entry.size for failed in self.failed)

    async def _make_room(self, failed: FailedMessage) -> None:
        """Forget a failed message before its week is over, and say so."""
        self.discarded.append(failed.failure)
        await self._discard(failed)
        self._listeners.tell(failed.discarded())

    async def _discard(self, failed: FailedMessage) -> None:
        """Forget a message that was kept as failed."""
        if failed not in self.failed:  # Meanwhile it was, or it waits again.
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
        """Tell every listener of a turn of a message, by the id that it can be sent again with."""
        delivery = Delivery(
            event=event,
            id=kept_as or queued.spooled.id,
            message_id=queued.entry.message_id,
            recipients=tuple(recipients),
            hidden=queued.entry.hidden,
            missing=queued.entry.missing,
            reply=fault.reply if fault else reply,
            fault=fault,
        )
        self._listeners.tell(delivery)


def _leave_unanswered(_: QueuedMessage) -> None:
    """Let the caller of a new message wait."""
