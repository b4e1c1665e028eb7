"""A long line to a server on this machine: `python -m scripts._bench.relay PORT SECONDS`.

Every byte arrives half a round trip later than it was sent, in both directions, and so does the
end of a stream. What is under way is not limited: the line is long, not narrow. The first line
of the standard output is the port that leads to the server.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
import socket
import sys
from typing import Final

LOOPBACK: Final = "127.0.0.1"


class End(asyncio.Protocol):
    """One end of a connection; what it hears comes out at the other end, later."""

    def __init__(self, delay: float) -> None:
        """Prepare an end that is not connected yet."""
        self.opposite: End | None = None
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._coming: deque[Callable[[asyncio.Transport], None]] = deque()
        self._arrived = 0
        self._directions = 2

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected, and give out what came before."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._give_out()

    def data_received(self, data: bytes) -> None:
        """Send something on its way."""
        self._pass(lambda transport: transport.write(data))

    def eof_received(self) -> bool:
        """Send the end of the stream on its way, and keep open the direction that is left."""
        assert self.opposite
        self._pass(self.opposite._end)
        self._directions -= 1
        return self._directions > 0

    def connection_lost(self, error: Exception | None) -> None:
        """Send the end of the connection on its way, unless both streams have ended before."""
        if self._directions:
            self._pass(lambda transport: transport.close())

    def hang_up(self) -> None:
        """End the connection at once."""
        if self._transport:
            self._transport.close()

    def _end(self, transport: asyncio.Transport) -> None:
        """Say no more, and end the connection if nothing is heard any more either."""
        self._directions -= 1
        if not self._directions:
            transport.close()
        else:
            with suppress(OSError):  # Who was here may have gone without a word.
                transport.write_eof()

    def _pass(self, action: Callable[[asyncio.Transport], None]) -> None:
        """Let something happen at the other end after its time, and after what went before."""
        assert self.opposite
        self.opposite._coming.append(action)
        self._loop.call_later(self._delay, self.opposite._arrive)

    def _arrive(self) -> None:
        """Note that the next thing is here."""
        self._arrived += 1
        self._give_out()

    def _give_out(self) -> None:
        """Give out what is here, if anybody is connected to take it."""
        while self._transport and self._arrived:
            self._arrived -= 1
            action = self._coming.popleft()
            if not self._transport.is_closing():
                action(self._transport)


class Entrance(End):
    """The end that a client connects to."""

    def __init__(self, delay: float, port: int) -> None:
        """Lead to a port."""
        super().__init__(delay)
        self._port = port
        self.opposite = End(delay)
        self.opposite.opposite = self
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on to the server."""
        super().connection_made(transport)
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        """Connect to the server, or hang up."""
        opposite = self.opposite
        assert opposite
        try:
            await self._loop.create_connection(lambda: opposite, LOOPBACK, self._port)
        except OSError:
            self.hang_up()


async def lay(port: int, delay: float) -> asyncio.Server:
    """Lay a line to a port, and return the server that is its near end."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Entrance(delay / 2, port), LOOPBACK, 0)


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def main(port: int, delay: float) -> None:
    """Be the line until killed."""
    server = await lay(port, delay)
    print(port_of(server), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
