"""Measures how long a line really is, before anything is measured behind it."""

import asyncio
from statistics import median
import time
from typing import Final

from .processes import BenchError

TRIES: Final = 3
TOLERANCE: Final = 0.010  # Seconds for the server and the processor.


async def measure(port: int, delay: float, *, strict: bool) -> float:
    """Return how many seconds an answer takes that should take a delay and hardly more.

    Raises:
        BenchError: If it takes less, or, where one is strict, more.

    """
    measured = median([await _ask(port) for _ in range(TRIES)])
    if measured < delay:
        raise BenchError(f"An answer took only {measured * 1000:.1f} of {delay * 1000:.0f} ms.")
    if strict and measured > delay + TOLERANCE:
        raise BenchError(
            f"An answer took {measured * 1000:.1f} ms behind a line of {delay * 1000:.0f} ms: "
            f"nothing can be measured while the machine is so busy."
        )
    return measured


async def _ask(port: int) -> float:
    """Return how long a server takes to begin its answer to a small command."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.readline()
        began = time.perf_counter()
        writer.write(b"EHLO bench\r\n")
        await reader.read(1)
        return time.perf_counter() - began
    finally:
        writer.close()
        await writer.wait_closed()
