"""Shared helpers of the delivery worker's tests: a worker on a fake server, and passing time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import time
from typing import Any, ClassVar, Final, override
from weakref import WeakKeyDictionary

from freezegun.api import FrozenDateTimeFactory

from custom_components.outlook_smtp.outbox.events import Attempt
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits
from custom_components.outlook_smtp.outbox.schedule import RateLimiter, Schedule
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.terms import Terms
from custom_components.outlook_smtp.outbox.worker import DeliveryWorker
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script
from tests.smtp.helpers import account_on

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
YEAR: Final = 365 * DAY
# Longer than the longest first delay.
NEXT_TRY: Final = 18.5

# One for each meaning and step, which is all that a delivery worker knows of a reply: that each row
# of the catalogue has its meaning is for the route's tests.
DISTINCT: Final = list({(row.meaning, row.step): row for row in reversed(CATALOGUE)}.values())

BUSY = "451 4.7.500 Server busy. Please try again later"
DEFERRED = "450 4.2.1 The mailbox is busy"
REFUSED = "550 5.1.1 User unknown"


class RealTime:
    """The clock that continues while a test freezes time."""

    # Freezing replaces names in modules, not in classes.
    now = staticmethod(time.monotonic)


class WatchedWorker(DeliveryWorker):
    """A delivery worker whose sleep can be observed; one per queue."""

    of: ClassVar[WeakKeyDictionary[Queue, WatchedWorker]] = WeakKeyDictionary()
    is_resting = False

    @override
    async def _sleep(self, duration: float) -> None:
        """Make the sleep observable."""
        self.is_resting = not self._queue.under_way  # Otherwise, only what overtakes sleeps.
        await super()._sleep(duration)
        self.is_resting = False


def worker_on(
    fake_server: FakeServer,
    queue: Queue,
    *,
    attempts: list[Attempt] | None = None,
    lifetime: float = WEEK,
    schedule: Schedule | None = None,
    **account: Any,
) -> WatchedWorker:
    """Return a delivery worker for a queue and a fake server, not yet started."""
    told = [] if attempts is None else attempts
    worker = WatchedWorker.of[queue] = WatchedWorker(
        SmtpRoute(account_on(fake_server, **account)),
        queue,
        terms=lambda: Terms(lifetime),
        schedule=schedule,
    )
    worker.subscribe(told.append)
    return worker


@asynccontextmanager
async def running(
    worker: WatchedWorker, *, credentials_changed: bool = False
) -> AsyncIterator[WatchedWorker]:
    """Start a delivery worker, and stop it at the end."""
    await worker.start(credentials_changed=credentials_changed)
    try:
        yield worker
    finally:
        await worker.stop()


def unpaced() -> Schedule:
    """Return a schedule that lets any number of messages go at once."""
    return Schedule(RateLimiter(per_minute=0))


async def open_queue(folder: Path) -> Queue:
    """Return the queue in a folder, with room for all messages."""
    queue = Queue(Spool(folder), Limits(1000, 500_000_000))
    await queue.open()
    return queue


async def queue_in(queue: Queue) -> Queue:
    """Return a queue on the folder of another one, as after a restart."""
    return await open_queue(queue.spool.folder)


async def queue_for(
    row: Row, fake_server: FakeServer, folder: Path, times: int | None = None
) -> Queue:
    """Return a new queue for one of many rows that share what takes long to set up.

    The server answers with the row, so many times or always, and has received nothing yet.
    """
    fake_server.received.clear()
    fake_server.script = Script.for_row(row, times=times)
    return await open_queue(folder / row.name)


async def all_done(queue: Queue) -> None:
    """Wait until the delivery worker has done everything that is due now."""
    # A timer that is due wakes its task within three turns of the loop.
    for _ in range(5):
        await asyncio.sleep(0)
    await until(lambda: WatchedWorker.of[queue].is_resting)


async def let_pass(freezer: FrozenDateTimeFactory, queue: Queue, seconds: float) -> None:
    """Let time pass at once, and let the delivery worker do what has become due."""
    freezer.tick(seconds)
    await all_done(queue)


def numbers(fake_server: FakeServer) -> list[int]:
    """Return the numbers of the received messages, in order."""
    return [int(mail.message["Subject"]) for mail in fake_server.received]
