"""What a message consists of, made piece by piece: it is never whole in memory."""

from base64 import encodebytes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_PIECE: Final = 65_536  # Bytes; the work on so few never holds other threads up.
_LINE: Final = 57  # Bytes that fill a line of Base64, which has 76 characters (RFC 2045, 6.8).
_LINES: Final = MAX_PIECE // 78


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes that go on the connection in lines of Base64."""

    raw: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Return how many bytes go on the connection."""
        return -(-len(self.raw) // 3) * 4 + -(-len(self.raw) // _LINE) * 2

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines, many at a time."""
        for lines in _cut(self.raw, _LINES * _LINE):
            yield encodebytes(lines).replace(b"\n", b"\r\n")


class Content:
    """The bytes of a message, from its first header to its last line."""

    __slots__ = ("_parts", "size")

    def __init__(self, parts: Iterable[bytes | Base64]) -> None:
        """Keep what the message consists of, and count the bytes that it has on the connection."""
        self._parts = tuple(parts)
        self.size: Final = sum(
            part.size if isinstance(part, Base64) else len(part) for part in self._parts
        )

    def __iter__(self) -> Iterator[bytes]:
        """Yield all bytes in pieces of no more than `MAX_PIECE`, each time from the start."""
        for part in self._parts:
            yield from part if isinstance(part, Base64) else _cut(part, MAX_PIECE)

    def __bytes__(self) -> bytes:
        """Return all bytes at once."""
        return b"".join(self)


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    """Yield the data in pieces of a size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
