"""Makes text that templates yield fit to be encoded and to stand in a header."""

from collections.abc import Iterator
import re
from typing import Final

MAX_SHORT: Final = 1000  # Characters of a title or a name.
MAX_PIECE: Final = 16_384  # Characters that are worked on before other threads have a turn.
MAX_VISIBLE: Final = 500  # Characters of what a caller wrote that an error quotes.

# CR, LF, NUL and the other C0 and C1 controls (NEL is one), and Unicode's two line separators:
# some mail readers break lines at each of them.
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
# All but tabs and the ends of lines and pages.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_UNITS: Final = re.compile("\r\n|[\ud800-\udbff][\udc00-\udfff]")
# Each run of spaces is looked at once, from its start: many of them take no time.
_GAP: Final = re.compile(rf"(?<! ) *+[{_CONTROLS}][ {_CONTROLS}]*+")


def readable(text: str) -> str:
    """Return the text with surrogates paired where they can be, and replaced where not.

    Templates leave them behind when they cut or decode JSON carelessly; no encoding takes them,
    and JSON that holds one cannot be read.
    """
    return text if text.isascii() else "".join(map(_paired, pieces(text)))


def one_line(text: str) -> str:
    """Return the text with one space for each line break, tab or other run of control characters.

    White space around it is left out.
    """
    return _GAP.sub(" ", readable(text)).strip()


def short_line(text: str) -> str:
    """Return the text on one line, cut to `MAX_SHORT` characters with an ellipsis at the end."""
    # Of a text of many megabytes no more is looked at than could be needed.
    line = one_line(text[: 2 * MAX_SHORT])
    if len(line) <= MAX_SHORT and len(text) <= 2 * MAX_SHORT:
        return line
    return f"{line[: MAX_SHORT - 1].rstrip()}…"


def body_text(text: str) -> str:
    """Return text that any mail reader takes: one kind of line end, and nothing that cannot show.

    A control character or half a character becomes a replacement character.
    """
    return "".join(map(_body_piece, pieces(text)))


def is_blank(text: str) -> bool:
    """Return whether there is nothing but white space in a text."""
    return all(piece.isspace() for piece in pieces(text))


def encoded_size(text: str) -> int:
    """Return how many bytes of UTF-8 a text has."""
    return sum(len(piece.encode(errors="replace")) for piece in pieces(text))


def pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces, between which other threads have a turn.

    One call of a function in C keeps them all waiting, the event loop among them. No piece ends
    within a character or a line end.
    """
    start = 0
    while start < len(text):
        end = start + MAX_PIECE
        end += bool(_UNITS.fullmatch(text[end - 1 : end + 1]))
        yield text[start:end]
        start = end


def holds_control(text: str) -> bool:
    """Return whether there is a line break or another control character in the text."""
    return bool(_CONTROL.search(text))


def visible(text: str, limit: int = MAX_VISIBLE) -> str:
    """Return the text as people are shown what somebody else wrote: on one line, and not too long.

    What does not show, or would direct what does, is escaped.
    """
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return shown if shown.isprintable() else "".join(map(_escape, shown))


def _escape(character: str) -> str:
    """Return the character, or its escape where it would not show."""
    return character if character.isprintable() else repr(character)[1:-1]


def _paired(text: str) -> str:
    """Return a text whose surrogates are paired or replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _body_piece(text: str) -> str:
    """Return a piece of a body as any mail reader takes it."""
    text = text if text.isascii() else _paired(text)
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _LINE_END.sub("\n", text))
