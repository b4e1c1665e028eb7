"""What a message says, read from a file piece by piece while it is handed in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Final, Self

PIECE: Final = 512 * 1024  # Bytes; more at once would be felt as a pause by everything else.


@dataclass(frozen=True, slots=True)
class Content:
    """A whole message as RFC 5322 wants it, with CRLF line ends, in a file that is open.

    `size` is in bytes, from where the file stands now; whoever opened the file closes it.
    """

    file: BinaryIO = field(repr=False)
    size: int
    _start: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember where it begins."""
        object.__setattr__(self, "_start", self.file.tell())

    @classmethod
    def of(cls, message: bytes) -> Self:
        """Return the content that is in memory already."""
        return cls(BytesIO(message), len(message))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it from its beginning in pieces of bounded size.

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
