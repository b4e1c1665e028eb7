"""Cuts HTML down to what is worth reading as text, so that no page keeps a processor busy.

The HTML itself is sent whole; this is about the text beside it.
"""

from collections.abc import Iterator
from operator import itemgetter
import re
from typing import Final

MAX_READ: Final = 500_000  # Characters that are read, without those of long tags.
MAX_TAG: Final = 5_000  # Characters of a tag that are read; a picture may be inside of one.

# More digits than any character has, and perhaps more than int() takes.
_HUGE_REFERENCE: Final = re.compile("&#[0-9]{20,}+;?")
_LETTER: Final = re.compile("[A-Za-z]")
_ELLIPSIS: Final = "<p>…</p>"


def readable_html(html: str) -> str:
    """Return the part of HTML that is read as text: its beginning, with long tags cut.

    It takes time in proportion to the length.
    """
    kept: list[str] = []
    room = MAX_READ
    for part in _without_long_tags(html):
        kept.append(part[:room])
        room -= len(part)
        if room < 0:
            # What is cut within a tag would be none.
            kept = ["".join(kept).rpartition("<")[0] or kept[0], _ELLIPSIS]
            break
    return _HUGE_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", "".join(kept))


def _without_long_tags(html: str) -> Iterator[str]:
    """Yield HTML in parts, with the beginnings of long tags in the place of them."""
    written = position = 0
    while (start := html.find("<", position)) >= 0:
        end = html.find(">", start, start + MAX_TAG)
        if end >= 0:
            position = end + 1
        elif _LETTER.match(html, start + 1):
            yield html[written:start]
            yield f"{html[start : start + MAX_TAG]}'\">"
            written = position = _tag_end(html, start)
        else:
            position = start + 1
        if position - written > MAX_READ:
            break
    yield html[written:]


def _tag_end(html: str, start: int) -> int:
    """Return where a tag ends, which is no place within quotes (HTML Standard, 13.2.5)."""
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
    """Return where a mark is, or the end of the HTML."""
    place = html.find(mark, start)
    return len(html) if place < 0 else place
