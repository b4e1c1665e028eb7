"""One connection to the fake Microsoft Graph, which may break at any byte."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp.web_protocol import RequestHandler


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a connection breaks: after a number of bytes of the request or of the response.

    With `stalls` it stays open, but transfers no more bytes.
    """

    received: int | None = None
    sent: int | None = None
    stalls: bool = False


class Line(asyncio.Protocol):
    """Passes on the bytes of both directions, inside TLS, up to the cut."""

    def __init__(self, handler: RequestHandler, cut: Cut, made: Callable[[], None]) -> None:
        """Serve one connection; `made` is called once it is encrypted."""
        self._handler = handler
        self._cut = cut
        self._made = made
        self._received = 0
        self._is_served = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start serving, or drop the connection at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._made()
        if self._cut.received == 0:
            transport.abort()
            return
        self._is_served = True
        self._handler.connection_made(cast("asyncio.BaseTransport", Outgoing(transport, self._cut)))

    def data_received(self, data: bytes) -> None:
        """Pass on received data, or break off in the middle of it."""
        self._received += len(data)
        if self._cut.received is not None and self._received >= self._cut.received:
            if self._cut.stalls:
                self._transport.pause_reading()
            else:
                self._transport.abort()
        elif self._is_served:
            self._handler.data_received(data)

    def eof_received(self) -> None:
        """Let the connection close."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the handler."""
        if self._is_served:
            self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause the handler."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Resume the handler."""
        self._handler.resume_writing()


class Outgoing:
    """A transport that breaks off after a number of bytes."""

    def __init__(self, transport: asyncio.Transport, cut: Cut) -> None:
        """Wrap another transport."""
        self._transport = transport
        self._left = cut.sent
        self._stalls = cut.stalls

    def __getattr__(self, name: str) -> Any:
        """Forward everything else to the wrapped transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send the bytes before the cut."""
        if self._left is None:
            self._transport.write(data)
            return
        self._transport.write(bytes(data)[: self._left])
        self._left -= min(len(data), self._left)
        if not (self._left or self._stalls or self._transport.is_closing()):
            # An orderly close, so that all sent bytes arrive.
            self._transport.close()

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send the bytes before the cut of several pieces."""
        self.write(b"".join(pieces))
