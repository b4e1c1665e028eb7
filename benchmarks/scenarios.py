"""What is measured: each scenario is a function and a row, or a row alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median
import time
from typing import Final

from custom_components.outlook_smtp.const import DOMAIN
from tests import home

from .meters import Figures
from .senders import Builtin, Ours, OverGraph, Pipelining, Plain, Sender

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


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How messages are sent, how many, and whether one is sent before, which is not measured.

    `ways` are the ways to send, each with the longest delay at which it is measured, in
    milliseconds; `uplink` is the bandwidth of the line, in bytes a second; `compared` says whether
    all ways do the same work.
    """

    send: Callable[[Sender, int, Meter], Awaitable[None]]
    messages: int = 1
    warm: bool = False
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
        await self.send(sender, count, meter(figures))
        return figures


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
    "queue": Scenario(send=queue, messages=1000, ways=QUEUED, compared=False),
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
