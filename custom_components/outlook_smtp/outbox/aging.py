"""What time does to the messages of an outbox: they become due, are delayed, and expire."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
import time
from typing import Final, override

from . import ages
from .ages import KEEP_FAILED
from .events import Event
from .failures import Failures
from .queued import FailedMessage, QueuedMessage
from .terms import Terms

RECHECK_AFTER: Final = 60.0  # Seconds until the clock is read again: it may have been set.
SAVE_AGAIN: Final = 60.0  # Seconds between two savings of the messages that were delayed.
SAVE_FAILED_AGAIN: Final = 86_400.0  # Seconds; failed messages stay for a week, give or take.
TOLD_AT_ONCE: Final = 50  # Events without a break for the rest of Home Assistant.


@dataclass(eq=False)
class Aging(Failures):
    """Follows how long messages wait.

    The times of the next changes are lower bounds, so that neither a new message nor one that is
    sent leads to a look at all others, which follows only when such a time has come. `delayed` are
    the IDs of waiting messages that were reported as delayed.
    """

    delayed: set[str] = field(default_factory=set)
    _terms: Terms | None = None
    _next_change: float = -inf
    _next_delay: float = -inf
    _saved_at: float = -inf
    _is_saved: bool = True
    _scheduled: list[tuple[float, int, QueuedMessage]] = field(default_factory=list)

    async def expire(self, terms: Terms, now: float) -> None:
        """Expire messages that have waited for too long, and delete old failed ones.

        Args:
            terms: How long messages may wait.
            now: The time, on the monotonic clock.

        """
        if self.next_change(terms) > now or not await self.check_disk():
            return
        for queued in [queued for queued in self._begun() if terms.expiry(queued) <= now]:
            if queued not in self.under_way and not queued.is_dropped:
                await self._expire(queued)
        for failed in [failed for failed in self.failed if failed.since + KEEP_FAILED <= now]:
            await self._discard(failed)
        self._next_change = -inf

    async def tell_delayed(self, terms: Terms, now: float) -> None:
        """Report messages that have waited for longer than expected, each of them once."""
        self._follow(terms)
        if self._next_delay > now:
            return
        late = [
            queued
            for queued in self._punctual()
            if terms.delayed_at(queued) <= now < terms.expiry(queued)
        ]
        for position, queued in enumerate(late, 1):
            if not queued.is_dropped:
                self.delayed.add(queued.spooled.id)
                self._tell(Event.DELAYED, queued, queued.recipients, queued.fault)
            if position % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        due = (terms.delayed_at(queued) for queued in self._punctual())
        self._next_delay = min((at for at in due if at > now), default=inf)
        self._is_saved = self._is_saved and not late
        if not self._is_saved and now >= self._saved_at + SAVE_AGAIN:
            await self.save_ages()
        elif not self._is_saved:
            self._next_delay = min(self._next_delay, self._saved_at + SAVE_AGAIN)

    async def save_ages(self) -> None:
        """Save the messages' ages, and which are delayed, for after a restart."""
        self._saved_at, self._is_saved = time.monotonic(), True
        measured = ages.measure(self._begun(), self.failed, self.delayed)
        with suppress(OSError):  # Without it, they stay a little longer.
            await asyncio.to_thread(ages.save, self.spool.folder, measured)

    async def keep_ages(self) -> None:
        """Save the messages' ages now and then; those of failed messages alone once a day."""
        if self._begun() or time.monotonic() >= self._saved_at + SAVE_FAILED_AGAIN:
            await self.save_ages()

    def next_change(self, terms: Terms) -> float:
        """Return when the next message may expire or be deleted."""
        self._follow(terms)
        if self._next_change == -inf:
            ends = [terms.expiry(queued) for queued in self._begun()]
            ends += [failed.since + KEEP_FAILED for failed in self.failed]
            self._next_change = min(ends, default=inf)
        return self._next_change

    def release(self, now: float) -> float:
        """Let scheduled messages be tried whose time has come; return when to look again.

        Args:
            now: The time, on the monotonic clock. The schedule itself is by the time of day.

        """
        while self._scheduled and self._scheduled[0][0] <= time.time():
            _, _, queued = heappop(self._scheduled)
            queued.begin(now)
            self._watch(queued)
        if not self._scheduled:
            return inf
        return now + min(self._scheduled[0][0] - time.time(), RECHECK_AFTER)

    def count_wait(self, queued: QueuedMessage) -> None:
        """Add the time that a message waited before the start, now that it was tried."""
        queued.since = min(queued.since, queued.known)
        self._watch(queued)

    @override
    def _enter(self, queued: QueuedMessage) -> None:
        """Put a message into the order; one with a time to be sent at is not tried before."""
        super()._enter(queued)
        self._schedule(queued)
        self._watch(queued)

    @override
    def _drop(self, queued: QueuedMessage) -> None:
        """Remove a message from the order."""
        super()._drop(queued)
        self.delayed.discard(queued.spooled.id)

    @override
    def _put_failed(self, failed: FailedMessage) -> None:
        """Append a failed message, which is deleted when its week is over."""
        super()._put_failed(failed)
        self._next_change = min(self._next_change, failed.since + KEEP_FAILED)

    def _schedule(self, queued: QueuedMessage) -> None:
        """Do not let a message be tried before its time."""
        send_at = queued.entry.send_at
        if send_at and (due := send_at.timestamp()) > time.time():
            queued.is_scheduled, queued.not_before = True, inf
            heappush(self._scheduled, (due, queued.spooled.sequence, queued))

    def _begun(self) -> list[QueuedMessage]:
        """Return the waiting messages whose time has begun."""
        return [queued for queued in self.waiting if not queued.is_scheduled]

    def _punctual(self) -> Iterable[QueuedMessage]:
        """Return the waiting messages that are not known to be delayed."""
        return [queued for queued in self._begun() if queued.spooled.id not in self.delayed]

    def _follow(self, terms: Terms) -> None:
        """Look at all messages again when the terms have changed."""
        if terms != self._terms:
            self._terms = terms
            self._next_change = self._next_delay = -inf

    def _watch(self, queued: QueuedMessage) -> None:
        """Do not let a message be overlooked that is new, or older than was known."""
        if self._terms and not queued.is_scheduled:
            self._next_change = min(self._next_change, self._terms.expiry(queued))
            self._next_delay = min(self._next_delay, self._terms.delayed_at(queued))

    async def _expire(self, queued: QueuedMessage) -> None:
        """Keep a message as failed because it could not be sent in its time."""
        self._drop(queued)
        kept = await self._fail(queued, Event.EXPIRED, queued.recipients, queued.fault)
        await self._add_failed(kept)
        self._tell(Event.EXPIRED, queued, queued.recipients, queued.fault)
        queued.resolve(fault=queued.fault, is_expired=True)
