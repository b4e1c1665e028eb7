"""Measure a block of work in the process that does it; figures are named as the tables' columns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import gc
from itertools import count
import os
from pathlib import Path
import time
from typing import Any, Final

type Figures = dict[str, float]

TIME, STALL, MEMORY = "Time (s)", "Longest stall (ms)", "Memory growth (MB)"
CPU, WRITTEN, STORED, SYNCS = "CPU (ms)", "Written (KB)", "Stored (KB)", "fsyncs"  # A message.
STATUS: Final = Path("/proc/self/status")
IO: Final = Path("/proc/self/io")
PEAK_RESET: Final = Path("/proc/self/clear_refs")
TICK: Final = 0.001  # Seconds.
WATCHED_FOR: Final = 10.0  # Seconds; a loop that stalls does so from the beginning.


@asynccontextmanager
async def metered(figures: Figures, messages: int) -> AsyncIterator[None]:
    """Measure time, the growth of memory, and for each message what it costs processor and disk.

    Sockets do not count as written. What is stored is what the system has to write to the disk, in
    whole pages; a file that is deleted again at once may never get there.
    """
    fsync, syncs = os.fsync, count()

    def note(fd: Any) -> None:
        """Sync, and count it."""
        next(syncs)
        fsync(fd)

    gc.collect()
    PEAK_RESET.write_text("5")
    os.fsync = note
    before, memory = _numbers(IO), _numbers(STATUS)["VmRSS"]
    cpu, began = time.process_time(), time.perf_counter()
    yield
    figures[TIME] = time.perf_counter() - began
    figures[CPU] = (time.process_time() - cpu) * 1000 / messages
    figures[MEMORY] = max(_numbers(STATUS)["VmHWM"] - memory, 0) * 1024 / 1e6
    after = _numbers(IO)
    os.fsync = fsync
    figures[SYNCS] = next(syncs) / messages
    figures[WRITTEN] = (after["wchar"] - before["wchar"]) / 1000 / messages
    figures[STORED] = (after["write_bytes"] - before["write_bytes"]) / 1000 / messages


@asynccontextmanager
async def watched(figures: Figures, _: int) -> AsyncIterator[None]:
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
    figures[STALL] = 0.0
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        late = time.perf_counter() - began - TICK
        figures[STALL] = max(figures[STALL], late * 1000)


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file of the system, by name."""
    words = (line.split() for line in path.read_text().splitlines())
    return {name[:-1]: int(rest[0]) for name, *rest in words if rest and rest[0].isdigit()}
