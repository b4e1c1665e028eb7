"""The encrypted connection to a server: commands and content go out, replies come in, in order."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
import re
from typing import Final, Self, override

from aiosmtplib import SMTPResponseException, SMTPStatus

from ..delivery.route import URGENT_PATIENCE
from ..delivery.secrets import MAX_LAST, MAX_READ
from .fault_mapping import MALFORMED
from .protocol_log import LoggingSMTP, ProtocolLog
from .replies import decode

SERVICE_CLOSING: Final = 421
MAX_REPLY: Final = 256 * 1024  # Bytes of one reply; no well-behaved server needs more.

_MORE_LINES: Final = re.compile(rb"(?:[0-9]{3}-[^\n]*+\n)++")
_LAST_LINE: Final = re.compile(rb"[0-9]{3}(?: |\Z)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server (RFC 5321, section 4.2); line feeds join the lines of `text`.

    A long reply is cut to its beginning and end, and secrets in it are redacted.
    """

    code: int
    text: str


class ReplyParser:
    """Splits received data into replies, in whatever pieces it arrives.

    A reply is read to its end, however long; only its beginning and its last line are kept.
    """

    def __init__(self) -> None:
        """Start between two replies."""
        self._buffer = bytearray()
        self._kept = bytearray()
        self._size = 0

    @property
    def is_empty(self) -> bool:
        """Return whether no reply is partially received."""
        return not self._buffer and not self._size

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies completed by new data.

        Raises:
            SMTPResponseException: If the data is not SMTP.

        """
        self._buffer += data
        if b"\n" in data:
            yield from self._split()
        if self._size + len(self._buffer) > MAX_REPLY:
            raise _malformed("a reply without an end")

    def _split(self) -> Iterator[Reply]:
        """Yield the complete replies."""
        while True:
            if more := _MORE_LINES.match(self._buffer):
                self._consume(more.end(), MAX_READ - MAX_LAST)
            if (end := self._buffer.find(b"\n") + 1) == 0:
                return
            line = self._buffer[: min(end, MAX_READ)].rstrip(b"\r\n")
            if not _LAST_LINE.match(line):
                raise _malformed(decode(bytes(line)))
            self._consume(end, MAX_READ)
            kept = self._kept.removesuffix(b"\n").split(b"\n")
            self._kept.clear()
            self._size = 0
            yield Reply(int(line[:3]), decode(b"\n".join(each[4:].strip() for each in kept)))

    def _consume(self, size: int, limit: int) -> None:
        """Consume bytes of the current reply, and keep them up to a total length."""
        self._size += size
        if self._kept and not self._kept.endswith(b"\n"):  # The reply was cut.
            self._kept += b"\n"
        self._kept += self._buffer[: min(size, max(limit - len(self._kept), 0))]
        del self._buffer[:size]


class Pipeline(asyncio.Protocol):
    """Takes over an encrypted connection from the client that opened it.

    That client waits for the reply to every command and cannot read long replies; here commands may
    go out in one round trip (RFC 2920). Replies match commands by their order.
    """

    def __init__(self, transport: asyncio.Transport, protocol_log: ProtocolLog) -> None:
        """Use a transport; call `take_over` to create one."""
        self.protocol_log = protocol_log
        self._transport = transport
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._awaited = 0
        self._error: Exception | None = None
        self._timeout: asyncio.Timeout | None = None
        self._waiting_since = 0.0
        self._is_interrupted = False
        self.was_interrupted = False
        self.had_unsolicited_reply = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    def take_over(cls, client: LoggingSMTP) -> Self:
        """Continue on a client's connection.

        Raises:
            ConnectionError: If it has lost its connection.
            SMTPResponseException: If the server sent an unsolicited reply.

        """
        transport = client.transport
        if not isinstance(transport, asyncio.Transport) or transport.is_closing():
            raise ConnectionResetError("Connection lost")
        if getattr(client.protocol, "_buffer", b""):  # Nothing else reports it.
            raise _malformed("an unsolicited reply")
        pipeline = cls(transport, client.protocol_log)
        transport.set_protocol(pipeline)
        return pipeline

    @property
    def is_synchronized(self) -> bool:
        """Return whether the connection is open, and no command or reply is outstanding."""
        return (
            self._error is None
            and not self._transport.is_closing()
            and not self._awaited
            and not self._replies
            and self._parser.is_empty
        )

    @property
    def has_reply(self) -> bool:
        """Return whether a reply has arrived that was not read yet."""
        return bool(self._replies)

    def send_commands(self, *commands: bytes, content: bytes = b"") -> None:
        """Send commands in one round trip, followed by the content that the last one announces.

        Raises:
            OSError: If the connection is closed.
            SMTPResponseException: If it was closed because the server sent an invalid reply.

        """
        for command in commands:
            self.protocol_log.log_sent(command.decode("utf-8", "replace"))
        self._awaited += len(commands)
        self.send(b"".join(command + b"\r\n" for command in commands), content)

    def begin_content(self, size: int) -> None:
        """Note that content follows in pieces, and that a reply follows its end."""
        self.protocol_log.log_sent(f"<{size} bytes of content>")
        self._awaited += 1

    def send(self, *data: bytes) -> None:
        """Send raw bytes.

        Raises:
            OSError: If the connection is closed.
            SMTPResponseException: If it was closed because the server sent an invalid reply.

        """
        self.check()
        self._transport.writelines(data)

    async def drain(self, timeout: float) -> None:
        """Wait for space in the send buffer.

        Raises:
            OSError: If the connection breaks, or there is no space within `timeout` seconds.
            SMTPResponseException: If the server sends an invalid reply.

        """
        async with asyncio.timeout(timeout):
            await self._writable.wait()
        self.check()

    async def reply(self, timeout: float) -> Reply:
        """Return the next reply.

        Raises:
            OSError: If the connection breaks, or is silent for `timeout` seconds.
            SMTPResponseException: If the server sends an invalid reply.

        """
        self._waiting_since = asyncio.get_running_loop().time()
        patience = min(timeout, URGENT_PATIENCE) if self._is_interrupted else timeout
        try:
            async with asyncio.timeout(patience) as self._timeout:
                while not self._replies:
                    self.check()
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            self.was_interrupted = self._is_interrupted
            raise
        finally:
            self._timeout = None
        self._awaited -= 1
        return self._replies.popleft()

    def interrupt(self, *, interrupted: bool = True) -> None:
        """Wait no longer than `URGENT_PATIENCE` for any reply, or as long as it takes again."""
        self._is_interrupted = interrupted
        end = self._waiting_since + URGENT_PATIENCE
        if interrupted and self._timeout and end < (self._timeout.when() or 0.0):
            self._timeout.reschedule(end)

    def close_unless_synchronized(self) -> None:
        """Abort the connection if the next reply might belong to another command."""
        if not self.is_synchronized:
            self.close()

    def close(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    def check(self) -> None:
        """Raise the error that ended the connection, if it has ended."""
        if self._error:
            raise self._error
        if self._transport.is_closing():
            raise ConnectionResetError("Connection lost")

    def _finish(self, error: Exception) -> None:
        """Store the error that ended the connection, and wake the waiting reader."""
        if self._error is None:
            self._error = error
            self.protocol_log.log_received(f"({type(error).__name__}: {error})")
        self._arrived.set()
        self._writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        """Parse received data."""
        if self._error:
            return
        try:
            for reply in self._parser.feed(data):
                text = self.protocol_log.redacted(reply.text)
                self.protocol_log.log_received(f"{reply.code} {text}")
                # Only a 421 reply may come unsolicited (RFC 5321, section 3.8).
                if len(self._replies) >= self._awaited and reply.code != SERVICE_CLOSING:
                    self.had_unsolicited_reply = True
                    raise _malformed(f"{reply.code} {text}")
                self._replies.append(Reply(reply.code, text))
        except SMTPResponseException as error:
            self.protocol_log.redact(error)
            self._finish(error)
            self._transport.abort()
        self._arrived.set()

    @override
    def eof_received(self) -> bool:
        """Close the connection when the server has closed its side."""
        self._finish(ConnectionResetError("Connection lost"))
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._finish(exc or ConnectionResetError("Connection lost"))

    @override
    def pause_writing(self) -> None:
        """Make senders wait."""
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        """Let senders continue."""
        self._writable.set()


def _malformed(words: str) -> SMTPResponseException:
    """Return the error for data that no SMTP server would send."""
    return SMTPResponseException(SMTPStatus.invalid_response, f"{MALFORMED}{words}")
