"""The program that is killed: Home Assistant with the integration and one account, sending letters.

Run as `python -m tests.crash.victim FOLDER`, it imports everything once. For each order, one line
of JSON on its standard input, it makes a new process that brings Home Assistant up in the folder,
with the outbox that the one before has left, and sends letters until it is killed. Both tell what
happens on the standard output, one line an event, written at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import count
import json
import logging
import os
from pathlib import Path
from random import Random
import select
import signal
import sys
import time
from typing import Any, Final, Self

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.outlook_smtp import mailer
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox import schedule
from custom_components.outlook_smtp.outbox.item import Item
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.submission import Outcome
from tests import home

_LOGGER = logging.getLogger("victim")  # The module itself goes by another name here.

LATE: Final = "late@example.com"  # A recipient whom the server may put off.
PLATFORMS: Final = ("binary_sensor", "button", "event", "notify", "sensor")
LONGEST_PAUSE: Final = 0.03  # Seconds between two steps.
BIG: Final = 120_000  # Characters; enough for a write and a submission to take a while.


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one victim does: from which number on it counts, its chances, and whether to finish.

    Letters of one step are sent at once, steps one after another. Who is to finish sends a few
    letters more and ends by itself when the outbox is empty. `clock` is by how many seconds the
    time of day is wrong at the start, and `set_after` after how many steps it is set right.
    """

    number: int
    step: int
    seed: int
    finish: bool
    clock: float = 0.0
    set_after: int | None = None

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read an order."""
        return cls(**json.loads(line))


def outbox_of(folder: Path) -> Path:
    """Return the folder of the account's outbox."""
    return folder / STORAGE_DIR / f"{DOMAIN}.{home.ENTRY_ID}.outbox"


def letter_of(number: int) -> dict[str, Any]:
    """Return a letter; every third has two recipients, and every eighth is big."""
    line = f"This is letter {number}.\n"
    return {
        "to": [f"n{number}@example.com", *([LATE] if number % 3 == 0 else [])],
        "title": f"Letter {number}",
        "message": line * (BIG // len(line) if number % 8 == 0 else 1),
    }


def tell(*words: object) -> None:
    """Tell an event at once; a pipe takes a line of this length whole or not at all."""
    os.write(sys.stdout.fileno(), f"{' '.join(map(str, words))}\n".encode())


class WrongClock:
    """The time of day, wrong by some seconds until it is set; no other clock learns of it."""

    def __init__(self, wrong_by: float) -> None:
        """Take the place of the right one in this process."""
        self._right = time.time
        self._wrong_by = wrong_by
        time.time = self.now

    def now(self) -> float:
        """Return the time of day as this machine believes it."""
        return self._right() + self._wrong_by

    def set_right(self, step: int) -> None:
        """Jump to the right time before a step."""
        if self._wrong_by:
            tell("clock", step)
        self._wrong_by = 0.0


# What happens inside the integration is told by what is put around its functions.


def _told[**P, T](name: str, work: Callable[P, T]) -> Callable[P, T]:
    """Tell when a function begins and ends."""

    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work."""
        tell(f"+{name}")
        try:
            return work(*args, **kwargs)
        finally:
            tell(f"-{name}")

    return told


def _told_awaitable[**P, T](
    name: str, work: Callable[P, Awaitable[T]]
) -> Callable[P, Awaitable[T]]:
    """Tell when a coroutine begins and ends."""

    async def told(*args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work."""
        tell(f"+{name}")
        try:
            return await work(*args, **kwargs)
        finally:
            tell(f"-{name}")

    return told


def _tell_passed(work: Callable[[Queue, float], Item | None]) -> Any:
    """Tell which messages let others pass because they were put off themselves."""

    def first(queue: Queue, now: float) -> Item | None:
        """Return the first that may be tried now."""
        chosen = work(queue, now)
        for item in queue.items:
            if chosen is None or item is chosen:
                break
            if item.not_before > now:
                tell("passed", _number_of(item))
        return chosen

    return first


def _tell_settled(work: Callable[[Queue, Item, Outcome], Awaitable[None]]) -> Any:
    """Tell which messages are gone from the disk, so that nothing may send them again."""

    async def settle(queue: Queue, item: Item, outcome: Outcome) -> None:
        """Settle a message."""
        await work(queue, item, outcome)
        if item not in queue.items:
            tell("settled", _number_of(item))

    return settle


def _number_of(item: Item) -> str:
    """Return the number of a letter that waits."""
    return item.record.title.rpartition(" ")[2]


def instrument() -> None:
    """Tell what goes on inside, and let nothing wait for the sake of a real server."""
    for owner, name, phase, wrap in (
        (mailer, "compose", "compose", _told),
        (Spool, "open", "open", _told),
        (Spool, "write", "write", _told),
        (Session, "open", "connect", _told_awaitable),
        (Session, "submit", "submit", _told_awaitable),
        (Queue, "settle", "settle", _told_awaitable),
    ):
        work = getattr(owner, name)
        told: Any = wrap(phase, work)
        setattr(owner, name, staticmethod(told) if hasattr(work, "__self__") else told)
    pace = schedule.Pace
    for owner, name, value in (
        (Queue, "first", _tell_passed(Queue.first)),
        (Queue, "settle", _tell_settled(Queue.settle)),
        (schedule, "Pace", lambda: pace(per_minute=0)),
        (schedule, "FIRST_DELAY", 0.02),
        (schedule, "LAST_DELAY", 0.1),
    ):
        getattr(owner, name)  # What is gone from there would not be missed.
        setattr(owner, name, value)


class Sender:
    """Sends numbered letters, and acknowledges each whose sending succeeded."""

    def __init__(self, hass: HomeAssistant, order: Order) -> None:
        """Begin where the order says."""
        self._hass = hass
        self._number = order.number
        self._step = order.step
        self._random = Random(order.seed)  # noqa: S311

    async def send_step(self) -> None:
        """Send the letters of a step at once, then perhaps pause."""
        count = self._random.choice((1, 1, 1, 2, 4))
        await asyncio.gather(*(self._send(self._number + index) for index in range(count)))
        self._number += count
        self._step += 1
        if self._random.random() < 0.4:
            tell("+idle")
            await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE))
            tell("-idle")

    async def _send(self, number: int) -> None:
        """Send a letter with the action, as an automation does."""
        tell("call", number, self._step)
        try:
            receipt: Any = await self._hass.services.async_call(
                DOMAIN, "send_message", letter_of(number), blocking=True, return_response=True
            )
        except Exception as error:  # noqa: BLE001 - Whatever it is, the test is told of it.
            tell("error", number, repr(error))
        else:
            tell("ack", number, receipt["status"], receipt["message_id"])


async def live(folder: Path, order: Order) -> None:
    """Send letters until killed, or until all is sent."""
    clock = WrongClock(order.clock)
    hass = await home.start(folder, DOMAIN)
    queue: Queue = home.entry_of(hass, DOMAIN).runtime_data.mailer.queue
    tell("ready", len(queue.items))
    sender = Sender(hass, order)
    steps = count()
    while not order.finish:
        if (step := next(steps)) == order.set_after:
            clock.set_right(step)
        await sender.send_step()
    for _ in range(3):
        await sender.send_step()
    while queue.items or queue.under_way:  # noqa: ASYNC110 - It has no event for that.
        await asyncio.sleep(0.01)
    await hass.async_stop(force=True)


def be_victim(folder: Path, order: Order) -> None:
    """Be the process that is killed."""
    try:
        asyncio.run(live(folder, order))
    except BaseException:
        _LOGGER.exception("The victim died of itself")
        os._exit(1)
    os._exit(0)


def watch(victim: int) -> int:
    """Wait for the end of a victim, end it if the test has gone, and return how it ended."""
    descriptor = os.pidfd_open(victim)
    try:
        ended, _, _ = select.select([descriptor, sys.stdin.fileno()], [], [])
        if descriptor not in ended:
            os.kill(victim, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1])
    finally:
        os.close(descriptor)


def main(folder: Path) -> None:
    """Make one victim after another."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for platform in PLATFORMS:
        import_module(f"homeassistant.components.{platform}")
        import_module(f"custom_components.{DOMAIN}.{platform}")
    import_module("homeassistant.components.application_credentials")
    instrument()
    tell("prepared")
    # Not buffered: whether there is another order is asked of the descriptor itself.
    orders = os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    while line := orders.readline():
        began = time.monotonic()
        if not (victim := os.fork()):
            be_victim(folder, Order.read(line))
        tell("born", victim)
        status = watch(victim)
        tell("dead", status, f"{time.monotonic() - began:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
