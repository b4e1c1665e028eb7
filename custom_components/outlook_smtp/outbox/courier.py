"""Takes the messages of one account to the server: in order, in pace, until each is settled."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
import logging
from math import inf
import time
from typing import Final

from ..smtp.account import Account
from ..smtp.content import Content
from ..smtp.faults import Fault, Kind, Problem, SubmissionError
from ..smtp.keeper import SessionKeeper
from ..smtp.probe import Report, probe
from ..smtp.session import ServerInfo
from ..smtp.submission import Outcome
from .delivery import Contact, veiled
from .disk_watch import CHECK_AGAIN
from .grace import CutOffError, Grace
from .item import Item
from .keeping import ScheduleFiles
from .queue import Queue
from .schedule import FIRST_DELAY, Hold, Schedule

_LOGGER = logging.getLogger(__name__)

MAX_LOST_ANSWERS: Final = 5  # After each the message may have arrived; then it is kept aside.
MAX_SETBACKS: Final = 3  # In a row; then a message lets the others pass.


class Courier:
    """One task that submits what waits, over one connection that is kept open for a while."""

    def __init__(
        self,
        account: Account,
        queue: Queue,
        *,
        lifetime: float,
        on_contact: Callable[[Contact], None],
        schedule: Schedule | None = None,
    ) -> None:
        """Serve a queue with an account.

        Args:
            account: Who sends.
            queue: What waits; it is there before and after.
            lifetime: How long a message may wait, in seconds.
            on_contact: Is told of every submission.
            schedule: When what is tried; a new one unless given.

        """
        self._sessions = SessionKeeper(account)
        self._account = account
        self._queue = queue
        self._lifetime = lifetime
        self._on_contact = on_contact
        self._schedule = schedule or Schedule()
        self._files = ScheduleFiles(self._schedule, queue.spool)
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._grace = Grace()
        self._task: asyncio.Task[None] | None = None
        self._present: tuple[Item, ...] = ()
        self._asked_again = False
        self._flushes = 0

    @property
    def server_info(self) -> ServerInfo | None:
        """Return what the server said of itself when it was last met."""
        return self._sessions.server_info

    @property
    def hold(self) -> Hold | None:
        """Return what holds the messages at this moment."""
        hold = self._schedule.hold
        return hold if hold and time.monotonic() < hold.until else None

    @property
    def refusal(self) -> Fault | None:
        """Return why the sign-in was refused, while only a person may have it tried again."""
        return self._schedule.refusal

    def due(self, item: Item) -> float:
        """Return when a message is tried next, on a clock that never jumps."""
        return max(self._schedule.due, item.not_before)

    async def start(self, *, signed_in_anew: bool = False) -> None:
        """Begin, with the hold that was in force before a restart.

        Args:
            signed_in_anew: Whether what was refused then is no longer what signs in.

        """
        if self._task and not self._grace.is_over:
            return
        await self.stop()  # If that was broken off.
        await self._files.load(signed_in_anew=signed_in_anew)
        await self._queue.check_disk()
        self._schedule.begin(time.monotonic())
        self._grace.begin()
        self._queue.on_added = self._added
        self._task = asyncio.create_task(self._run(), name="outlook_smtp courier")

    async def stop(self, *, for_now: bool = False) -> None:
        """End: what is under way is finished, or cleanly interrupted after a moment of grace.

        Args:
            for_now: Whether callers go on waiting, for another courier or `Queue.rest`.

        """
        if self._task is None:
            return
        if for_now:
            self._queue.await_courier()
        self._grace.end()
        self._wake.set()
        await asyncio.wait((self._task,))
        try:
            await self._sessions.close()
        finally:
            self._task = None
            if not for_now:
                self._queue.rest()
        await self._queue.save_ages()

    async def check(self, *, unless_refused: bool = False) -> Report | None:
        """Connect, encrypt, verify, sign in and disconnect.

        Args:
            unless_refused: Whether nobody has asked for it, so that nothing is done about what
                is known to be refused; the result is None then.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """
        try:
            async with self._turn:
                flushes = self._flushes
                if unless_refused and time.monotonic() < self._schedule.check_at:
                    return None
                await self._sessions.close()  # One connection an account.
                report = await probe(self._account)
        except SubmissionError as error:
            fault = self._schedule.judge(error.fault, time.monotonic())
            if fault.kind is not Kind.TRANSIENT:
                await self._fail(fault, by_mail=False)
                await self._honor(flushes)
            raise SubmissionError(fault) from error
        self._sessions.server_info = report.server_info
        await self._succeed(by_mail=False)
        return report

    async def flush(self) -> None:
        """Try now, whatever holds the messages, or will; what was refused is tried once."""
        self._flushes += 1
        self.hurry()
        await self._release()

    def hurry(self) -> None:
        """Let no message that takes long keep the others: somebody waits for one of them."""
        self._sessions.hurry()

    async def _honor(self, flushes: int) -> None:
        """Try again if somebody has asked for it since a meeting with the server began."""
        if self._flushes != flushes:
            await self._release()

    async def _release(self) -> None:
        """Forget all that keeps the messages waiting."""
        self._schedule.flush()
        self._asked_again = True
        for item in self._queue.items:
            item.not_before = -inf
        await self._files.save_hold()
        self._wake.set()

    def _added(self, item: Item) -> None:
        """Try anew when there is a new message, unless all are held."""
        self._schedule.hurry()
        self._asked_again = True
        self._wake.set()
        if hold := self.hold:
            self._queue.put_off(item, hold.fault)

    async def _run(self) -> None:
        """Go on until all has to end, whatever happens."""
        while not self._grace.is_over:
            self._wake.clear()
            try:
                await self._take_turn()
            except Exception:
                _LOGGER.exception("Unforeseen trouble in the outbox")
                await self._sleep(FIRST_DELAY)

    async def _take_turn(self) -> None:
        """Try what is due, or sleep until something is."""
        if self._queue.disk.error and not await self._queue.check_disk():
            await self._sleep(CHECK_AGAIN)
            return
        now = time.monotonic()
        await self._queue.expire(self._lifetime, now)
        item = self._queue.first(now)
        if item and self._schedule.due <= now:
            await self._try(item)
        else:
            turn = min(map(self.due, self._queue.items), default=inf)
            await self._sleep(min(turn, self._queue.next_expiry(self._lifetime)) - now)

    async def _sleep(self, duration: float) -> None:
        """Wait for a time, or until somebody wakes the courier."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if duration == inf else duration):
                await self._wake.wait()

    async def _try(self, item: Item) -> None:
        """Take one message to the server, and let no trouble with it keep the others."""
        self._queue.under_way = item
        self._sessions.take_time()
        self._present = tuple(self._queue.items)
        self._asked_again = False
        try:
            await self._take(item)
        except CutOffError:
            _LOGGER.debug("The message %s is tried again after the next start", item.spooled.id)
        except Exception:
            # Whatever it is, it must not keep the other messages: it is tried again later.
            _LOGGER.exception("Unforeseen trouble with the message %s", item.spooled.id)
            await self._put_off(item, Fault(Kind.TRANSIENT, Problem.UNFORESEEN), handed_in=True)
        finally:
            self._queue.under_way = None

    async def _take(self, item: Item) -> None:
        """Take one message to the server, if its file is what it was and nothing came between."""
        if (file := await self._queue.open_content(item)) is None:
            if not self._queue.disk.error:
                self._defer(item)
            return
        with file:
            async with self._grace.until_cut_off():
                await self._turn.acquire()
            flushes = self._flushes
            try:
                # A check may have had its turn before, and may have met what holds all messages.
                if not self._grace.is_over and self._schedule.due <= time.monotonic():
                    await self._deliver(item, Content(file, item.record.size))
            finally:
                self._turn.release()
            await self._honor(flushes)

    async def _deliver(self, item: Item, content: Content) -> None:
        """Hand a message to the server, and settle what comes of it."""
        started, hidden = time.monotonic(), item.record.hidden
        self._schedule.start(started)
        await self._files.save_pace()
        obstacle: Fault | None
        try:
            async with self._grace.until_cut_off():
                # What was put off before may have arrived.
                careful = item.setbacks > 0
                outcome = await self._sessions.submit(item.envelope, content, careful=careful)
        except SubmissionError as error:
            obstacle = self._schedule.judge(veiled(error.fault, hidden), time.monotonic())
            self._tell(obstacle, started, handed_in=error.handed_in)
            item.note_try()
            await self._settle_fault(item, obstacle, handed_in=error.handed_in)
        else:
            obstacle = outcome.obstacle and veiled(outcome.obstacle, hidden)
            self._tell(obstacle, started, handed_in=True)
            item.note_try()
            await self._settle(item, outcome)
        if obstacle and obstacle.kind is not Kind.MESSAGE:
            # The next try signs in anew.
            await self._sessions.close()

    def _tell(self, fault: Fault | None, started: float, *, handed_in: bool) -> None:
        """Tell how a meeting with the server went; who hears it must not keep the messages."""
        try:
            self._on_contact(Contact(fault, time.monotonic() - started, handed_in))
        except Exception:
            _LOGGER.exception("Unforeseen trouble with who follows the outbox")

    async def _settle(self, item: Item, outcome: Outcome) -> None:
        """Settle a message that the server took in hand."""
        await self._queue.settle(item, outcome)
        trouble = outcome.trouble
        if outcome.accepted or trouble is None:
            await self._succeed(by_mail=bool(outcome.accepted))
        if trouble and not outcome.is_well:
            await self._settle_fault(item, veiled(trouble, item.record.hidden), handed_in=True)
        elif item in self._queue.items and not outcome.left:
            self._defer(item)

    def _defer(self, item: Item) -> None:
        """Let a message wait for some of its recipients; the others go on."""
        item.tries += 1
        item.setbacks += 1
        self._queue.put_off(item, item.fault)
        self._set_back(item)

    async def _settle_fault(self, item: Item, fault: Fault, *, handed_in: bool) -> None:
        """Settle a message that nobody gets now."""
        if fault.problem is Problem.ANSWER_LOST:
            item.lost_answers += 1
            if item.lost_answers >= MAX_LOST_ANSWERS:
                fault = replace(fault, kind=Kind.MESSAGE)
        if fault.kind is Kind.MESSAGE:
            await self._queue.refuse(item, fault)
            await self._succeed(by_mail=False)
        else:
            await self._put_off(item, fault, handed_in=handed_in)
            if self._sessions.was_broken_off:  # The others go first, over a fresh connection.
                self._queue.items.sort(key=lambda each: each is item)

    async def _put_off(self, item: Item, fault: Fault, *, handed_in: bool) -> None:
        """Let a message wait, and those behind it."""
        passing = fault.kind is Kind.TRANSIENT
        if passing:
            item.note_put_off(fault, handed_in=handed_in)
        await self._fail(fault, by_mail=handed_in)
        if passing and handed_in and item.setbacks >= MAX_SETBACKS:
            self._set_back(item)

    def _set_back(self, item: Item) -> None:
        """Let the others pass a message for a while after they are tried again."""
        item.not_before = self._schedule.after_others(item.setbacks, time.monotonic())

    async def _succeed(self, *, by_mail: bool) -> None:
        """Note that the account was let in."""
        self._schedule.succeed(time.monotonic(), by_mail=by_mail)
        await self._files.save_hold()
        self._wake.set()

    async def _fail(self, fault: Fault, *, by_mail: bool) -> None:
        """Note what stands in the way of all messages.

        Whoever asked for a try while one was under way gets another one, unless all are held.
        """
        self._schedule.fail(fault, time.monotonic(), by_mail=by_mail)
        await self._files.save_hold()
        items = tuple(self._queue.items)
        if self._asked_again and not self.hold:
            self._schedule.hurry()
            items = self._present
        for item in () if self._grace.is_over else items:  # That is up to whoever ends it.
            self._queue.put_off(item, fault)
