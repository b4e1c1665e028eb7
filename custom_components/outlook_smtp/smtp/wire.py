"""The encrypted line to a server: commands and content go out, replies come in, in order."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self, override

from aiosmtplib import SMTPResponseException, SMTPStatus

from .dialogue import Dialogue, TalkingSMTP
from .errors import MALFORMED
from .replies import decode

FAREWELL: Final = 421
MAX_REPLY: Final = 256 * 1024  # Bytes of one reply, which no server with good intentions needs.


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server (RFC 5321, section 4.2); line feeds join the lines of `text`."""

    code: int
    text: str


class ReplyParser:
    """Cuts what a server says into replies, in whatever pieces it arrives."""

    def __init__(self) -> None:
        """Begin between two replies."""
        self._rest = bytearray()
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def is_between(self) -> bool:
        """Return whether nothing of a reply has arrived that is not complete."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Yield the replies that are complete with what has arrived now.

        Raises:
            SMTPResponseException: If it is nothing that a server of this protocol says.

        """
        scanned = len(self._rest)
        self._rest += data
        while (end := self._rest.find(b"\n", scanned)) >= 0:
            line = bytes(self._rest[:end]).rstrip(b"\r")
            del self._rest[: end + 1]
            scanned = 0
            if reply := self._take(line):
                yield reply
        if self._size + len(self._rest) > MAX_REPLY:
            raise _malformed("a reply without an end")

    def _take(self, line: bytes) -> Reply | None:
        """Add a line to the reply under way, and return the reply if it was the last one."""
        code, separator = line[:3], line[3:4]
        if not (len(code) == 3 and code.isdigit() and separator in (b"", b" ", b"-")):
            raise _malformed(decode(line))
        self._lines.append(line[4:].strip())
        self._size += len(line)
        if separator == b"-":
            return None
        text = decode(b"\n".join(self._lines))
        self._lines = []
        self._size = 0
        return Reply(int(code), text)


class Wire(asyncio.Protocol):
    """Takes an encrypted line over from the client that has opened it.

    That client waits for the answer to every command, and reads none that is long; here commands
    may go out in one flight (RFC 2920). Replies belong to commands in the order of both.
    """

    def __init__(self, transport: asyncio.Transport, dialogue: Dialogue) -> None:
        """Speak over a transport; use `take_over` to get one."""
        self.dialogue = dialogue
        self._transport = transport
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._awaited = 0
        self._end: Exception | None = None
        self._heard = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    def take_over(cls, client: TalkingSMTP) -> Self:
        """Go on where a client has come to.

        Raises:
            ConnectionError: If it has lost its connection.

        """
        transport = client.transport
        if not isinstance(transport, asyncio.Transport) or transport.is_closing():
            raise ConnectionResetError("Connection lost")
        wire = cls(transport, client.dialogue)
        transport.set_protocol(wire)
        return wire

    @property
    def is_in_step(self) -> bool:
        """Return whether the line is open, and every command and every reply has its other."""
        return (
            self._end is None
            and not self._transport.is_closing()
            and not self._awaited
            and not self._replies
            and self._parser.is_between
        )

    @property
    def has_reply(self) -> bool:
        """Return whether a reply has arrived that was not taken yet."""
        return bool(self._replies)

    def say(self, *commands: bytes, content: bytes = b"") -> None:
        """Send commands in one flight, and behind the last one the content that it announces.

        Raises:
            OSError: If the line is closed.
            SMTPResponseException: If it was closed because the server said what is no reply.

        """
        for command in commands:
            self.dialogue.say(command.decode("utf-8", "replace"))
        self._awaited += len(commands)
        self.send(b"".join(command + b"\r\n" for command in commands), content)

    def begin_content(self, size: int) -> None:
        """Note that content follows in pieces, whose end will be answered."""
        self.dialogue.say(f"<{size} bytes of content>")
        self._awaited += 1

    def send(self, *data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            OSError: If the line is closed.
            SMTPResponseException: If it was closed because the server said what is no reply.

        """
        self._check()
        self._transport.writelines(data)

    async def drain(self, timeout: float) -> None:
        """Wait until there is room for more to send.

        Raises:
            OSError: If the line breaks, or there is no room within `timeout` seconds.
            SMTPResponseException: If the server says what is no reply.

        """
        async with asyncio.timeout(timeout):
            await self._writable.wait()
        self._check()

    async def reply(self, timeout: float) -> Reply:
        """Return the next reply.

        Raises:
            OSError: If the line breaks, or nothing is said for `timeout` seconds.
            SMTPResponseException: If the server says what is no reply.

        """
        async with asyncio.timeout(timeout):
            while not self._replies:
                self._check()
                self._heard.clear()
                await self._heard.wait()
        self._awaited -= 1
        return self._replies.popleft()

    def close_if_out_of_step(self) -> None:
        """Cut the line if the next answer may be taken for another's."""
        if not self.is_in_step:
            self.close()

    def close(self) -> None:
        """Cut the line."""
        self._transport.abort()

    def _check(self) -> None:
        """Raise what has ended the line, if it has ended."""
        if self._end:
            raise self._end
        if self._transport.is_closing():
            raise ConnectionResetError("Connection lost")

    def _finish(self, error: Exception) -> None:
        """Note what has ended the line, and wake who waits for it."""
        if self._end is None:
            self._end = error
            self.dialogue.hear(f"({type(error).__name__}: {error})")
        self._heard.set()
        self._writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        """Take in what the server says."""
        try:
            for reply in self._parser.feed(data):
                self.dialogue.hear(f"{reply.code} {reply.text}")
                # Only a farewell may come unasked (RFC 5321, section 3.8).
                if len(self._replies) >= self._awaited and reply.code != FAREWELL:
                    raise _malformed(f"{reply.code} {reply.text}")
                self._replies.append(reply)
        except SMTPResponseException as error:
            self._finish(error)
            self._transport.abort()
        self._heard.set()

    @override
    def eof_received(self) -> bool:
        """Let the line close when the server has closed its side."""
        self._finish(ConnectionResetError("Connection lost"))
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the line is gone."""
        self._finish(exc or ConnectionResetError("Connection lost"))

    @override
    def pause_writing(self) -> None:
        """Let who sends wait."""
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        """Let who sends go on."""
        self._writable.set()


def _malformed(words: str) -> SMTPResponseException:
    """Return the error of a line that no server of this protocol would say."""
    return SMTPResponseException(SMTPStatus.invalid_response, f"{MALFORMED}{words}")
