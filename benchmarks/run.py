"""Carry out a run, one measurement after another, each in a separate process."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
import gc
from multiprocessing import get_context
import os
from statistics import median
import sys
import tempfile
from typing import Final

from tests.fake_microsoft import blocked_port, closed_port

from . import BenchError, line, server
from .measure import Figures, measure_import, summarize
from .scenarios import SCENARIOS, Row, Way, is_measured
from .senders import in_loop, make_files, measure_row, measure_set_up

INTEGRATIONS: Final = ("custom_components.outlook_smtp", "homeassistant.components.ntfy")
NEW_PROCESS: Final = partial(ProcessPoolExecutor, 1, get_context("spawn"))
PLACES: Final = {Way.PIPELINING: 1, Way.GRAPH: 2}  # In the list of ports; all others use 0.
MANY: Final = 100  # Number of messages from which one measurement is enough.
LIMIT: Final = 900.0  # Seconds allowed for one measurement.
MARGIN: Final = 0.3  # Seconds for the server to read what has arrived.


@dataclass(kw_only=True)
class Results:
    """Measurements in seconds: lines by their delay in milliseconds, set-ups by server."""

    quick: bool
    lines: dict[int, float] = field(default_factory=dict)
    rows: dict[Row, Figures] = field(default_factory=dict)
    set_ups: dict[str, tuple[float, float]] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)


async def carry_out(delays: Iterable[int], scenarios: Iterable[str], *, quick: bool) -> Results:
    """Measure scenarios over lines with some delays in milliseconds, set-ups and imports."""
    results = Results(quick=quick)
    gc.freeze()  # The lines run in this process: keep garbage collection from delaying them.
    with NEW_PROCESS() as servers, tempfile.TemporaryDirectory(prefix="outlook-bench-") as folder:
        ports, os.environ["REQUESTS_CA_BUNDLE"] = servers.submit(server.start).result()
        make_files(folder)
        for delay in delays:
            async with AsyncExitStack() as stack:
                lines = [line.laid(port, delay / 1000) for port in ports]
                near = [await stack.enter_async_context(it) for it in lines]
                # All lines of a length are alike; HTTP has no greeting and no EHLO.
                greeting = near[: PLACES[Way.GRAPH]]
                lengths = [
                    await line.measure(it, delay / 1000, strict=not quick) for it in greeting
                ]
                results.lines[delay] = max(lengths)
                for row in (Row(name, delay, way) for name in scenarios for way in Way):
                    if is_measured(row):
                        port = near[PLACES.get(row.way, 0)]
                        results.rows[row] = await _measure(row, port, folder, servers, quick=quick)
        async with line.laid(ports[0], 0.02) as alive:
            with blocked_port() as silent:
                places = {"alive": alive, "dead": closed_port(), "black-holed": silent}
                for name, port in places.items():
                    results.set_ups[name] = await in_process(in_loop, measure_set_up, port, folder)
        results.imports = await _measure_imports(quick=quick)
    return results


async def _measure(
    row: Row, port: int, folder: str, servers: ProcessPoolExecutor, *, quick: bool
) -> Figures:
    """Measure a row, check that the server received all messages, and return the medians."""
    print(*row, sep=", ", file=sys.stderr, flush=True)
    scenario = SCENARIOS[row.scenario]
    count = max(1, scenario.messages // 5) if quick else scenario.messages
    repeat = 1 if quick or count >= MANY else 3
    taken = []
    for watched in [False] * repeat + [True] * (not quick):
        work = partial(in_loop, measure_row, row, count, port, folder, watched)
        figures = await in_process(work)
        if figures.broken_off:
            await asyncio.sleep(2 * row.delay / 1000 + MARGIN)  # Data in transit still arrives.
        got, sent = servers.submit(server.count).result(), count + scenario.unmeasured
        if got > sent or (got < sent and not figures.broken_off):
            raise BenchError(f"The server got {got} messages instead of {sent}: {row}.")
        taken.append(figures)
    return summarize(taken)


async def _measure_imports(*, quick: bool) -> dict[str, float]:
    """Import this integration and ntfy in turn; the first round writes compiled modules."""
    taken: dict[str, list[float]] = {package.split(".")[-1]: [] for package in INTEGRATIONS}
    for _ in range(1 if quick else 6):
        for package, durations in zip(INTEGRATIONS, taken.values(), strict=True):
            durations.append(await in_process(measure_import, package))
    return {name: median(durations[1:] or durations) for name, durations in taken.items()}


async def in_process[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a new process, then kill it and everything that still runs in it."""
    pool = NEW_PROCESS()
    try:
        async with asyncio.timeout(LIMIT):
            call = partial(function, *args, **kwargs)
            return await asyncio.get_running_loop().run_in_executor(pool, call)
    finally:
        pool.kill_workers()
