"""What the rest of Home Assistant may do with a delivery worker, and what holds it back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
import time

from ..delivery.faults import Fault, SubmissionError
from ..delivery.route import Route
from .events import Attempt, Listeners
from .grace import Grace
from .queue import Queue
from .queued import QueuedMessage
from .schedule import Hold, Schedule
from .schedule_files import ScheduleFiles
from .terms import Terms


@dataclass(eq=False)
class Lane:
    """A connection for one message at a time, and the try over it.

    `queued` is the message of the try, `present` are those that waited when it began, and
    `asked_again` says that another try was requested since. `turn` is held by what uses the route.
    `failed` is why the connection could not be opened ahead for this try, which is its result then.
    """

    route: Route
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    queued: QueuedMessage | None = None
    present: tuple[QueuedMessage, ...] = ()
    asked_again: bool = False
    failed: SubmissionError | None = None

    def begin(self, queued: QueuedMessage, waiting: tuple[QueuedMessage, ...]) -> None:
        """Begin a try of a message, with those that wait now."""
        self.route.prepare()
        self.queued, self.present, self.asked_again = queued, waiting, False
        self.failed = None


class WorkerControl:
    """The holds of a delivery worker, and the ways to wake it."""

    def __init__(
        self,
        route: Route,
        queue: Queue,
        *,
        terms: Callable[[], Terms],
        schedule: Schedule | None = None,
    ) -> None:
        """Serve a queue over a route.

        Args:
            route: How the account submits messages.
            queue: The waiting messages; it outlives this worker.
            terms: Returns how long messages may wait, whenever that is needed.
            schedule: When to try messages; a new one unless given.

        """
        self._lane = Lane(route)
        self._express: Lane | None = None  # For urgent messages, while another is under way.
        self._queue = queue
        self._terms = terms
        self._listeners: Listeners[Attempt] = Listeners()
        self._schedule = schedule or Schedule()
        self._files = ScheduleFiles(self._schedule, queue.spool)
        self._wake = asyncio.Event()
        self._grace = Grace()
        self._task: asyncio.Task[None] | None = None
        self._flushes = 0

    def subscribe(self, listener: Callable[[Attempt], None]) -> Callable[[], None]:
        """Call a listener after every submission; return a function that unsubscribes it."""
        return self._listeners.add(listener)

    @property
    def hold(self) -> Hold | None:
        """Return the hold that is in force, if any."""
        hold = self._schedule.hold
        return hold if hold and time.monotonic() < hold.until else None

    @property
    def is_held(self) -> bool:
        """Return whether the user holds all messages back."""
        return self._schedule.is_held

    async def hold_back(self, *, is_held: bool) -> None:
        """Hold all messages back until the user releases them, or release them."""
        self._schedule.is_held = is_held
        self.wake()
        await self._files.save_hold()
        self._queue.announce()
        for queued in tuple(self._queue.waiting) if is_held else ():
            if queued not in self._queue.under_way:
                self._queue.defer(queued)

    def wake(self) -> None:
        """Look at once what is due, for example because an option has changed."""
        self._wake.set()

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
        return max(self._schedule.due, self._queue.next_due())

    async def flush(self) -> None:
        """Try now, even if messages are held or about to be; a refused sign-in is tried once."""
        self._flushes += 1
        for lane in self._lanes:
            lane.route.interrupt()
        await self._release()

    def interrupt(self) -> None:
        """Cut a slow submission short soon that an urgent message cannot overtake."""
        lane = self._express or self._lane
        if lane.queued is None and not self._queue.first(time.monotonic(), urgent=True):
            lane = self._lane
        if lane.queued:
            lane.route.interrupt()

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        """Return the lanes that may have a message under way."""
        return (self._lane, self._express) if self._express else (self._lane,)

    def _ask_again(self) -> None:
        """Let a try that fails be followed by another one at once."""
        for lane in self._lanes:
            lane.asked_again = True
        self._wake.set()

    async def _honor(self, flushes: int) -> None:
        """Try again if a flush was requested since an attempt began."""
        if self._flushes != flushes:
            await self._release()

    async def _release(self) -> None:
        """Reset the holds and delays of all messages."""
        self._schedule.flush()
        self._queue.make_all_due()
        await self._files.save_hold()
        self._ask_again()

    def _added(self, queued: QueuedMessage) -> None:
        """Wake up for a new message, unless all are held."""
        self._schedule.reset_backoff()
        self._ask_again()
        if hold := self.hold:
            self._queue.defer(queued, hold.fault)
        elif self.is_held or queued.is_scheduled:
            self._queue.defer(queued)

    async def _succeed(self, *, submitting: bool) -> None:
        """Record that the account was authenticated."""
        self._schedule.succeed(time.monotonic(), submitting=submitting)
        await self._files.save_hold()
        self._wake.set()

    async def _fail(self, fault: Fault, lane: Lane, *, submitting: bool) -> None:
        """Record a fault that blocks all messages.

        If another try was requested during this one, it follows at once, unless all are held.
        """
        self._schedule.fail(fault, time.monotonic(), submitting=submitting)
        await self._files.save_hold()
        waiting = tuple(self._queue.waiting)
        if lane.asked_again and not self.hold:
            self._schedule.reset_backoff()
            waiting = lane.present
        elsewhere = self._queue.under_way - {lane.queued}
        for queued in () if self._grace.is_over else waiting:  # After a stop, `Queue.rest` does it.
            if queued not in elsewhere:
                self._queue.defer(queued, fault)
