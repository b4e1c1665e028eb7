"""What is measured: each scenario is a function and a row, or a row alone."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from math import inf
from statistics import median
import sys
import time
from typing import Any, Final, NamedTuple

from homeassistant.util import dt as dt_util

from tests import home
from tests.cameras import PICTURE, add_camera

from .meters import CPU, MEMORY, STALL, STORED, SYNCS, TIME, WRITTEN, Figures
from .senders import (
    BUILTIN,
    OURS,
    OVER_GRAPH,
    PIPELINING,
    PLAIN,
    POLL_INTERVAL,
    Code,
    Integration,
    Ours,
    Sender,
    Waiting,
    Way,
)
from .servers import DEAD, SILENT

type Meter = AbstractAsyncContextManager[None]

ATTACHED: Final = "picture.jpg"  # About as much as Microsoft Graph takes.
BIG: Final = tuple(f"picture-{number}.jpg" for number in range(1, 5))  # Together 20 MB.
FILES: Final = {ATTACHED: 2_000_000, **dict.fromkeys(BIG, 5_000_000)}  # Bytes.
ROUND_TRIPS, FASTER = "Round trips a message", "Faster"  # Than the first way.
ADDING, AGAIN = "Adding one more (ms)", "Again (ms)"


async def one_by_one(sender: Sender, count: int, meter: Meter, files: Sequence[str] = ()) -> None:
    """Send messages one after another."""
    async with meter:
        for _ in range(count):
            await sender.send(*files)


async def burst(sender: Sender, count: int, meter: Meter) -> None:
    """Send messages that are submitted all at once."""
    send = sender.queue if isinstance(sender, Ours) else sender.send
    async with meter:
        await asyncio.gather(*(send() for _ in range(count)))
        await sender.settle()


async def queue(ours: Ours, count: int, meter: Meter) -> None:
    """Send messages that wait in the outbox."""
    worker = ours.runtime.mailer.worker
    await worker.stop()
    await asyncio.gather(*(ours.queue() for _ in range(count)))
    async with meter:
        await worker.start()
        await ours.settle()


async def overtake(ours: Ours, _: int, meter: Meter) -> None:
    """Send an urgent message while one of 20 MB has been under way for a second."""
    async with asyncio.TaskGroup() as tasks:
        video = tasks.create_task(ours.queue(*BIG))
        while not ours.runtime.queue.under_way:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)
        await asyncio.sleep(1)
        async with meter:
            await ours.queue(priority="high")
        if await video == "sent":
            raise RuntimeError("the large message was not under way anymore")


async def snapshot(ours: Ours, _: int, meter: Meter) -> None:
    """Send the picture of a camera that takes a second, measured from the picture on."""
    is_taken = asyncio.Event()

    async def take() -> bytes:
        """Return a picture of 100 KB after a second."""
        await asyncio.sleep(1)
        is_taken.set()
        return PICTURE + bytes(100_000)

    await add_camera(ours.hass, "Door", take)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(ours.send("camera/camera.door"))
        await is_taken.wait()
        async with meter:
            await sending


async def wear(sender: Sender, count: int, meter: Meter) -> None:
    """Send messages one after another, and wait for what is written after each."""
    async with meter:
        for _ in range(count):
            await sender.send()
            await sender.settle()


async def idle(sender: Integration, _: int, meter: Meter) -> None:
    """Let all timers of a day go off, without waiting for them, and send nothing."""
    # Imported late: it changes Home Assistant in ways that the other scenarios must not see.
    from pytest_homeassistant_custom_component.common import (  # noqa: PLC0415
        async_fire_time_changed,
    )

    async with meter:
        for minute in range(1, 24 * 60 + 1):
            span = next(span for span in (60, 30, 10, 1) if minute % span == 0)
            due = dt_util.utcnow() + timedelta(minutes=span, seconds=1)
            async_fire_time_changed(sender.hass, due)
            await sender.hass.async_block_till_done(wait_background_tasks=True)


async def many(account: Waiting, _: int, meter: Meter) -> Figures:
    """Set an account up whose outbox has many messages, then add some."""
    async with meter:
        await account.add_account()
    assert len(account.runtime.queue.waiting) == account.waiting
    return {ADDING: median([await timed(account.queue()) for _ in range(50)])}


async def set_up(account: Waiting, _: int, meter: Meter) -> Figures:
    """Set an account up, which loads the code, and then again."""
    async with meter:
        await account.add_account()
    durations, entries = [], account.hass.config_entries
    for _ in range(5):
        assert await entries.async_unload(home.ENTRY_ID)
        durations.append(await timed(entries.async_setup(home.ENTRY_ID)))
    return {AGAIN: median(durations)}


async def load(code: Code, _: int, meter: Meter) -> Figures:
    """Load an integration, in a process without Home Assistant."""
    command = (sys.executable, "-m", "benchmarks.imports", code.package)
    async with meter:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        output = await process.communicate()
    return {TIME: float(output[0])}


async def timed(work: Awaitable[object]) -> float:
    """Return how many milliseconds something takes."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


class Scenario(NamedTuple):
    """What is measured: what sends, by which ways, and the figures that the page shows.

    Each way has the longest delay at which it is measured, in milliseconds. One message is sent
    before if a connection must be `warm`. Without `messages`, none must arrive, and the figures are
    those of the whole. `uplink` is the bandwidth of the line, in bytes a second. A function may
    return figures of its own.
    """

    send: Callable[[Any, int, Meter], Awaitable[Figures | None]]
    ways: Mapping[Way, float]
    columns: Sequence[str]
    messages: int = 1
    warm: bool = False
    uplink: float = inf


SMTP: Final = dict.fromkeys((BUILTIN, PLAIN, OURS, PIPELINING), inf)
ALL: Final = SMTP | {OVER_GRAPH: inf}
BOTH_ROUTES: Final = {OURS: inf, OVER_GRAPH: inf}
ACTIONS: Final = dict.fromkeys((BUILTIN, OURS, OVER_GRAPH), 0)
SIZES: Final = (10, 1000, 10_000)
WAITING: Final = [Way(f"{size:,} waiting", partial(Waiting, waiting=size)) for size in SIZES]
SET_UP: Final = [Way("alive", Waiting), Way("dead", Waiting, DEAD), Way("silent", Waiting, SILENT)]
CODES: Final = [
    Way("ntfy", partial(Code, package="homeassistant.components.ntfy")),
    Way("outlook_smtp", partial(Code, package="custom_components.outlook_smtp")),
]
SPEED: Final = (TIME, ROUND_TRIPS, FASTER)
EFFORT: Final = (STALL, MEMORY, CPU)
DISK: Final = (CPU, WRITTEN, STORED, SYNCS)
attached, big = partial(one_by_one, files=[ATTACHED]), partial(one_by_one, files=BIG)
SCENARIOS: Final = {
    "cold": Scenario(one_by_one, ALL, (*SPEED, CPU)),
    "warm": Scenario(one_by_one, ALL, (*SPEED, CPU), messages=10, warm=True),
    "burst": Scenario(burst, ALL, SPEED + EFFORT, messages=100),
    "attached": Scenario(attached, ALL, SPEED + EFFORT, warm=True),
    "big": Scenario(big, SMTP, SPEED + EFFORT, warm=True),
    "overtake": Scenario(overtake, {OURS: inf}, (TIME,), warm=True, uplink=1_000_000),
    "snapshot": Scenario(snapshot, {OURS: 100}, (TIME, ROUND_TRIPS)),
    "queue": Scenario(queue, BOTH_ROUTES, (TIME, ROUND_TRIPS, *EFFORT), messages=1000),
    "waiting": Scenario(many, dict.fromkeys(WAITING, 0), (TIME, MEMORY, ADDING), messages=0),
    "wear": Scenario(wear, ACTIONS, DISK, messages=20, warm=True),
    "idle": Scenario(idle, ACTIONS, DISK, messages=0),
    "set_up": Scenario(set_up, dict.fromkeys(SET_UP, 0), (TIME, AGAIN), messages=0),
    "import": Scenario(load, dict.fromkeys(CODES, 0), (TIME, FASTER), messages=0),
}
