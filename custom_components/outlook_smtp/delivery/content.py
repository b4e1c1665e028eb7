"""The content of a message, read from a file piece by piece during submission."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Final, Self

PIECE: Final = 512 * 1024  # Bytes; more at once would noticeably delay everything else.


@dataclass(frozen=True, slots=True)
class Content:
    """A complete message (RFC 5322) with CRLF line endings, in an open file.

    `size` is in bytes, from the current position of the file. The caller closes the file.
    """

    file: BinaryIO = field(repr=False)
    size: int
    _start: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember where the content begins."""
        object.__setattr__(self, "_start", self.file.tell())

    @classmethod
    def of(cls, message: bytes) -> Self:
        """Return the content of a message that is in memory."""
        return cls(BytesIO(message), len(message))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the content from its beginning, in pieces of bounded size.

        Raises:
            OSError: If the file cannot be read, or has become shorter.

        """
        await asyncio.to_thread(self.file.seek, self._start)
        left = self.size
        while left:
            piece = await asyncio.to_thread(self.file.read, min(left, PIECE))
            if not piece:
                raise OSError("The content is shorter than it was")
            left -= len(piece)
            yield piece
