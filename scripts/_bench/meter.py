"""Measures a piece of work: its time, its CPU, its memory and how long the event loop stood."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import gc
from pathlib import Path
import re
import time
from typing import Final

TICK: Final = 0.001  # Seconds.
PROCESS: Final = Path("/proc/self")


@dataclass(kw_only=True)
class Figures:
    """What was measured, in seconds and bytes; the stall only where somebody watched.

    Work that was broken off had not done all that it should.
    """

    elapsed: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    stall: float | None = None
    broken_off: bool = False


@asynccontextmanager
async def measured(figures: Figures, *, watched: bool) -> AsyncIterator[None]:
    """Fill the figures with what a piece of work takes."""
    gc.collect()
    ticking = asyncio.create_task(_tick(figures)) if watched else None
    await asyncio.sleep(0)
    (PROCESS / "clear_refs").write_text("5")  # Begins the peak anew.
    before = _memory("VmRSS")
    cpu, began = time.process_time(), time.perf_counter()
    try:
        yield
    finally:
        figures.elapsed = time.perf_counter() - began
        figures.cpu = time.process_time() - cpu
        figures.memory = max(_memory("VmHWM") - before, 0)
        if ticking:
            await asyncio.sleep(2 * TICK)  # A stall at the very end shows at the next tick.
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking


async def _tick(figures: Figures) -> None:
    """Note by how much the event loop is late at most."""
    figures.stall = 0.0
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        figures.stall = max(figures.stall, time.perf_counter() - began - TICK)


def _memory(name: str) -> int:
    """Return a number of bytes that the kernel keeps of this process."""
    found = re.search(rf"^{name}:\s+(\d+) kB", (PROCESS / "status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024
