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

from ..smtp.faults import Fault
from ..smtp.submission import Outcome, Refusal
from . import ages
from .ages import KEEP_FAILED
from .delivery import Delivery, Event, Verdict
from .disk import FOREIGN
from .item import FailedItem, Item, UnderWayError, UnknownMessageError
from .record import DamagedError, Record
from .room import Room
from .spooled import Contents, Failure

_LOGGER = logging.getLogger(__name__)

MOST_DISCARDED: Final = 100  # Messages that are remembered after they made room for others.


@dataclass(eq=False)
class Queue(Room):
    """The outbox of one account; it outlives what takes its messages to the server."""

    failed: list[FailedItem] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    rejected: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))  # When each was.
    discarded: deque[Failure] = field(default_factory=partial(deque, maxlen=MOST_DISCARDED))
    under_way: Item | None = None
    on_added: Callable[[Item], None] | None = None
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> None:
        """Read what is on disk.

        Raises `OSError` if the folder can be neither made nor read.
        """
        contents: Contents = await asyncio.to_thread(self.spool.open)
        saved = await asyncio.to_thread(ages.load, self.spool.folder)
        self.items, self.failed = ages.restore(contents, saved)
        self.set_aside = contents.set_aside

    async def save_ages(self) -> None:
        """Keep for after a restart how long the messages have been there."""
        measured = ages.measure(self.items, self.failed)
        with suppress(OSError):  # They stay a little longer.
            await asyncio.to_thread(ages.save, self.spool.folder, measured)

    def first(self, now: float) -> Item | None:
        """Return the first in order that may be tried now."""
        return next((item for item in self.items if item.not_before <= now), None)

    async def add(self, record: Record, content: Iterable[bytes]) -> Item:
        """Take a message in, its content in pieces; it is safe when this returns.

        Raises:
            OutboxFullError: If there is no room for it.
            OutboxClosedError: If the account was removed.
            OSError: If it cannot be written; nothing is kept of it.

        """
        async with self._order:
            self.check_room(record.size)
            spooled = await asyncio.to_thread(self.spool.write, record, content, time.time())
            self.disk.note_written()
            item = Item(spooled, time.monotonic(), asyncio.get_running_loop().create_future())
            self._append(item)
        return item

    async def close(self) -> None:
        """Take no more in, for good: the account is removed; who still waits gets an error."""
        self.is_closed = True
        async with self._order:
            pass  # What is being written has come to its end.
        for item in self.items:
            item.resolve(Verdict())

    def await_courier(self) -> None:
        """Let callers wait for the next courier, or for the word that there is none."""
        self.on_added = _leave_unanswered

    @property
    def is_orphaned(self) -> bool:
        """Return whether callers wait for a courier that has not come yet."""
        return self.on_added is _leave_unanswered and not self.is_closed

    def rest(self) -> None:
        """Answer the callers of all that waits, for no courier takes it to the server now."""
        self.on_added = None
        for item in tuple(self.items):
            self.put_off(item)

    async def open_content(self, item: Item) -> BinaryIO | None:
        """Open the file of a message at its content, or return None: it cannot be sent now.

        A file that is missing may come back; what is none of ours is taken out of the way.
        """
        try:
            file = await asyncio.to_thread(self.spool.open_content, item.spooled)
        except DamagedError as error:
            await self.lose(item, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in FOREIGN:
                await self.lose(item, reason)
            elif not item.setbacks:
                _LOGGER.warning(
                    "The message %s is tried again later, for its file cannot be read now: %s",
                    item.spooled.id,
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

    def put_off(self, item: Item, fault: Fault | None = None) -> None:
        """Note that a message has to wait, and tell so the first time."""
        if fault:
            item.fault = fault
        if item.told_queued or item not in self.items:
            return
        item.told_queued = True
        self._tell(Event.QUEUED, item, item.recipients, item.fault)
        item.resolve(Verdict(waiting=item.recipients, fault=item.fault))

    async def settle(self, item: Item, outcome: Outcome) -> None:
        """Note for whom a message was accepted, who is refused for good, and who waits on."""
        gone = tuple(refusal.recipient for refusal in outcome.gone)
        everybody = item.recipients
        waiting = item.take_in(outcome)
        if gone:
            fault = outcome.gone[-1].fault
            event = Event.of_refusal(fault)
            kept = await self._keep_aside(item, event, gone, fault)
        if waiting and waiting != everybody:
            await self._narrow(item, waiting)
        elif not waiting:
            self._drop(item)
            if gone != everybody:
                await self._on_disk(self.spool.delete, item.spooled)
        if outcome.accepted:
            self._tell(Event.SENT, item, outcome.accepted, reply=outcome.reply)
        if gone:
            # Only now: what is canceled before the message is narrowed would come back in a crash.
            await self._add_failed(kept)
            self._tell(event, item, gone, fault, kept_as=kept.spooled.id if kept else None)
        item.conclude(outcome, waiting)

    async def refuse(self, item: Item, fault: Fault) -> None:
        """Note that a message is refused for everybody, for good."""
        refused = tuple(Refusal(recipient, fault) for recipient in item.recipients)
        await self.settle(item, Outcome((), refused))

    async def expire(self, lifetime: float, now: float) -> None:
        """Give up what waits for longer than its lifetime, and forget what failed long ago."""
        if self.next_expiry(lifetime) > now or not await self.check_disk():
            return
        for item in [item for item in self.items if item.born + lifetime <= now]:
            if item is not self.under_way and item in self.items:
                self._drop(item)
                kept = await self._keep_aside(item, Event.EXPIRED, item.recipients, item.fault)
                await self._add_failed(kept)
                self._tell(Event.EXPIRED, item, item.recipients, item.fault)
                item.resolve(Verdict(fault=item.fault))
        for failed in [failed for failed in self.failed if failed.born + KEEP_FAILED <= now]:
            await self._discard(failed)

    def next_expiry(self, lifetime: float) -> float:
        """Return when the next message expires or is forgotten."""
        ends = [item.born + lifetime for item in self.items]
        ends += [failed.born + KEEP_FAILED for failed in self.failed]
        return min(ends, default=inf)

    async def lose(self, item: Item, reason: str = "its file is damaged") -> None:
        """Note that the file of a message is none of ours any more: it cannot be sent."""
        self._drop(item)
        self.set_aside.append(item.spooled.name)
        await self._on_disk(self.spool.set_aside, item.spooled)
        _LOGGER.error("The message %s is lost: %s", item.spooled.id, reason)
        self._tell(Event.FAILED, item, item.recipients)
        item.resolve(Verdict())

    async def cancel(self, message_id: str) -> None:
        """Forget a message that waits or has failed.

        Raises:
            UnknownMessageError: If there is none of that id.
            UnderWayError: If it is being handed to the server.
            OSError: If its file cannot be deleted; it goes on waiting.

        """
        for item in self.items:
            if item.spooled.id == message_id:
                if item is self.under_way:
                    raise UnderWayError
                # An automation that is stopped meanwhile does not stop it half-way.
                await asyncio.shield(asyncio.create_task(self._cancel(item), eager_start=True))
                return
        await self._discard(self._find_failed(message_id))

    async def _cancel(self, item: Item) -> None:
        """Forget a message that waits; one that the disk does not let go goes on waiting."""
        place = self.items.index(item)
        self._drop(item)
        try:
            await asyncio.to_thread(self.spool.delete, item.spooled)
        except OSError:
            self.items.insert(place, item)
            raise
        item.resolve(Verdict())
        self._listeners.tell()

    async def retry(self, message_id: str | None = None) -> int:
        """Let a failed message wait again, or all of them; return how many.

        Raises:
            UnknownMessageError: If none of that id has failed.
            OutboxFullError: If there is no room for one.
            OSError: If one cannot be moved.

        """
        chosen = [self._find_failed(message_id)] if message_id else list(self.failed)
        retried = [await asyncio.shield(self._retry(failed)) for failed in chosen]
        return sum(retried)

    async def _retry(self, failed: FailedItem) -> bool:
        """Let a failed message wait again, unless that was done or it was forgotten meanwhile."""
        async with self._order:
            if failed not in self.failed:
                return False
            self.check_room(failed.failure.spooled.record.size)
            self.failed.remove(failed)
            try:
                spooled = await asyncio.to_thread(self.spool.requeue, failed.failure, time.time())
            except OSError:
                self.failed.append(failed)
                raise
            self._append(Item(spooled, time.monotonic(), told_queued=True))
            return True

    def _append(self, item: Item) -> None:
        """Put a message at the end, and have it tried."""
        self.items.append(item)
        self._listeners.tell()
        if self.on_added:
            self.on_added(item)
        else:
            self.put_off(item)

    def _drop(self, item: Item) -> None:
        """Take a message out of the order."""
        if item in self.items:
            self.items.remove(item)
        self._turned_away = self._turned_away if self.is_full else None

    def _find_failed(self, message_id: str) -> FailedItem:
        """Return the failed message of an id."""
        for failed in self.failed:
            if failed.failure.spooled.id == message_id:
                return failed
        raise UnknownMessageError

    async def _narrow(self, item: Item, recipients: Sequence[str]) -> None:
        """Let a message wait for some of its recipients only."""
        if narrowed := await self._on_disk(self.spool.narrow, item.spooled, recipients):
            item.spooled = narrowed
        else:
            envelope = replace(item.record.envelope, recipients=tuple(recipients))
            item.spooled = replace(item.spooled, record=replace(item.record, envelope=envelope))

    async def _keep_aside(
        self, item: Item, event: Event, recipients: Sequence[str], fault: Fault | None
    ) -> Failure | None:
        """Keep a message that cannot be sent to some of its recipients, if the disk does so."""
        failure = Failure(
            spooled=item.spooled,
            event=event,
            problem=fault.problem if fault else "",
            reply=fault.reply if fault else "",
            failed_at=time.time(),
        )
        return await self._on_disk(self.spool.fail, failure, recipients)

    async def _add_failed(self, kept: Failure | None) -> None:
        """Note what was kept aside, and make room for it."""
        if kept:
            self.failed.append(FailedItem(kept, time.monotonic()))
        while len(self.failed) > self.limits.messages or self._failed_size() > self.limits.size:
            await self._make_room(self.failed[0])

    def _failed_size(self) -> int:
        """Return the bytes of all that is kept aside."""
        return sum(failed.failure.spooled.record.size for failed in self.failed)

    async def _make_room(self, failed: FailedItem) -> None:
        """Forget a failed message before its week is over, and say so."""
        self.discarded.append(failed.failure)
        await self._discard(failed)
        self._listeners.tell(failed.discarded())

    async def _discard(self, failed: FailedItem) -> None:
        """Forget a message that was kept aside."""
        if failed not in self.failed:  # Meanwhile it was, or it waits again.
            return
        self.failed.remove(failed)
        await self._on_disk(self.spool.discard, failed.failure)
        self._listeners.tell()

    def _tell(
        self,
        event: Event,
        item: Item,
        recipients: Sequence[str],
        fault: Fault | None = None,
        *,
        reply: str = "",
        kept_as: str | None = None,
    ) -> None:
        """Tell every listener of a turn of a message, by the id that it can be sent again with."""
        delivery = Delivery(
            event=event,
            id=kept_as or item.spooled.id,
            message_id=item.record.message_id,
            recipients=tuple(recipients),
            hidden=item.record.hidden,
            missing=item.record.missing,
            reply=fault.reply if fault else reply,
            fault=fault,
        )
        self._listeners.tell(delivery)


def _leave_unanswered(_: Item) -> None:
    """Let the caller of a new message wait."""
