"""What the tests of the courier share: a courier on a stand-in, and the passing of time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import time
from typing import Any, ClassVar, Final, override
from weakref import WeakKeyDictionary

from freezegun.api import FrozenDateTimeFactory

from custom_components.outlook_smtp.outbox.courier import Courier
from custom_components.outlook_smtp.outbox.delivery import Contact
from custom_components.outlook_smtp.outbox.item import Limits
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.schedule import Pace, Schedule
from custom_components.outlook_smtp.outbox.spool import Spool
from tests.conftest import until
from tests.smtp.helpers import account_on
from tests.standin import StandIn

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
YEAR: Final = 365 * DAY
# Longer than the longest first delay.
NEXT_TRY: Final = 18.5

BUSY = "451 4.7.500 Server busy. Please try again later"
PUT_OFF = "450 4.2.1 The mailbox is busy"
REFUSED = "550 5.1.1 User unknown"


class RealTime:
    """The clock that goes on while a test freezes time."""

    # Freezing replaces what modules hold, not what classes hold.
    now = staticmethod(time.monotonic)


class WatchedCourier(Courier):
    """A courier that can be seen to rest, of which there is one a queue."""

    of: ClassVar[WeakKeyDictionary[Queue, WatchedCourier]] = WeakKeyDictionary()
    is_resting = False

    @override
    async def _sleep(self, duration: float) -> None:
        """Be seen to rest."""
        self.is_resting = True
        await super()._sleep(duration)
        self.is_resting = False


def courier_on(
    standin: StandIn,
    queue: Queue,
    *,
    contacts: list[Contact] | None = None,
    lifetime: float = WEEK,
    schedule: Schedule | None = None,
    **account: Any,
) -> WatchedCourier:
    """Return a courier that takes a queue's messages to a stand-in, not yet started."""
    told = [] if contacts is None else contacts
    courier = WatchedCourier.of[queue] = WatchedCourier(
        account_on(standin, **account),
        queue,
        lifetime=lifetime,
        on_contact=told.append,
        schedule=schedule,
    )
    return courier


@asynccontextmanager
async def running(
    courier: WatchedCourier, *, signed_in_anew: bool = False
) -> AsyncIterator[WatchedCourier]:
    """Start a courier, and stop it in the end."""
    await courier.start(signed_in_anew=signed_in_anew)
    try:
        yield courier
    finally:
        await courier.stop()


def unpaced() -> Schedule:
    """Return a schedule that lets any number of messages go at once."""
    return Schedule(Pace(per_minute=0))


async def queue_in(queue: Queue) -> Queue:
    """Return a queue on the folder of another one, as after a restart."""
    again = Queue(Spool(queue.spool.folder), Limits(1000, 500_000_000))
    await again.open()
    return again


async def all_done(queue: Queue) -> None:
    """Wait until the courier has done all that is due at this moment."""
    # A timer that is due wakes its task within three turns of the loop.
    for _ in range(5):
        await asyncio.sleep(0)
    await until(lambda: WatchedCourier.of[queue].is_resting)


async def let_pass(freezer: FrozenDateTimeFactory, queue: Queue, seconds: float) -> None:
    """Let time pass at once, and the courier do what has become due."""
    freezer.tick(seconds)
    await all_done(queue)


def numbers(standin: StandIn) -> list[int]:
    """Return the numbers of the messages that have arrived, in their order."""
    return [int(mail.message["Subject"]) for mail in standin.received]
