"""Measure time, memory and stalls in a separate process.

Nothing of Home Assistant is imported here, because the import is measured, too.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
import re
from statistics import median
import time
from typing import Final

TICK: Final = 0.001  # Seconds.
WATCHED_FOR: Final = 10.0  # Seconds; a loop that stalls does so from the beginning.
PROCESS: Final = Path("/proc/self")
# What both this integration and ntfy import. What only one of them imports counts for it, even if
# Home Assistant has already loaded it at startup.
SHARED: Final = """
    bootstrap components.camera components.diagnostics components.event components.image
    components.media_source components.notify components.repairs components.sensor components.tts
"""


@dataclass(kw_only=True)
class Figures:
    """The cost of a number of messages, in seconds and bytes; the stall only if it was watched.

    Work that was stopped early had not sent all of them.
    """

    messages: int
    elapsed: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    stall: float | None = None
    broken_off: bool = False


def summarize(figures: Sequence[Figures]) -> Figures:
    """Return the medians of the measurements without a watch, if any, and the longest stall."""
    quiet = [item for item in figures if item.stall is None] or figures
    return Figures(
        messages=figures[0].messages,
        elapsed=median(item.elapsed for item in quiet),
        cpu=median(item.cpu for item in quiet),
        memory=median(item.memory for item in quiet),
        stall=max((item.stall for item in figures if item.stall is not None), default=None),
    )


@asynccontextmanager
async def metered(figures: Figures, *, watched: bool) -> AsyncIterator[None]:
    """Measure a block; with a watch, stop it after some seconds."""
    gc.collect()
    ticking = asyncio.create_task(_tick(figures)) if watched else None
    await asyncio.sleep(0)
    (PROCESS / "clear_refs").write_text("5")  # Resets the peak.
    before = _memory("VmRSS")
    cpu, began = time.process_time(), time.perf_counter()
    try:
        async with asyncio.timeout(WATCHED_FOR if watched else None) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        figures.broken_off = True
    figures.elapsed = time.perf_counter() - began
    figures.cpu = time.process_time() - cpu
    figures.memory = max(_memory("VmHWM") - before, 0)
    if ticking:
        await asyncio.sleep(2 * TICK)  # The next tick shows a stall at the very end.
        ticking.cancel()


async def _tick(figures: Figures) -> None:
    """Record the longest delay of the event loop."""
    figures.stall = 0.0
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        figures.stall = max(figures.stall, time.perf_counter() - began - TICK)


def _memory(name: str) -> int:
    """Return a memory statistic of this process, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", (PROCESS / "status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def measure_import(package: str) -> float:
    """Return the seconds to import all modules of an integration, after the shared imports."""
    for name in SHARED.split():
        import_module(f"homeassistant.{name}")
    began = time.perf_counter()
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)
    return time.perf_counter() - began
