"""The content of a message, built piece by piece: it is never whole in memory."""

from base64 import encodebytes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_PIECE: Final = 65_536  # Bytes; processing this many does not block other threads for long.
_LINE: Final = 57  # Bytes in a Base64 line of 76 characters (RFC 2045, section 6.8).
_LINES: Final = MAX_PIECE // 78


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes that are sent as lines of Base64."""

    raw: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Return the encoded size in bytes."""
        return -(-len(self.raw) // 3) * 4 + -(-len(self.raw) // _LINE) * 2

    def __iter__(self) -> Iterator[bytes]:
        """Yield the encoded lines, many at a time."""
        for lines in _cut(self.raw, _LINES * _LINE):
            yield encodebytes(lines).replace(b"\n", b"\r\n")


class MessageParts:
    """The bytes of a message, from its first header to its last line."""

    __slots__ = ("_parts", "size")

    def __init__(self, parts: Iterable[bytes | Base64]) -> None:
        """Store the parts of the message, and add up their encoded sizes."""
        self._parts = tuple(parts)
        self.size: Final = sum(
            part.size if isinstance(part, Base64) else len(part) for part in self._parts
        )

    def __iter__(self) -> Iterator[bytes]:
        """Yield all bytes in pieces of at most `MAX_PIECE`, from the start each time."""
        for part in self._parts:
            yield from part if isinstance(part, Base64) else _cut(part, MAX_PIECE)

    def __bytes__(self) -> bytes:
        """Return all bytes at once."""
        return b"".join(self)


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    """Yield the data in pieces of a given size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
