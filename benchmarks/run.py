"""Carry out a run, one measurement after another, each in a process of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
import gc
import logging
from multiprocessing import get_context
import os
from pathlib import Path
from secrets import token_hex
from statistics import median
import sys
import tempfile
from typing import Any, Final, NamedTuple
import warnings

from homeassistant.runner import create_event_loop

from tests.fake_microsoft import blocked_port, closed_port

from . import BenchError, line, servers
from .meters import Figures, measure_import, watched
from .scenarios import FILES, SCENARIOS, measure_set_up
from .senders import Ours, Sender

INTEGRATIONS: Final = ("custom_components.outlook_smtp", "homeassistant.components.ntfy")
NEW_PROCESS: Final = partial(ProcessPoolExecutor, 1, get_context("spawn"))
ENOUGH: Final = 100  # Number of messages from which one measurement is enough.


class Row(NamedTuple):
    """A row of a table: a scenario's name, a delay in milliseconds, and a way to send."""

    scenario: str
    delay: int
    way: type[Sender]


@dataclass(kw_only=True)
class Results:
    """The figures of each row, and the seconds in each row of the other tables."""

    quick: bool
    delays: Sequence[int]
    rows: dict[Row, Figures] = field(default_factory=dict)
    timings: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)


async def run_all(delays: Sequence[int], names: Iterable[str], *, quick: bool) -> Results:
    """Measure scenarios over lines with some delays in milliseconds, set-ups and imports."""
    results = Results(quick=quick, delays=delays)
    gc.freeze()  # The lines run in this process: keep garbage collection from delaying them.
    with NEW_PROCESS() as pool, tempfile.TemporaryDirectory(prefix="outlook-bench-") as folder:
        ports, os.environ["REQUESTS_CA_BUNDLE"] = pool.submit(servers.start).result()
        lines = results.timings["lines"] = {}
        for name, size in FILES.items():
            await asyncio.to_thread(Path(folder, name).write_bytes, os.urandom(size))
        for delay in delays:
            async with line.delayed(ports[servers.SMTP], delay / 1000) as near:
                took = await line.measure(near, delay / 1000, strict=not quick)
            lines[f"{delay} ms"] = [took]
            for row in (Row(name, delay, way) for name in names for way in SCENARIOS[name].ways):
                if delay <= SCENARIOS[row.scenario].ways[row.way]:
                    print(row.scenario, delay, row.way.label, sep=", ", file=sys.stderr, flush=True)
                    results.rows[row] = await measure(row, ports, folder, pool, quick=quick)
        results.timings["set_up"] = await _measure_set_ups(ports[servers.SMTP], folder)
        # The servers still run, because Home Assistant reads their CA when it is imported.
        results.timings["import"] = {
            package.split(".")[-1]: [await _measure_import(package, 1 if quick else 6)]
            for package in INTEGRATIONS
        }
    return results


async def measure(
    row: Row, ports: Sequence[int], folder: str, pool: Executor, *, quick: bool
) -> Figures:
    """Return the median of each figure of a row; after each measurement, all messages arrived."""
    scenario, taken = SCENARIOS[row.scenario], []
    count = -(-scenario.messages // 5) if quick else scenario.messages
    meters = [scenario.meter] * (1 if quick or count >= ENOUGH else 3)
    meters += [watched] * (scenario.watched and not quick)
    async with line.delayed(ports[row.way.server], row.delay / 1000, scenario.uplink) as near:
        for meter in meters:
            sender = row.way(near, folder, f"{token_hex(8)}@example.com")
            taken.append(await in_process(in_loop, scenario.measure, sender, count, meter))
            got = pool.submit(servers.count, sender.recipient).result()
            if got != count + scenario.warm and meter is not watched:  # The others may stop early.
                raise BenchError(f"The server got {got} messages of {count}: {row}.")
    names = dict.fromkeys(name for figures in taken for name in figures)
    medians = {name: median(it[name] for it in taken if name in it) for name in names}
    return medians | {"messages": count, "delay": row.delay / 1000}


async def _measure_set_ups(port: int, folder: str) -> dict[str, Sequence[float]]:
    """Measure set-ups with each kind of server."""
    async with line.delayed(port, 0.02) as alive:
        with blocked_port() as silent:
            ports = {"alive": alive, "dead": closed_port(), "black-holed": silent}
            return {
                name: await in_process(in_loop, measure_set_up, Ours(port, folder))
                for name, port in ports.items()
            }


async def _measure_import(package: str, rounds: int) -> float:
    """Return the median seconds of some imports; the first one writes compiled modules."""
    taken = [await in_process(measure_import, package) for _ in range(rounds)]
    return median(taken[1:] or taken)


def in_loop[**P, T](
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function in Home Assistant's event loop, whose threads end with the process."""
    logging.basicConfig(level=logging.ERROR)
    # Work that was stopped early leaves coroutines that nothing awaits.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    return create_event_loop().run_until_complete(function(*args, **kwargs))


async def in_process[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a new process, then kill it and everything that still runs in it."""
    pool, call = NEW_PROCESS(), partial(function, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, call)
    finally:
        pool.kill_workers()
