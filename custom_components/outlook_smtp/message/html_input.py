"""Split HTML into parts that are short enough for a parser, even if it is hostile.

The HTML itself is sent unchanged; this is for its plain-text alternative.
"""

from collections.abc import Iterator
from operator import itemgetter
import re
from typing import Final

# Maximum characters of a tag, and of text fed to the parser at once. This bounds the digits of a
# character reference, so that int() accepts them.
MAX_TAG: Final = 4000
_MAX_NAME: Final = 40  # Characters of a reference such as &amp; at the end of such text.
_NOTHING: Final = "<!---->"
_LETTER: Final = re.compile("[A-Za-z]")


def readable_html(html: str) -> str:
    """Return HTML without comments, with long tags cut and long text split.

    It takes linear time.
    """
    return "".join(_read(html))


def _read(html: str) -> Iterator[str]:
    """Yield HTML in parts."""
    written = position = 0
    comments = True
    while (start := html.find("<", position)) >= 0:
        if start - position > MAX_TAG:
            yield html[written:position]
            yield from _read_text(html[position:start])
            written = start
        position = start + 1
        if comments and html.startswith("!--", position):
            end = html.find("-->", start + 2)
            comments = end >= 0
            if comments:
                yield html[written:start]
                written = position = end + 3
        elif html.find(">", start, start + MAX_TAG) < 0 and _LETTER.match(html, position):
            yield html[written:start]
            yield f"{html[start : start + MAX_TAG]}'\">"
            written = position = _tag_end(html, start)
    yield html[written:position]
    yield from _read_text(html[position:])


def _read_text(text: str) -> Iterator[str]:
    """Yield text in adjacent parts, none of which ends within a reference."""
    start = 0
    while len(text) - start > MAX_TAG:
        end = start + MAX_TAG
        if (reference := text.rfind("&", end - _MAX_NAME, end)) > start:
            end = reference
        yield text[start:end]
        yield _NOTHING
        start = end
    yield text[start:]


def _tag_end(html: str, start: int) -> int:
    """Return where a tag ends, which is never within quotes (HTML Standard, 13.2.5)."""
    found = {mark: _find(html, mark, start) for mark in "\"'>"}
    while True:
        mark, at = min(found.items(), key=itemgetter(1))
        if mark == ">" or at == len(html):
            return min(at + 1, len(html))
        closing = html.find(mark, at + 1)
        if closing < 0:
            return min(found[">"] + 1, len(html))
        found = {
            each: place if place > closing else _find(html, each, closing + 1)
            for each, place in found.items()
        }


def _find(html: str, mark: str, start: int) -> int:
    """Return the position of a mark, or the end of the HTML."""
    place = html.find(mark, start)
    return len(html) if place < 0 else place
