"""Submit the messages of one account to the server, in order, until each is settled."""

import asyncio
from contextlib import suppress
from dataclasses import replace
import logging
from math import inf
import time
from typing import Final

from ..delivery.content import Content
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .disk_watch import CHECK_AGAIN
from .events import Attempt, veiled
from .grace import CutOffError
from .queued import QueuedMessage
from .schedule import FIRST_DELAY, PROBE_AFTER
from .worker_control import Lane, WorkerControl

_LOGGER = logging.getLogger(__name__)

MAX_LOST_ANSWERS: Final = 5  # The message may have arrived after each; then it is failed.
MAX_DEFERRALS: Final = 3  # In a row; then the other messages pass.


class DeliveryWorker(WorkerControl):
    """A task that submits waiting messages, over one connection that stays open for a while.

    While a message is under way, urgent ones overtake it over a second connection, which is opened
    only then and closed afterwards. An account has no third one.
    """

    _opening: asyncio.Task[None] | None = None
    _overtaking: asyncio.Task[None] | None = None
    _alone_until = -inf  # Until then, the server wants no second connection.

    async def start(self, *, credentials_changed: bool = False) -> None:
        """Start, with the hold from before a restart.

        Args:
            credentials_changed: Whether the credentials that were refused then have been replaced.

        """
        if self._task and not self._grace.is_over:
            return
        await self.stop()  # In case an earlier stop was interrupted.
        await self._files.load(credentials_changed=credentials_changed)
        if credentials_changed:
            self._queue.make_all_due()
        await self._queue.check_disk()
        self._schedule.begin(time.monotonic())
        self._grace.begin()
        self._queue.on_added = self._added
        self._queue.announce()
        self._task = asyncio.create_task(self._run(), name="outlook_smtp delivery worker")

    async def stop(self, *, for_now: bool = False) -> None:
        """Stop; a submission in progress finishes, or is cut off cleanly after a grace period.

        Args:
            for_now: Whether callers keep waiting, for another delivery worker or `Queue.rest`.

        """
        if self._task is None:
            return
        if for_now:
            self._queue.await_worker()
        self._grace.end()
        self._wake.set()
        if self._opening:
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        await asyncio.wait((self._task,))
        try:
            await self._lane.route.close()
        finally:
            self._task = None
            if not for_now:
                self._queue.rest()
        await self._queue.save_ages()

    async def check(self, *, unless_refused: bool = False) -> dict[Stage, float] | None:
        """Check the route, and return how long each stage took, in seconds.

        Args:
            unless_refused: Whether to skip an automatic check, with the result None, if the sign-in
                is known to be refused or the server asked to wait.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """
        try:
            async with self._lane.turn:
                flushes = self._flushes
                check_at = max(self._schedule.check_at, self._schedule.busy_until)
                if unless_refused and time.monotonic() < check_at:
                    return None
                timings = await self._lane.route.check()
        except SubmissionError as error:
            fault = self._schedule.escalate(error.fault, time.monotonic())
            if fault.kind is Kind.TRANSIENT:
                self._schedule.wait(fault, time.monotonic())
            else:
                await self._fail(fault, self._lane, submitting=False)
                await self._honor(flushes)
            self._queue.announce()
            raise SubmissionError(fault) from error
        await self._succeed(submitting=False)
        return timings

    def open_ahead(self) -> None:
        """Open the connection in the background, because a message is about to be added.

        It does nothing if messages are held back, or if the connection is in use.
        """
        is_running = self._task is not None and not self._grace.is_over
        is_free = not self._lane.turn.locked() and (self._opening is None or self._opening.done())
        is_held = self._queue.disk.error or self._schedule.due > time.monotonic()
        if is_running and is_free and not is_held:
            work = self._open_ahead(time.monotonic())
            self._opening = asyncio.create_task(work, name="outlook_smtp opening ahead")

    async def _open_ahead(self, started: float) -> None:
        """Open the connection; a fault is that of the message that waits for it.

        Without such a message, a temporary fault is left to the next one, and others are recorded,
        so that a refused sign-in is not tried again.
        """
        async with self._lane.turn:
            try:
                await self._lane.route.open()
            except SubmissionError as error:
                fault = self._schedule.escalate(error.fault, time.monotonic())
                if self._lane.queued:
                    self._lane.failed = error
                elif fault.kind is Kind.TRANSIENT:
                    self._schedule.wait(fault, time.monotonic())
                else:
                    await self._fail(fault, self._lane, submitting=False)
                    self._tell(fault, started, submitting=False)
                    self._queue.announce()

    async def _run(self) -> None:
        """Keep delivering until the worker stops, whatever happens."""
        while not self._grace.is_over:
            self._wake.clear()
            try:
                await self._take_turn(self._lane)
            except Exception:
                _LOGGER.exception("Unexpected error in the outbox")
                await self._sleep(FIRST_DELAY)

    async def _take_turn(self, lane: Lane) -> None:
        """Try the next due message, or sleep until one is due."""
        urgent = lane is not self._lane
        if self._queue.disk.error and not await self._queue.check_disk():
            await self._sleep(CHECK_AGAIN)
            return
        now = time.monotonic()
        terms, scheduled = self._terms(), self._queue.release(now)
        await self._queue.expire(terms, now)
        queued = self._queue.first(now, urgent=urgent)
        if queued and self._schedule.due <= now:
            try:
                await self._try(queued, lane)
            finally:
                lane.queued = None
                await self._end_overtaking(lane)
            return
        turn = self._schedule.due
        if not queued:
            turn = max(turn, self._queue.next_due(urgent=urgent))
        # What expires meanwhile may be the message under way.
        change = inf if urgent else self._queue.next_change(terms)
        await self._sleep(min(turn, scheduled, change) - now)

    def _begin_overtaking(self) -> None:
        """Let urgent messages overtake the one that is under way."""
        if not self._overtaking and self._alone_until <= time.monotonic():
            self._express = Lane(self._lane.route.beside())
            work = self._overtake(self._express)
            self._overtaking = asyncio.create_task(work, name="outlook_smtp urgent delivery")

    async def _overtake(self, lane: Lane) -> None:
        """Submit urgent messages over a second connection, until the other one is done."""
        try:
            while self._lane.queued and not self._grace.is_over:
                if time.monotonic() < self._alone_until:
                    break
                self._wake.clear()
                await self._take_turn(lane)
        finally:
            self._express = None
            await lane.route.close()

    async def _end_overtaking(self, lane: Lane) -> None:
        """Wait for the end of what overtook the message that was under way."""
        if lane is self._lane and self._overtaking:
            self._wake.set()
            try:
                await self._overtaking
            finally:
                self._overtaking = None

    async def _sleep(self, duration: float) -> None:
        """Sleep for some seconds, or until the delivery worker is woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if duration == inf else duration):
                await self._wake.wait()

    async def _try(self, queued: QueuedMessage, lane: Lane) -> None:
        """Submit one message; no error with it blocks the others."""
        lane.begin(queued, tuple(self._queue.waiting))
        with self._queue.trying(queued):
            try:
                await self._take(queued, lane)
            except CutOffError:
                _LOGGER.debug("Message %s will be retried after the next start", queued.spooled.id)
            except Exception:
                # Any error must not block the other messages; this one is retried later.
                _LOGGER.exception("Unexpected error with message %s", queued.spooled.id)
                fault = Fault(Kind.TRANSIENT, Problem.UNFORESEEN)
                await self._back_off(queued, fault, lane, submitting=True)

    async def _take(self, queued: QueuedMessage, lane: Lane) -> None:
        """Submit one message, if its file is intact and messages are still not held."""
        if (file := await self._queue.open_content(queued)) is None:
            if not self._queue.disk.error:
                self._wait_for_some(queued)
            return
        with file:
            async with self._grace.until_cut_off():
                await lane.turn.acquire()
            flushes = self._flushes
            try:
                # A check may have run in between and found a fault that holds all messages.
                if not self._grace.is_over and self._schedule.due <= time.monotonic():
                    await self._deliver(queued, Content(file, queued.entry.size), lane)
            finally:
                lane.turn.release()
            await self._honor(flushes)

    async def _deliver(self, queued: QueuedMessage, content: Content, lane: Lane) -> None:
        """Submit a message, and settle the result."""
        started, hidden = time.monotonic(), queued.entry.hidden
        self._schedule.start(started)
        await self._files.save_pace()
        obstacle: Fault | None
        try:
            async with self._grace.until_cut_off():
                # A message that was deferred before may have arrived.
                retried = queued.deferrals > 0
                if lane.failed:
                    raise lane.failed
                passable = lane is self._lane and not queued.entry.urgent
                outcome = await lane.route.submit(
                    queued.envelope,
                    content,
                    may_have_arrived=retried,
                    on_begin=self._begin_overtaking if passable else None,
                )
        except SubmissionError as error:
            if self._is_one_too_many(error.fault, lane):
                return
            obstacle = self._schedule.escalate(veiled(error.fault, hidden), time.monotonic())
            self._tell(obstacle, started, submitting=error.submitting)
            self._queue.count_wait(queued)
            await self._settle_fault(queued, obstacle, lane, submitting=error.submitting)
        else:
            obstacle = outcome.obstacle and veiled(outcome.obstacle, hidden)
            self._tell(obstacle, started, submitting=True)
            self._queue.count_wait(queued)
            await self._settle(queued, outcome, lane)
        if obstacle and obstacle.kind is not Kind.MESSAGE:
            # The next try signs in again.
            await lane.route.close()

    def _is_one_too_many(self, fault: Fault, lane: Lane) -> bool:
        """Return whether an urgent message must wait, because the server wants one connection.

        It keeps its place, and no other one overtakes for an hour.
        """
        if fault.problem is not Problem.TOO_MANY_CONNECTIONS or not self._express:
            return False
        self._alone_until = time.monotonic() + PROBE_AFTER
        if lane is self._lane:
            return False
        _LOGGER.debug("The server accepts no second connection: %s", fault.reply)
        self._lane.route.interrupt()
        return True

    def _tell(self, fault: Fault | None, started: float, *, submitting: bool) -> None:
        """Report the result of a submission."""
        self._listeners.tell(Attempt(fault, time.monotonic() - started, submitting))

    async def _settle(self, queued: QueuedMessage, outcome: Outcome, lane: Lane) -> None:
        """Settle a message that the server has processed."""
        await self._queue.settle(queued, outcome)
        trouble = outcome.trouble
        if outcome.accepted or trouble is None:
            await self._succeed(submitting=bool(outcome.accepted))
        if trouble and not outcome.is_well:
            fault = veiled(trouble, queued.entry.hidden)
            await self._settle_fault(queued, fault, lane, submitting=True)
        elif queued in self._queue.waiting and not outcome.left:
            self._wait_for_some(queued)

    def _wait_for_some(self, queued: QueuedMessage) -> None:
        """Postpone a message that waits for some of its recipients; other messages continue."""
        self._queue.count_deferral(queued, None)
        self._queue.defer(queued, queued.fault)
        self._postpone(queued)

    async def _settle_fault(
        self, queued: QueuedMessage, fault: Fault, lane: Lane, *, submitting: bool
    ) -> None:
        """Settle a message that no recipient gets now."""
        lost = fault.problem is Problem.ANSWER_LOST
        if lost and self._queue.count_lost_answer(queued) >= MAX_LOST_ANSWERS:
            fault = replace(fault, kind=Kind.MESSAGE)
        if fault.kind is Kind.MESSAGE:
            await self._queue.refuse(queued, fault)
            await self._succeed(submitting=False)
        else:
            await self._back_off(queued, fault, lane, submitting=submitting)
            if lane.route.was_interrupted:  # The others go first, over a new connection.
                self._queue.move_to_end(queued)

    async def _back_off(
        self, queued: QueuedMessage, fault: Fault, lane: Lane, *, submitting: bool
    ) -> None:
        """Defer a message, and those behind it."""
        passing = fault.kind is Kind.TRANSIENT
        if passing:
            self._queue.count_deferral(queued, fault, submitting=submitting)
        await self._fail(fault, lane, submitting=submitting)
        if passing and submitting and queued.deferrals >= MAX_DEFERRALS:
            self._postpone(queued)
        self._queue.announce()

    def _postpone(self, queued: QueuedMessage) -> None:
        """Postpone a message until a while after the next try of the others."""
        until = self._schedule.after_others(queued.deferrals, time.monotonic())
        self._queue.postpone(queued, until)
