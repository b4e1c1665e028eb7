"""The commands of a mail transaction (RFC 5321, section 3.3), and content in DATA format."""

from collections.abc import AsyncIterator, Container, Iterable
from dataclasses import dataclass
import re
from typing import Final

from ..delivery.envelope import Envelope
from ..delivery.faults import Stage

# Characters that are safe between a command's angle brackets (RFC 5321, section 4.1.2).
_VALID_PATH: Final = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[^\s<>"@\x00-\x1f\x7f]+)@[^\s<>"@\x00-\x1f\x7f]+'
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and the stage of its reply; `final` asks for the message's fate."""

    stage: Stage
    line: bytes
    recipient: str | None = None
    final: bool = False

    @property
    def is_chunk(self) -> bool:
        """Return whether content follows the command (RFC 3030)."""
        return self.line.startswith(b"BDAT")


def mail_command(envelope: Envelope, size: int, extensions: Container[str]) -> Command:
    """Return the command with the sender; `ValueError` for an unusable address."""
    path = _path(envelope.sender, utf8=envelope.utf8)
    parameters = _parameters(envelope, size, extensions)
    return Command(Stage.MAIL, b" ".join((b"MAIL FROM:" + path, *parameters)))


def rcpt_command(recipient: str, *, utf8: bool) -> Command:
    """Return the command with a recipient; `ValueError` for an unusable address."""
    return Command(Stage.RCPT, b"RCPT TO:" + _path(recipient, utf8=utf8), recipient)


async def dot_stuffed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Double every dot that begins a line, and append the final one (RFC 5321, section 4.5.2)."""
    ready, end = b"", b"\r\n"
    async for piece in pieces:
        if ready:
            yield ready
        # The end of the previous piece tells whether this one begins a line.
        ready = (end + piece).replace(b"\r\n.", b"\r\n..")[len(end) :]
        end = (end + piece)[-2:]
    yield ready + (b".\r\n" if end == b"\r\n" else b"\r\n.\r\n")


def _parameters(envelope: Envelope, size: int, extensions: Container[str]) -> Iterable[bytes]:
    """Yield the parameters of MAIL FROM (RFC 1870, 6152 and 6531)."""
    if "size" in extensions:
        yield b"SIZE=%d" % size
    if "8bitmime" in extensions:
        yield b"BODY=8BITMIME"
    if envelope.utf8:
        yield b"SMTPUTF8"


def _path(address: str, *, utf8: bool) -> bytes:
    """Return an address as a path; `ValueError` for one that would break out of its line."""
    if not _VALID_PATH.fullmatch(address):
        raise ValueError("An address does not fit a command")
    return b"<" + address.encode("utf-8" if utf8 else "ascii") + b">"
