"""What is measured: each scenario is a function and a row, or a row alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import inf
from statistics import median
import time
from typing import Final

from homeassistant.util import dt as dt_util

from custom_components.outlook_smtp.const import DOMAIN
from tests import home

from .meters import Figures, metered, worn
from .senders import POLL_INTERVAL, Builtin, Integration, Ours, OverGraph, Pipelining, Plain, Sender
from .waiting import SIZES, Waiting

type Meter = AbstractAsyncContextManager[None]

ATTACHED: Final = "picture.jpg"  # About as much as Microsoft Graph takes.
BIG: Final = tuple(f"picture-{number}.jpg" for number in range(1, 5))  # Together 20 MB.
FILES: Final = {ATTACHED: 2_000_000, **dict.fromkeys(BIG, 5_000_000)}  # Bytes.


async def one_by_one(sender: Sender, count: int, meter: Meter, files: Sequence[str] = ()) -> None:
    """Send messages one after another."""
    async with meter:
        for _ in range(count):
            if not await sender.send(*files):
                raise RuntimeError("a message was queued, and not sent")


async def burst(sender: Sender, count: int, meter: Meter) -> None:
    """Send messages that are submitted all at once."""
    async with meter:
        await asyncio.gather(*(sender.send() for _ in range(count)))
        if isinstance(sender, Ours):
            await sender.drain()


async def queue(sender: Sender, count: int, meter: Meter) -> None:
    """Send messages that wait in an outbox; without one, as many at once."""
    if isinstance(sender, Ours):
        await sender.mailer.worker.stop()
        await asyncio.gather(*(sender.send() for _ in range(count)))
        async with meter:
            await sender.mailer.worker.start()
            await sender.drain()
    else:
        await burst(sender, count, meter)


async def overtake(sender: Sender, _: int, meter: Meter) -> None:
    """Send an urgent message while one of 20 MB has been under way for a second."""
    assert isinstance(sender, Ours)
    async with asyncio.TaskGroup() as tasks:
        video = tasks.create_task(sender.send(*BIG))
        while not sender.mailer.queue.under_way:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)
        await asyncio.sleep(1)
        async with meter:
            await sender.send_urgently()
        if await video:
            raise RuntimeError("the large message was not under way anymore")


async def snapshot(sender: Sender, _: int, meter: Meter) -> None:
    """Send the picture of a camera that takes a second, measured from the picture on."""
    assert isinstance(sender, Ours)
    is_taken = await sender.add_camera(1.0)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(sender.send_picture())
        await is_taken.wait()
        async with meter:
            await sending


async def wear(sender: Sender, count: int, meter: Meter) -> None:
    """Send messages one after another, and wait for what is written after each."""
    async with meter:
        for _ in range(count):
            await sender.send()
            if isinstance(sender, Ours):
                await sender.drain()
                await sender.settle()


async def idle(sender: Sender, _: int, meter: Meter) -> None:
    """Let all timers of a day go off, without waiting for them, and send nothing."""
    # Imported late: it changes Home Assistant in ways that the other scenarios must not see.
    from pytest_homeassistant_custom_component.common import (  # noqa: PLC0415
        async_fire_time_changed,
    )

    assert isinstance(sender, Integration)
    async with meter:
        for minute in range(1, 24 * 60 + 1):
            span = next(span for span in (60, 30, 10, 1) if minute % span == 0)
            due = dt_util.utcnow() + timedelta(minutes=span, seconds=1)
            async_fire_time_changed(sender.hass, due)
            await sender.hass.async_block_till_done(wait_background_tasks=True)


async def waiting(sender: Sender, _: int, meter: Meter) -> Figures:
    """Set up an account whose outbox has many messages, then add some."""
    assert isinstance(sender, Waiting)
    async with meter:
        await sender.set_up()
    return {"add": await sender.add()}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How messages are sent, how many, and whether one is sent before, which is not measured.

    A function may return figures of its own. Without `messages`, none must arrive. `meter` is what
    measures; `watched` says whether stalls of the event loop are measured in another run. `ways`
    are the ways to send, each with the longest delay at which it is measured, in milliseconds;
    `uplink` is the bandwidth of the line, in bytes a second; `compared` says whether all ways do
    the same work.
    """

    send: Callable[[Sender, int, Meter], Awaitable[Figures | None]]
    messages: int = 1
    warm: bool = False
    meter: Callable[[Figures], Meter] = metered
    watched: bool = True
    ways: Mapping[type[Sender], float]
    uplink: float = inf
    compared: bool = True

    async def measure(
        self, sender: Sender, count: int, meter: Callable[[Figures], Meter]
    ) -> Figures:
        """Measure once, with a number of messages."""
        figures: Figures = {}
        await sender.open()
        if self.warm:
            await sender.send()
        else:
            await asyncio.sleep(sender.linger)
        own = await self.send(sender, count, meter(figures))
        return figures | (own or {})


type Ways = dict[type[Sender], float]
OVER_SMTP: Final[Ways] = {Builtin: inf, Plain: inf, Ours: inf, Pipelining: inf}
ALL: Final[Ways] = OVER_SMTP | {OverGraph: inf}
QUEUED: Final[Ways] = {Builtin: 20, Plain: 20, Ours: inf, OverGraph: inf}  # 40 minutes at 200 ms.
SCENARIOS: Final = {
    "cold": Scenario(send=one_by_one, ways=ALL),
    "warm": Scenario(send=one_by_one, messages=10, warm=True, ways=ALL),
    "burst": Scenario(send=burst, messages=100, ways=ALL),
    "attached": Scenario(send=partial(one_by_one, files=[ATTACHED]), warm=True, ways=ALL),
    "big": Scenario(send=partial(one_by_one, files=BIG), warm=True, ways=OVER_SMTP),
    "overtake": Scenario(send=overtake, warm=True, ways={Ours: inf}, uplink=1_000_000),
    "snapshot": Scenario(send=snapshot, ways={Ours: 100}),
    "queue": Scenario(send=queue, messages=1000, ways=QUEUED, compared=False),
    "waiting": Scenario(
        send=waiting, messages=0, ways=dict.fromkeys(SIZES, 0), watched=False, compared=False
    ),
    "wear": Scenario(
        send=wear,
        messages=20,
        warm=True,
        ways={Builtin: 0, Plain: 0, Ours: 0, OverGraph: 0},
        meter=worn,
        watched=False,
    ),
    "idle": Scenario(
        send=idle,
        messages=0,
        ways={Builtin: 0, Ours: 0, OverGraph: 0},
        meter=worn,
        watched=False,
    ),
}


async def measure_set_up(ours: Ours) -> tuple[float, float]:
    """Return the seconds of an account's first set-up, and the median of five after an unload."""
    await ours.start_account()
    began = time.perf_counter()
    entry = await home.add(ours.hass, DOMAIN)
    first, durations = time.perf_counter() - began, []
    for _ in range(5):
        assert await ours.hass.config_entries.async_unload(entry.entry_id)
        began = time.perf_counter()
        assert await ours.hass.config_entries.async_setup(entry.entry_id)
        durations.append(time.perf_counter() - began)
    return first, median(durations)
