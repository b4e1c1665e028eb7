"""Properties of HTML elements, including which ones are hidden (HTML Standard, 4 and 15.3)."""

from collections.abc import Mapping
import re
from typing import Final

REACH: Final = 50  # Open elements that an end tag can close; searching all would be quadratic.

CELLS: Final = frozenset(("td", "th"))
LISTS: Final = frozenset(("dir", "menu", "ol", "ul"))
PREFORMATTED: Final = frozenset(("pre", "textarea"))
ROWS: Final = frozenset(("tbody", "tfoot", "thead", "tr"))
# Elements surrounded by empty lines, and elements on lines of their own.
PARAGRAPHS: Final = frozenset(
    ("blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "p", "pre")
)
LINES: Final = frozenset(
    (
        *("address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog"),
        *("div", "dt", "fieldset", "figcaption", "footer", "form", "header", "hgroup", "html"),
        *("legend", "li", "main", "nav", "optgroup", "option", "search", "section", "select"),
        *("summary", "textarea"),
    )
)
VOID: Final = frozenset(
    (
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"),
        *("source", "track", "wbr"),
    )
)

_BLOCKS: Final = CELLS | LINES | LISTS | PARAGRAPHS | ROWS | {"hr", "table"}
_HIDDEN: Final = frozenset(("datalist", "iframe", "script", "style", "template", "title"))
_HIDDEN_STYLE: Final = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE
)
# Elements without a required end tag, and the elements that close them (HTML Standard, 13.1.2.4).
_ENDED_BY: Final = {
    **dict.fromkeys(("dd", "dt"), frozenset(("dd", "dt"))),
    **dict.fromkeys(CELLS, CELLS | ROWS),
    "li": frozenset(("li",)),
    "p": _BLOCKS,
    "tr": ROWS,
}

type Attributes = Mapping[str, str | None]


class HiddenElement:
    """Tracks the tags of a hidden element and everything in it."""

    def __init__(self) -> None:
        """Start outside of a hidden element."""
        self._open: list[str] = []

    def __bool__(self) -> bool:
        """Return whether a hidden element is open."""
        return bool(self._open)

    def starts(self, tag: str, attributes: Attributes) -> bool:
        """Return whether a start tag opens a hidden element or is inside one."""
        if len(self._open) == 1 and tag in _ENDED_BY.get(self._open[0], ()):
            self._open.clear()
        if not self._open and not _is_hidden(tag, attributes):
            return False
        if tag not in VOID:
            self._open.append(tag)
        return True

    def ends(self, tag: str) -> bool:
        """Return whether an end tag closes a hidden element or is inside one.

        The end of an enclosing block closes it, too. When in doubt, what follows is shown.
        """
        for position in last_positions(len(self._open)):
            if self._open[position] == tag:
                del self._open[position:]
                return True
        if tag in _BLOCKS:
            self._open.clear()
        return bool(self._open)


def last_positions(end: int, start: int = 0) -> range:
    """Return the positions within reach of an end, last one first."""
    return range(end - 1, max(start, end - REACH) - 1, -1)


def _is_hidden(tag: str, attributes: Attributes) -> bool:
    """Return whether an element is hidden, wherever it is."""
    style = attributes.get("style") or ""
    return tag in _HIDDEN or "hidden" in attributes or _HIDDEN_STYLE.search(style) is not None
