"""Measure a block of work, or an import, in a process of its own.

Nothing of Home Assistant is imported here, because the import is measured, too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import gc
from importlib import import_module
from itertools import count
import os
from pathlib import Path
from pkgutil import iter_modules
import time
from typing import Any, Final

type Figures = dict[str, float]  # Seconds and bytes, by what was measured.

STATUS: Final = Path("/proc/self/status")
IO: Final = Path("/proc/self/io")
PEAK_RESET: Final = Path("/proc/self/clear_refs")
TICK: Final = 0.001  # Seconds.
WATCHED_FOR: Final = 10.0  # Seconds; a loop that stalls does so from the beginning.
# What both this integration and ntfy import. What only one of them imports counts for it, even if
# Home Assistant has already loaded it at startup.
SHARED: Final = """
    bootstrap components.camera components.diagnostics components.event components.image
    components.media_source components.notify components.repairs components.sensor components.tts
"""


@asynccontextmanager
async def metered(figures: Figures) -> AsyncIterator[None]:
    """Measure time, processor time, and the peak of memory above what is used before."""
    gc.collect()
    PEAK_RESET.write_text("5")
    memory, cpu, began = _memory("VmRSS"), time.process_time(), time.perf_counter()
    yield
    figures["elapsed"] = time.perf_counter() - began
    figures["cpu"] = time.process_time() - cpu
    figures["memory"] = max(_memory("VmHWM") - memory, 0)


@asynccontextmanager
async def worn(figures: Figures) -> AsyncIterator[None]:
    """Measure processor time, and count the bytes that are written and how often a disk must sync.

    Sockets do not count as written. `stored` is what the system has to write to the disk, in whole
    pages; a file that is deleted again at once may never get there.
    """
    fsync, syncs = os.fsync, count()

    def note(fd: Any) -> None:
        """Sync, and count it."""
        next(syncs)
        fsync(fd)

    gc.collect()
    before, cpu = _numbers(IO), time.process_time()
    os.fsync = note
    try:
        yield
    finally:
        os.fsync = fsync
    figures["cpu"] = time.process_time() - cpu
    after = _numbers(IO)
    figures["syncs"] = next(syncs)
    figures["written"] = after["wchar"] - before["wchar"]
    figures["stored"] = after["write_bytes"] - before["write_bytes"]


@asynccontextmanager
async def watched(figures: Figures) -> AsyncIterator[None]:
    """Measure the longest stall of the event loop; after some seconds, stop the work."""
    gc.collect()
    ticking = asyncio.create_task(_tick(figures))
    await asyncio.sleep(0)
    with suppress(TimeoutError):
        async with asyncio.timeout(WATCHED_FOR):
            yield
    await asyncio.sleep(2 * TICK)  # The next tick shows a stall at the very end.
    ticking.cancel()


async def _tick(figures: Figures) -> None:
    """Record how late a clock in the event loop is at most."""
    figures["stall"] = 0.0
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        figures["stall"] = max(figures["stall"], time.perf_counter() - began - TICK)


def _memory(name: str) -> int:
    """Return a memory statistic of this process, in bytes."""
    return _numbers(STATUS)[name] * 1024


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file of the system, by name."""
    pairs = (line.split(":", 1) for line in path.read_text().splitlines())
    words = {name: text.split() for name, text in pairs}
    return {name: int(text[0]) for name, text in words.items() if text and text[0].isdigit()}


def measure_import(package: str) -> float:
    """Return the seconds to import all modules of an integration, after the shared imports."""
    for name in SHARED.split():
        import_module(f"homeassistant.{name}")
    began = time.perf_counter()
    for module in iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)
    return time.perf_counter() - began
