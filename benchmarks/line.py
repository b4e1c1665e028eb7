"""A slow connection to a server on this machine.

Every byte arrives half a round trip after it was sent, in both directions, and so does the end of a
stream. Unless an uplink is narrow, it takes as many bytes at once as are sent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from math import inf
from typing import Final

from tests.fake_microsoft.ports import LOOPBACK

PIECE: Final = 2**18  # Bytes.
TURN: Final = 0.01  # Seconds that a piece occupies a narrow uplink.


@asynccontextmanager
async def delayed(port: int, delay: float, uplink: float = inf) -> AsyncIterator[int]:
    """Open a line to a port, in seconds and bytes a second, and yield the port at its near end.

    What is still connected in the end is cut off.
    """
    turns = asyncio.Lock()
    connections: set[asyncio.Task[None] | None] = set()

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bandwidth: float = inf
    ) -> None:
        """Forward all data half a delay later, and then the end of the stream."""
        with suppress(OSError):  # A reset connection has ended, too.
            while piece := await reader.read(int(min(PIECE, bandwidth * TURN))):
                if bandwidth < inf:
                    async with turns:  # All connections share it.
                        await asyncio.sleep(len(piece) / bandwidth)
                asyncio.get_running_loop().call_later(delay / 2, writer.write, piece)
        await asyncio.sleep(delay / 2)
        with suppress(OSError):  # The other end may be gone.
            writer.write_eof()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the server, and forward both directions until they end."""
        connections.add(asyncio.current_task())
        with suppress(OSError), closing(writer):  # A reset connection has ended, too.
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port, limit=PIECE)
            with closing(far_writer):
                await asyncio.gather(carry(reader, far_writer, uplink), carry(far_reader, writer))

    server = await asyncio.start_server(connect, LOOPBACK, limit=PIECE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = [each for each in connections if each and not each.done()]
        for connection in left:
            connection.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(delay / 2)  # Until the last pieces under way have arrived.
