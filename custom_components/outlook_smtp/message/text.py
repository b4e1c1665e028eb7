"""Clean text from templates so that it can be encoded and placed in a header."""

from collections.abc import Iterator
import re
from typing import Final

MAX_SHORT: Final = 1000  # Characters of a title or a name.
MAX_PIECE: Final = 16_384  # Characters processed before other threads get a turn.
MAX_VISIBLE: Final = 500  # Characters that an error quotes.

# CR, LF, NUL and the other C0 and C1 controls (NEL is one), and Unicode's two line separators:
# some mail readers break lines at each of them.
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
# All control characters except tabs and the ends of lines and pages.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_UNITS: Final = re.compile("\r\n|[\ud800-\udbff][\udc00-\udfff]")
# Matches each run of spaces once, from its start, so that many of them are fast.
_GAP: Final = re.compile(rf"(?<! ) *+[{_CONTROLS}][ {_CONTROLS}]*+")


def readable(text: str) -> str:
    """Return the text with surrogates paired where possible and replaced elsewhere.

    Templates leave lone surrogates when they cut text or decode JSON carelessly; no encoding
    accepts them, and JSON that contains one cannot be parsed.
    """
    return text if text.isascii() else "".join(map(_paired, pieces(text)))


def one_line(text: str) -> str:
    """Return the text with one space for each run of control characters, such as line breaks.

    Surrounding white space is removed.
    """
    return _GAP.sub(" ", readable(text)).strip()


def short_line(text: str) -> str:
    """Return the text on one line, cut to `MAX_SHORT` characters with an ellipsis at the end."""
    # Do not process many megabytes of which only the beginning is needed.
    line = one_line(text[: 2 * MAX_SHORT])
    if len(line) <= MAX_SHORT and len(text) <= 2 * MAX_SHORT:
        return line
    return f"{line[: MAX_SHORT - 1].rstrip()}…"


def body_text(text: str) -> str:
    """Return text that any mail reader accepts: uniform line ends, no invisible characters.

    A control character or lone surrogate becomes a replacement character.
    """
    return "".join(map(_body_piece, pieces(text)))


def is_blank(text: str) -> bool:
    """Return whether a text is empty except for white space."""
    return all(piece.isspace() for piece in pieces(text))


def encoded_size(text: str) -> int:
    """Return the number of bytes of a text in UTF-8."""
    return sum(len(piece.encode(errors="replace")) for piece in pieces(text))


def pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces, between which other threads get a turn.

    One call of a C function blocks them all, including the event loop. No piece ends
    within a character or a line end.
    """
    start = 0
    while start < len(text):
        end = start + MAX_PIECE
        end += bool(_UNITS.fullmatch(text[end - 1 : end + 1]))
        yield text[start:end]
        start = end


def holds_control(text: str) -> bool:
    """Return whether the text has a line break or another control character."""
    return bool(_CONTROL.search(text))


def visible(text: str, limit: int = MAX_VISIBLE) -> str:
    """Return somebody else's text in a readable form: on one line, and not too long.

    Invisible and directional characters are escaped.
    """
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return shown if shown.isprintable() else "".join(map(_escape, shown))


def _escape(character: str) -> str:
    """Return the character, escaped if it is invisible."""
    return character if character.isprintable() else repr(character)[1:-1]


def _paired(text: str) -> str:
    """Return a text with all surrogates paired or replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _body_piece(text: str) -> str:
    """Return a piece of a body in a form that any mail reader accepts."""
    text = text if text.isascii() else _paired(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
