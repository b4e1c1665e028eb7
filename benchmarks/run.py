"""Carry out a run, one measurement after another, each in a process of its own."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
import gc
import logging
from math import inf
from multiprocessing import get_context, set_forkserver_preload
import os
from pathlib import Path
from secrets import token_hex
from statistics import median
import sys
import tempfile
from typing import Final, NamedTuple
import warnings

from homeassistant.runner import create_event_loop

from . import BenchError, line, servers
from .meters import STALL, TIME, Figures, metered, watched
from .scenarios import FASTER, FILES, ROUND_TRIPS, SCENARIOS
from .senders import Sender, Way

# Each process is new, but all are copies of one that has imported Home Assistant.
NEW_PROCESS: Final = partial(ProcessPoolExecutor, 1, get_context("forkserver"))
SERVERS: Final = partial(ProcessPoolExecutor, 1, get_context("spawn"))
ENOUGH: Final = 100  # Number of messages from which one measurement is enough.


class Row(NamedTuple):
    """A row of a table: a scenario's name, a delay in milliseconds, and a way to send."""

    scenario: str
    delay: int
    way: Way


type Results = dict[Row, Figures]
type Meter = Callable[[Figures, int], AbstractAsyncContextManager[None]]


async def run_all(delays: Sequence[int], names: Iterable[str], *, quick: bool) -> Results:
    """Measure scenarios over lines with some delays in milliseconds."""
    results: Results = {}
    gc.freeze()  # The lines run in this process: keep garbage collection from delaying them.
    set_forkserver_preload([__name__])
    with SERVERS() as pool, tempfile.TemporaryDirectory(prefix="outlook-bench-") as folder:
        ports, os.environ["REQUESTS_CA_BUNDLE"] = pool.submit(servers.start).result()
        for name, size in FILES.items():
            await asyncio.to_thread(Path(folder, name).write_bytes, os.urandom(size))
        for delay in delays:
            for row in (Row(name, delay, way) for name in names for way in SCENARIOS[name].ways):
                if delay <= SCENARIOS[row.scenario].ways[row.way]:
                    print(row.scenario, delay, row.way.label, sep=", ", file=sys.stderr, flush=True)
                    found = results[row] = await measure(row, ports, folder, pool, quick=quick)
                    first = results[row._replace(way=next(iter(SCENARIOS[row.scenario].ways)))]
                    found[FASTER] = first[TIME] / found[TIME]
    return results


async def measure(
    row: Row, ports: Sequence[int], folder: str, pool: Executor, *, quick: bool
) -> Figures:
    """Return the median of each figure of a row; after each measurement, all messages arrived.

    Raises:
        BenchError: If a message did not arrive.

    """
    scenario, way, taken = SCENARIOS[row.scenario], row.way, []
    count = -(-scenario.messages // 5) if quick else scenario.messages
    meters: list[Meter] = [metered] * (1 if quick or count >= ENOUGH else 3)
    meters += [watched] * (STALL in scenario.columns and not quick)
    is_slow = row.delay or scenario.uplink < inf
    port, delay = ports[way.server], row.delay / 1000
    slow = line.delayed(port, delay, scenario.uplink) if is_slow else nullcontext(port)
    async with slow as near:
        for meter in meters:
            sender = way.sender(near, folder, f"{token_hex(8)}@example.com")
            taken.append(await in_process(take, row, sender, count, meter))
            got = pool.submit(servers.count, sender.recipient).result()
            if got != count + scenario.warm and meter is not watched:  # It may stop early.
                raise BenchError(f"The server got {got} messages of {count}: {row}.")
    names = dict.fromkeys(name for figures in taken for name in figures)
    figures = {name: median(it[name] for it in taken if name in it) for name in names}
    if count and delay:
        figures[ROUND_TRIPS] = figures[TIME] / count / delay
    return figures


def take(row: Row, sender: Sender, count: int, meter: Meter) -> Figures:
    """Measure once, in Home Assistant's event loop, whose threads end with the process."""
    logging.basicConfig(level=logging.ERROR)
    # Work that was stopped early leaves coroutines that nothing awaits.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    return create_event_loop().run_until_complete(_take(row, sender, count, meter))


async def _take(row: Row, sender: Sender, count: int, meter: Meter) -> Figures:
    """Measure once."""
    scenario, figures = SCENARIOS[row.scenario], dict[str, float]()
    await sender.open()
    await (sender.send() if scenario.warm else asyncio.sleep(row.way.linger))
    own = await scenario.send(sender, count, meter(figures, max(count, 1)))
    return figures | (own or {})


async def in_process[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a new process, then kill it and everything that still runs in it."""
    pool, call = NEW_PROCESS(), partial(function, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, call)
    finally:
        pool.kill_workers()
