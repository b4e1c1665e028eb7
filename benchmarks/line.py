"""A slow connection to a server on this machine, and its real delay.

Every byte arrives half a round trip after it was sent, in both directions, and so does the end of a
stream. The amount of data in transit is not limited: latency is high, bandwidth is not low.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import median
import time
from typing import Final

from . import LOOPBACK, BenchError

PIECE: Final = 2**18  # Bytes.
TOLERANCE: Final = 0.010  # Seconds for the server and the processor.


@asynccontextmanager
async def laid(port: int, delay: float) -> AsyncIterator[int]:
    """Open a line to a port, with a delay in seconds, and yield the port at its near end."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the server, and forward both directions until they end."""
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port, limit=PIECE)
        there, back = _carry(reader, far_writer, delay), _carry(far_reader, writer, delay)
        await asyncio.gather(there, back)
        far_writer.close()
        writer.close()

    server = await asyncio.start_server(connect, LOOPBACK, limit=PIECE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Forward all data half a delay later, and then the end of the stream."""
    with suppress(OSError):  # A reset connection has ended, too.
        while piece := await reader.read(PIECE):
            asyncio.get_running_loop().call_later(delay / 2, writer.write, piece)
    await asyncio.sleep(delay / 2)
    with suppress(OSError):  # The other end may be gone.
        writer.write_eof()


async def measure(port: int, delay: float, *, strict: bool) -> float:
    """Return how many seconds the reply to a small command takes, the median of three.

    Raises:
        BenchError: If it is less than the delay or, where one is strict, noticeably more.

    """
    took = median([await _ask(port) for _ in range(3)])
    if took < delay or (strict and took > delay + TOLERANCE):
        raise BenchError(
            f"A reply took {took * 1000:.1f} ms behind a line of {delay * 1000:.0f} ms. The "
            "machine is too busy to measure anything."
        )
    return took


async def _ask(port: int) -> float:
    """Return how many seconds a server takes to start its reply to a small command."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    await reader.readline()
    began = time.perf_counter()
    writer.write(b"EHLO bench\r\n")
    await reader.read(1)
    took = time.perf_counter() - began
    writer.close()
    await writer.wait_closed()
    return took
