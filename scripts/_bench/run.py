"""Carries out a plan, one measurement after another, each in a process of its own."""

import asyncio
from dataclasses import dataclass, field
import os
from pathlib import Path
from statistics import median
import sys
import tempfile
import time
from typing import Final

from tests.standin import blocked_port, closed_port

from . import ruler
from .meter import Figures
from .orders import FILE_SIZE, FILES, Order, Scenario, Way
from .plan import Cell, Plan
from .processes import PROJECT, BenchError, Servers, ask

INTEGRATIONS: Final = {
    "outlook_smtp": "custom_components.outlook_smtp",
    "ntfy": "homeassistant.components.ntfy",
}
NTFY_LIBRARY: Final = PROJECT / ".tools" / "ntfy"
START_LIMIT: Final = 120.0  # Seconds.
ROUND_TRIPS: Final = 40  # More than any way needs for a message.
UNMEASURED: Final = (Scenario.WARM, Scenario.BIG)  # One message goes before those measured.
MARGIN: Final = 0.3  # Seconds for the server to read what has arrived.


@dataclass(kw_only=True)
class Results:
    """What was measured, in seconds.

    Lines are by their delay in milliseconds, set-ups by what the server does, and imports by
    integration.
    """

    lines: dict[int, float] = field(default_factory=dict)
    figures: dict[Cell, Figures] = field(default_factory=dict)
    set_ups: dict[str, dict[str, float]] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)


class Run:
    """One run of the benchmark."""

    def __init__(self, plan: Plan, servers: Servers, folder: str) -> None:
        """Use servers that are up and a folder for the files that are attached."""
        self.results = Results()
        self._plan = plan
        self._servers = servers
        self._folder = folder

    async def measure(self) -> None:
        """Measure everything."""
        for name in FILES:
            (Path(self._folder) / name).write_bytes(os.urandom(FILE_SIZE))
        for delay in self._plan.delays:
            ports = await self._lay_lines(delay)
            for cell in self._plan.cells:
                if cell.delay == delay and not self._plan.omission(cell):
                    with_chunking = cell.way is not Way.PIPELINING
                    await self._measure_cell(cell, ports[with_chunking])
        await self._measure_set_ups()
        await self._measure_imports()

    async def _lay_lines(self, delay: int) -> dict[bool, int]:
        """Return the port of a line to each server, with CHUNKING and without, as long as said."""
        seconds = delay / 1000
        ports = {
            chunking: await self._servers.connect(seconds, chunking=chunking)
            for chunking in (True, False)
        }
        strict = not self._plan.quick
        lengths = [await ruler.measure(port, seconds, strict=strict) for port in ports.values()]
        self.results.lines[delay] = max(lengths)
        return ports

    async def _measure_cell(self, cell: Cell, port: int) -> None:
        """Measure one row, as often as planned."""
        began = time.monotonic()
        tell(f"{cell.scenario}, {cell.way}, {cell.delay} ms", end="")
        quiet: list[Figures] = []
        watched: list[Figures] = []
        for watching in self._plan.passes(cell.scenario):
            figures = await self._measure_once(cell, port, watching=watching)
            (watched if watching else quiet).append(figures)
        chosen = quiet or watched
        self.results.figures[cell] = Figures(
            elapsed=median(figures.elapsed for figures in chosen),
            cpu=median(figures.cpu for figures in chosen),
            memory=round(median(figures.memory for figures in chosen)),
            stall=max((figures.stall or 0.0 for figures in watched), default=None),
        )
        elapsed = self.results.figures[cell].elapsed
        tell(f": {elapsed:.3f} s (in {time.monotonic() - began:.1f} s)")

    async def _measure_once(self, cell: Cell, port: int, *, watching: bool) -> Figures:
        """Measure one row once, and see to it that the server got all messages."""
        count = self._plan.count(cell.scenario)
        order = Order(
            way=cell.way,
            scenario=cell.scenario,
            port=port,
            delay=cell.delay / 1000,
            count=count,
            folder=self._folder,
            watched=watching,
        )
        limit = START_LIMIT + count * (ROUND_TRIPS * order.delay + 0.5)
        authority = self._servers.authority
        answer = await ask("worker", order.write(), limit=limit, REQUESTS_CA_BUNDLE=authority)
        figures = Figures(**answer)
        if figures.broken_off:
            await asyncio.sleep(2 * order.delay + MARGIN)  # What was under way still arrives.
        got, sent = await self._servers.count(), count + (cell.scenario in UNMEASURED)
        if got > sent or (got < sent and not figures.broken_off):
            row = f"{cell.scenario}, {cell.way}, {cell.delay} ms"
            raise BenchError(f"The server got {got} messages instead of {sent}: {row}.")
        return figures

    async def _measure_set_ups(self) -> None:
        """Set the account up with the server alive, dead and silent."""
        tell("set-up")
        alive = await self._servers.connect(0.02, chunking=True)
        with blocked_port() as silent:
            for name, port in (
                ("alive", alive),
                ("dead", closed_port()),
                ("black-holed", silent),
            ):
                self.results.set_ups[name] = await ask(
                    "setting_up",
                    str(port),
                    limit=START_LIMIT,
                    REQUESTS_CA_BUNDLE=self._servers.authority,
                )

    async def _measure_imports(self) -> None:
        """Import this integration and ntfy in turn."""
        tell("import")
        durations: dict[str, list[float]] = {name: [] for name in INTEGRATIONS}
        for _ in range(1 if self._plan.quick else 6):
            for name, package in INTEGRATIONS.items():
                duration = await ask(
                    "importing", package, limit=START_LIMIT, PYTHONPATH=str(NTFY_LIBRARY)
                )
                durations[name].append(duration)
        # The first of several writes the compiled modules.
        self.results.imports = {
            name: median(times[1:] or times) for name, times in durations.items()
        }


async def carry_out(plan: Plan) -> Results:
    """Carry out a plan."""
    with tempfile.TemporaryDirectory(prefix="outlook-smtp-bench-") as folder:
        servers = await Servers.start()
        try:
            run = Run(plan, servers, folder)
            await run.measure()
            return run.results
        finally:
            await servers.stop()


def tell(text: str, end: str = "\n") -> None:
    """Tell on the standard error how far the run is."""
    print(text, end=end, file=sys.stderr, flush=True)
