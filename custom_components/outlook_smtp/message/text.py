"""Makes text that templates yield fit to be encoded and to stand in a header."""

import re
from typing import Final

MAX_VISIBLE: Final = 500  # Characters of what a caller wrote that an error quotes.

# CR, LF, NUL and the other C0 and C1 controls (NEL is one), and Unicode's two line separators:
# some mail readers break lines at each of them.
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CONTROL: Final = re.compile(f"[{_CONTROLS}]")
# Each run of spaces is looked at once, from its start: many of them take no time.
_GAP: Final = re.compile(rf"(?<! ) *+[{_CONTROLS}][ {_CONTROLS}]*+")


def readable(text: str) -> str:
    """Return the text with surrogates paired where they can be, and replaced where not.

    Templates leave them behind when they cut or decode JSON carelessly; no encoding takes them,
    and JSON that holds one cannot be read.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def one_line(text: str) -> str:
    """Return the text with one space for each line break, tab or other run of control characters.

    White space around it is left out.
    """
    return _GAP.sub(" ", readable(text)).strip()


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
