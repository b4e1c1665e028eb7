"""Convert the HTML of an email to plain text.

The standard library's parser reads it: it builds no tree, does not recurse, and takes linear time
for a text that is fed to it at once (python/cpython#135462).
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
import re
from typing import Final, override

from .html_elements import (
    CELLS,
    LINES,
    LISTS,
    PARAGRAPHS,
    PREFORMATTED,
    ROWS,
    VOID,
    Attributes,
    HiddenElement,
    last_positions,
)
from .html_input import readable_html
from .links import is_address, link_address
from .text_lines import TextLines

MAX_INDENT: Final = 5  # Indented levels of lists and quotes; deeper ones look like the last.
_RULE: Final = "-" * 10

_NUMBER: Final = re.compile(r"\s*(-?[0-9]{1,9})(?![0-9])")


def plain_text(html: str) -> str:
    """Return the text of HTML, in lines.

    It accepts any text, and takes linear time and memory, up to a limit. A link is
    followed by its address (in angle brackets: RFC 3986, appendix C), a picture is its alternative
    text.
    """
    reader = _Reader()
    reader.feed(readable_html(html).replace("\r\n", "\n").replace("\r", "\n"))
    return reader.finish()


@dataclass(slots=True)
class _Level:
    """An open element that changes the layout of the lines in it."""

    tag: str
    indent: str = ""
    number: int = 1


@dataclass(slots=True)
class _Table:
    """An open table, and the position in its row."""

    floor: int = 0  # The number of enclosing levels.
    breaks: int = 1  # The line ends around it.
    is_layout: bool = False
    cells: int = 0
    is_tall: bool = False  # The row has a cell with several lines.
    start: int = -1  # Characters written before the cell, or -1 outside of one.
    first_line: int = 0


class _Reader(HTMLParser):
    """Writes the visible elements as lines of text."""

    def __init__(self) -> None:
        """Start empty; cells without a table belong to one that never ends."""
        super().__init__()
        self._lines = TextLines()
        self._data: list[str] = []
        self._hidden = HiddenElement()
        self._levels: list[_Level] = []
        self._preformatted = 0
        self._pre_begins = False
        self._tables = [_Table()]
        self._link: str | None = None
        self._link_text: list[str] = []

    def finish(self) -> str:
        """Return the lines after all input was read."""
        self.close()
        self._flush()
        self._end_link("a")
        return self._lines.text()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, if it is visible."""
        self._flush()
        attributes = dict(reversed(attrs))  # The first attribute of a name counts.
        if self._hidden.starts(tag, attributes):
            return
        self._break(tag)
        if start := _STARTS.get(tag):
            start(self, tag, attributes)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close an element written as in XHTML."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        """Close an element, if it is visible."""
        self._flush()
        if self._hidden.ends(tag):
            return
        if end := _ENDS.get(tag):
            end(self, tag)
        self._break(tag)

    @override
    def handle_data(self, data: str) -> None:
        """Collect a piece of text."""
        if not self._hidden:
            self._data.append(data)

    @override
    def unknown_decl(self, data: str) -> None:
        """Collect the text of a CDATA section."""
        self.handle_data(data.removeprefix("CDATA["))

    def _flush(self) -> None:
        """Write the collected text."""
        if not self._data:
            return
        text = "".join(self._data)
        self._data.clear()
        if self._link is not None:
            self._link_text.append(text)
        if not self._preformatted:
            self._lines.write(text)
            return
        if self._pre_begins:
            text = text.removeprefix("\n")
            self._pre_begins = False
        self._lines.write_preformatted(text)

    def _break(self, tag: str) -> None:
        """End the line where a block begins or ends, but not before the first word of a cell."""
        if self._tables[-1].start == self._lines.written:
            return
        if tag in PARAGRAPHS:
            self._lines.end_line(2)
        elif tag in LINES:
            self._lines.end_line(1)

    def _force_break(self, breaks: int) -> None:
        """End the line for elements that get lines of their own even in a cell."""
        self._tables[-1].is_tall = True
        self._lines.bars = 0
        self._lines.end_line(breaks)

    def _break_line(self, tag: str, attributes: Attributes | None = None) -> None:
        """End the line, and leave an empty line if it has already ended."""
        if self._tables[-1].start != self._lines.written:
            self._lines.break_line()

    def _rule(self, tag: str, attributes: Attributes) -> None:
        """Draw a horizontal rule."""
        self._force_break(1)
        self._lines.write(_RULE)
        self._lines.end_line(1)

    def _picture(self, tag: str, attributes: Attributes) -> None:
        """Write the alternative text of an image."""
        if alt := " ".join((attributes.get("alt") or "").split()):
            self._data.append(f"[{alt}]")

    def _start_link(self, tag: str, attributes: Attributes) -> None:
        """Begin a link, and end an open one."""
        self._end_link(tag)
        self._link = link_address(attributes.get("href") or "")

    def _end_link(self, tag: str) -> None:
        """Write the target of a link, unless its text is the same."""
        link, text = self._link, "".join(self._link_text)
        self._link = None
        self._link_text.clear()
        if link is None:
            return
        if not text.strip():
            self._lines.write(f"<{link}>")
        elif not is_address(text, link):
            self._lines.append(f" <{link}>")

    def _start_list(self, tag: str, attributes: Attributes) -> None:
        """Begin a list."""
        self._force_break(self._list_breaks())
        self._push(_Level(tag, "  ", _number(attributes.get("start"), 1)))

    def _start_item(self, tag: str, attributes: Attributes) -> None:
        """Begin a list item, and end what is still open in the previous one."""
        self._force_break(1)
        marker = "  " if tag == "dd" else "- "
        position = self._find(LISTS) if tag == "li" else None
        if position is None:
            self._lines.lead = self._lines.prefix + marker
            return
        self._drop(position + 1)
        level = self._levels[position]
        if level.tag == "ol":
            number = _number(attributes.get("value"), level.number)
            marker, level.number = f"{number}. ", number + 1
        self._lines.lead = self._indent(position) + marker

    def _end_item(self, tag: str) -> None:
        """End a list item."""
        self._lines.lead = None

    def _start_quote(self, tag: str, attributes: Attributes) -> None:
        """Begin a quote."""
        self._force_break(2)
        if self._lines.lead is not None and len(self._levels) < MAX_INDENT:
            self._lines.lead += "> "
        self._push(_Level(tag, "> "))

    def _start_preformatted(self, tag: str, attributes: Attributes) -> None:
        """Begin preformatted text, without a line end right after the tag."""
        self._pre_begins = True
        self._preformatted += 1
        self._push(_Level(tag))

    def _close(self, tag: str) -> None:
        """Close the nearest list, quote or preformatted text of a kind."""
        if (position := self._find({tag})) is not None:
            self._drop(position)
        if tag in LISTS:
            self._lines.end_line(self._list_breaks())

    def _start_table(self, tag: str, attributes: Attributes) -> None:
        """Begin a table."""
        is_layout = attributes.get("role") in ("none", "presentation")
        breaks = 1 if is_layout or self._tables[-1].start >= 0 else 2
        self._force_break(breaks)
        self._tables.append(_Table(len(self._levels), breaks, is_layout))

    def _end_table(self, tag: str) -> None:
        """End a table."""
        self._end_row(tag)
        if len(self._tables) > 1:
            self._lines.end_line(self._tables.pop().breaks)

    def _end_row(self, tag: str, attributes: Attributes | None = None) -> None:
        """End a row, where it ends and where the next one begins."""
        self._end_cell(tag)
        self._tables[-1].cells = 0
        self._tables[-1].is_tall = False
        self._lines.bars = 0
        self._lines.end_line(1)

    def _start_cell(self, tag: str, attributes: Attributes) -> None:
        """Begin a cell: after a bar, or on a line of its own if a bar would not work."""
        self._end_cell(tag)
        table = self._tables[-1]
        if table.cells and not table.is_layout and not table.is_tall:
            self._lines.bars += 1
        else:
            self._lines.end_line(1)
        table.cells += 1
        table.start = self._lines.written
        table.first_line = self._lines.next_line

    def _end_cell(self, tag: str) -> None:
        """End a cell; the next one may follow on the same line if it has only one."""
        table = self._tables[-1]
        self._drop(table.floor)
        if table.start not in (-1, self._lines.written):
            table.is_tall |= self._lines.count > table.first_line
            if not table.is_tall:
                self._lines.breaks = 0
        table.start = -1

    def _list_breaks(self) -> int:
        """Return the number of line ends around a list: fewer within another one."""
        return 1 if self._levels and self._levels[-1].tag in LISTS else 2

    def _find(self, tags: Container[str]) -> int | None:
        """Return the position of the innermost level of these kinds, within the table."""
        positions = last_positions(len(self._levels), self._tables[-1].floor)
        return next((place for place in positions if self._levels[place].tag in tags), None)

    def _push(self, level: _Level) -> None:
        """Enter a level."""
        self._levels.append(level)
        self._lines.prefix = self._indent(len(self._levels))

    def _drop(self, position: int) -> None:
        """Leave all levels from a position on."""
        if position == len(self._levels):
            return
        ended = sum(level.tag in PREFORMATTED for level in self._levels[position:])
        if ended:
            self._preformatted -= ended
            self._lines.breaks = min(self._lines.breaks, 2)
        del self._levels[position:]
        self._lines.prefix = self._indent(position)
        self._lines.lead = None

    def _indent(self, position: int) -> str:
        """Return the prefix of lines within nested levels."""
        return "".join(level.indent for level in self._levels[: min(position, MAX_INDENT)])


_STARTS: Final[Mapping[str, Callable[[_Reader, str, Attributes], None]]] = {
    **dict.fromkeys(LISTS, _Reader._start_list),
    **dict.fromkeys(PREFORMATTED, _Reader._start_preformatted),
    **dict.fromkeys(ROWS, _Reader._end_row),
    **dict.fromkeys(CELLS, _Reader._start_cell),
    "a": _Reader._start_link,
    "blockquote": _Reader._start_quote,
    "br": _Reader._break_line,
    "dd": _Reader._start_item,
    "hr": _Reader._rule,
    "img": _Reader._picture,
    "li": _Reader._start_item,
    "table": _Reader._start_table,
}
_ENDS: Final[Mapping[str, Callable[[_Reader, str], None]]] = {
    **dict.fromkeys(LISTS | PREFORMATTED | {"blockquote"}, _Reader._close),
    **dict.fromkeys(ROWS, _Reader._end_row),
    **dict.fromkeys(CELLS, _Reader._end_cell),
    "a": _Reader._end_link,
    "br": _Reader._break_line,
    "li": _Reader._end_item,
    "table": _Reader._end_table,
}


def _number(text: str | None, default: int) -> int:
    """Return the number at the start of a list attribute, if it has one."""
    match = _NUMBER.match(text or "")
    return int(match[1]) if match else default
