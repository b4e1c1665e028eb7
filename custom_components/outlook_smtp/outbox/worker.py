"""Submit the messages of one account to the server, in order, until each is settled."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
import logging
from math import inf
import time
from typing import Final

from ..delivery.content import Content
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from ..delivery.route import Route
from .disk_watch import CHECK_AGAIN
from .events import Attempt, Listeners, veiled
from .grace import CutOffError, Grace
from .queue import Queue
from .queued import QueuedMessage
from .schedule import FIRST_DELAY, Hold, Schedule
from .schedule_files import ScheduleFiles

_LOGGER = logging.getLogger(__name__)

MAX_LOST_ANSWERS: Final = 5  # The message may have arrived after each; then it is failed.
MAX_DEFERRALS: Final = 3  # In a row; then the other messages pass.


class DeliveryWorker:
    """A task that submits waiting messages, over one connection that stays open for a while."""

    def __init__(
        self,
        route: Route,
        queue: Queue,
        *,
        lifetime: float,
        schedule: Schedule | None = None,
    ) -> None:
        """Serve a queue over a route.

        Args:
            route: How the account submits messages.
            queue: The waiting messages; it outlives this worker.
            lifetime: How long a message may wait, in seconds.
            schedule: When to try messages; a new one unless given.

        """
        self._route = route
        self._queue = queue
        self._lifetime = lifetime
        self._listeners: Listeners[Attempt] = Listeners()
        self._schedule = schedule or Schedule()
        self._files = ScheduleFiles(self._schedule, queue.spool)
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._grace = Grace()
        self._task: asyncio.Task[None] | None = None
        self._present: tuple[QueuedMessage, ...] = ()
        self._asked_again = False
        self._flushes = 0

    def set_lifetime(self, lifetime: float) -> None:
        """Set how long a message may wait, in seconds; also those that wait already."""
        self._lifetime = lifetime
        self._wake.set()

    def subscribe(self, listener: Callable[[Attempt], None]) -> Callable[[], None]:
        """Call a listener after every submission; return a function that unsubscribes it."""
        return self._listeners.add(listener)

    @property
    def hold(self) -> Hold | None:
        """Return the hold that is in force, if any."""
        hold = self._schedule.hold
        return hold if hold and time.monotonic() < hold.until else None

    @property
    def refusal(self) -> Fault | None:
        """Return why the sign-in was refused, if only the user may have it tried again."""
        return self._schedule.refusal

    def next_try(self, queued: QueuedMessage) -> float:
        """Return when a message is tried next, on the monotonic clock."""
        return max(self._schedule.due, queued.not_before)

    @property
    def next_turn(self) -> float:
        """Return when a message is tried next, on the monotonic clock; infinite if none is."""
        return min(map(self.next_try, self._queue.waiting), default=inf)

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
        await asyncio.wait((self._task,))
        try:
            await self._route.close()
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
            async with self._turn:
                flushes = self._flushes
                check_at = max(self._schedule.check_at, self._schedule.busy_until)
                if unless_refused and time.monotonic() < check_at:
                    return None
                timings = await self._route.check()
        except SubmissionError as error:
            fault = self._schedule.escalate(error.fault, time.monotonic())
            if fault.kind is Kind.TRANSIENT:
                self._schedule.wait(fault, time.monotonic())
            else:
                await self._fail(fault, submitting=False)
                await self._honor(flushes)
            self._queue.note_change()
            raise SubmissionError(fault) from error
        await self._succeed(submitting=False)
        return timings

    async def flush(self) -> None:
        """Try now, even if messages are held or about to be; a refused sign-in is tried once."""
        self._flushes += 1
        self.interrupt()
        await self._release()

    def interrupt(self) -> None:
        """Cut a slow submission short soon, because another message is urgent."""
        self._route.interrupt()

    async def _honor(self, flushes: int) -> None:
        """Try again if a flush was requested since an attempt began."""
        if self._flushes != flushes:
            await self._release()

    async def _release(self) -> None:
        """Reset the holds and delays of all messages."""
        self._schedule.flush()
        self._asked_again = True
        self._queue.make_all_due()
        await self._files.save_hold()
        self._wake.set()

    def _added(self, queued: QueuedMessage) -> None:
        """Wake up for a new message, unless all are held."""
        self._schedule.reset_backoff()
        self._asked_again = True
        self._wake.set()
        if hold := self.hold:
            self._queue.defer(queued, hold.fault)

    async def _run(self) -> None:
        """Keep delivering until the worker stops, whatever happens."""
        while not self._grace.is_over:
            self._wake.clear()
            try:
                await self._take_turn()
            except Exception:
                _LOGGER.exception("Unexpected error in the outbox")
                await self._sleep(FIRST_DELAY)

    async def _take_turn(self) -> None:
        """Try the next due message, or sleep until one is due."""
        if self._queue.disk.error and not await self._queue.check_disk():
            await self._sleep(CHECK_AGAIN)
            return
        now = time.monotonic()
        await self._queue.expire(self._lifetime, now)
        queued = self._queue.first(now)
        if queued and self._schedule.due <= now:
            await self._try(queued)
        else:
            await self._sleep(min(self.next_turn, self._queue.next_expiry(self._lifetime)) - now)

    async def _sleep(self, duration: float) -> None:
        """Sleep for some seconds, or until the delivery worker is woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if duration == inf else duration):
                await self._wake.wait()

    async def _try(self, queued: QueuedMessage) -> None:
        """Submit one message; no error with it blocks the others."""
        self._route.prepare()
        self._present = tuple(self._queue.waiting)
        self._asked_again = False
        with self._queue.trying(queued):
            try:
                await self._take(queued)
            except CutOffError:
                _LOGGER.debug("Message %s will be retried after the next start", queued.spooled.id)
            except Exception:
                # Any error must not block the other messages; this one is retried later.
                _LOGGER.exception("Unexpected error with message %s", queued.spooled.id)
                fault = Fault(Kind.TRANSIENT, Problem.UNFORESEEN)
                await self._back_off(queued, fault, submitting=True)

    async def _take(self, queued: QueuedMessage) -> None:
        """Submit one message, if its file is intact and messages are still not held."""
        if (file := await self._queue.open_content(queued)) is None:
            if not self._queue.disk.error:
                self._wait_for_some(queued)
            return
        with file:
            async with self._grace.until_cut_off():
                await self._turn.acquire()
            flushes = self._flushes
            try:
                # A check may have run in between and found a fault that holds all messages.
                if not self._grace.is_over and self._schedule.due <= time.monotonic():
                    await self._deliver(queued, Content(file, queued.entry.size))
            finally:
                self._turn.release()
            await self._honor(flushes)

    async def _deliver(self, queued: QueuedMessage, content: Content) -> None:
        """Submit a message, and settle the result."""
        started, hidden = time.monotonic(), queued.entry.hidden
        self._schedule.start(started)
        await self._files.save_pace()
        obstacle: Fault | None
        try:
            async with self._grace.until_cut_off():
                # A message that was deferred before may have arrived.
                retried = queued.deferrals > 0
                outcome = await self._route.submit(
                    queued.envelope, content, may_have_arrived=retried
                )
        except SubmissionError as error:
            obstacle = self._schedule.escalate(veiled(error.fault, hidden), time.monotonic())
            self._tell(obstacle, started, submitting=error.submitting)
            self._queue.count_wait(queued)
            await self._settle_fault(queued, obstacle, submitting=error.submitting)
        else:
            obstacle = outcome.obstacle and veiled(outcome.obstacle, hidden)
            self._tell(obstacle, started, submitting=True)
            self._queue.count_wait(queued)
            await self._settle(queued, outcome)
        if obstacle and obstacle.kind is not Kind.MESSAGE:
            # The next try signs in again.
            await self._route.close()

    def _tell(self, fault: Fault | None, started: float, *, submitting: bool) -> None:
        """Report the result of a submission."""
        self._listeners.tell(Attempt(fault, time.monotonic() - started, submitting))

    async def _settle(self, queued: QueuedMessage, outcome: Outcome) -> None:
        """Settle a message that the server has processed."""
        await self._queue.settle(queued, outcome)
        trouble = outcome.trouble
        if outcome.accepted or trouble is None:
            await self._succeed(submitting=bool(outcome.accepted))
        if trouble and not outcome.is_well:
            await self._settle_fault(queued, veiled(trouble, queued.entry.hidden), submitting=True)
        elif queued in self._queue.waiting and not outcome.left:
            self._wait_for_some(queued)

    def _wait_for_some(self, queued: QueuedMessage) -> None:
        """Postpone a message that waits for some of its recipients; other messages continue."""
        self._queue.count_deferral(queued, None)
        self._queue.defer(queued, queued.fault)
        self._postpone(queued)

    async def _settle_fault(self, queued: QueuedMessage, fault: Fault, *, submitting: bool) -> None:
        """Settle a message that no recipient gets now."""
        lost = fault.problem is Problem.ANSWER_LOST
        if lost and self._queue.count_lost_answer(queued) >= MAX_LOST_ANSWERS:
            fault = replace(fault, kind=Kind.MESSAGE)
        if fault.kind is Kind.MESSAGE:
            await self._queue.refuse(queued, fault)
            await self._succeed(submitting=False)
        else:
            await self._back_off(queued, fault, submitting=submitting)
            if self._route.was_interrupted:  # The others go first, over a new connection.
                self._queue.move_to_end(queued)

    async def _back_off(self, queued: QueuedMessage, fault: Fault, *, submitting: bool) -> None:
        """Defer a message, and those behind it."""
        passing = fault.kind is Kind.TRANSIENT
        if passing:
            self._queue.count_deferral(queued, fault, submitting=submitting)
        await self._fail(fault, submitting=submitting)
        if passing and submitting and queued.deferrals >= MAX_DEFERRALS:
            self._postpone(queued)
        self._queue.note_change()

    def _postpone(self, queued: QueuedMessage) -> None:
        """Postpone a message until a while after the next try of the others."""
        until = self._schedule.after_others(queued.deferrals, time.monotonic())
        self._queue.postpone(queued, until)

    async def _succeed(self, *, submitting: bool) -> None:
        """Record that the account was authenticated."""
        self._schedule.succeed(time.monotonic(), submitting=submitting)
        await self._files.save_hold()
        self._wake.set()

    async def _fail(self, fault: Fault, *, submitting: bool) -> None:
        """Record a fault that blocks all messages.

        If another try was requested during this one, it follows at once, unless all are held.
        """
        self._schedule.fail(fault, time.monotonic(), submitting=submitting)
        await self._files.save_hold()
        waiting = tuple(self._queue.waiting)
        if self._asked_again and not self.hold:
            self._schedule.reset_backoff()
            waiting = self._present
        for queued in () if self._grace.is_over else waiting:  # After a stop, `Queue.rest` does it.
            self._queue.defer(queued, fault)
