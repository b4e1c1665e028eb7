"""The body of a request: a message in Base64, encoded piece by piece while it is sent."""

from binascii import b2a_base64
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from ..delivery.content import Content
from .headers import name_recipients

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: `length` bytes, which can be read once."""

    length: int
    pieces: AsyncIterator[bytes] = field(repr=False)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return a body that is already in memory."""
        return cls(len(data), _in_one_piece(data))

    @classmethod
    async def of_message(cls, content: Content, recipients: Iterable[str]) -> Self:
        """Return a message to some recipients as one long line of Base64.

        https://learn.microsoft.com/graph/outlook-send-mime-message

        Args:
            content: The complete message.
            recipients: The recipients; the headers name only these.

        Raises:
            OSError: If the content cannot be read.
            SubmissionError: If the headers contain a stray line break or NUL.

        """
        pieces = content.pieces()
        head, rest = await _split(pieces)
        named = name_recipients(head, recipients)
        size = content.size - len(head) + len(named)
        return cls(-(-size // 3) * 4, _encoded(_joined(named + rest, pieces)))


async def _in_one_piece(data: bytes) -> AsyncIterator[bytes]:
    """Yield everything at once."""
    yield data


async def _joined(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield one piece, then the others."""
    yield first
    async for piece in pieces:
        yield piece


async def _split(pieces: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """Return a message's header, and what was read after it."""
    head = b""
    async for piece in pieces:
        head += piece
        if (end := head.find(_HEAD_END)) >= 0:
            end += len(_HEAD_END) // 2
            return head[:end], head[end:]
    return head, b""


async def _encoded(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Encode pieces in Base64, without line breaks."""
    left = b""
    async for piece in pieces:
        data = left + piece
        whole = len(data) // 3 * 3
        left = data[whole:]
        yield b2a_base64(memoryview(data)[:whole], newline=False)
    if left:
        yield b2a_base64(left, newline=False)
