"""Lay out words in lines; the separator of two words is chosen when the second is written."""

from io import StringIO
import re
from typing import Final

from .text import pieces

_SPACE: Final = re.compile(r"[ \t\n\r\f\xa0]+")
_NEXT_LINE: Final = re.compile(r"\n(?=[^\n])")


class TextLines:
    """A text that grows at its end.

    `prefix` begins each line, and `lead` replaces it on the next one. `breaks` line ends and `bars`
    vertical bars precede the next text.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.count = 0
        self.prefix = ""
        self.lead: str | None = None
        self.breaks = 0
        self.bars = 0
        # Not a list: the garbage collector would scan everything in it.
        self._text = StringIO()
        self.written = 0  # Increases with each write.
        self._last_prefix = ""
        self._space = False

    @property
    def next_line(self) -> int:
        """The number of the next line to be written."""
        return self.count + (self.breaks > 0 or not self.written)

    def end_line(self, breaks: int) -> None:
        """Put at least a number of line ends before what follows."""
        self.breaks = max(self.breaks, breaks)

    def break_line(self) -> None:
        """Add a line end, but never a second empty line."""
        self.breaks = max(self.breaks, min(self.breaks + 1, 2))

    def write(self, text: str) -> None:
        """Write words, with one space for any white space, and none next to line ends."""
        for piece in pieces(text):
            self._write(piece)

    def _write(self, text: str) -> None:
        """Write words, or a piece of one."""
        text = _SPACE.sub(" ", text)
        words = text.strip(" ")
        if not words:
            self._space |= text != ""
            return
        self._space |= text[0] == " "
        self._put(words)
        self._space = text[-1] == " "

    def write_preformatted(self, text: str) -> None:
        """Write text unchanged, but keep line ends at its end for what follows."""
        for piece in pieces(text):
            self._write_preformatted(piece)

    def _write_preformatted(self, text: str) -> None:
        """Write a piece of a text unchanged."""
        text = text.replace("\xa0", " ")
        if lines := text.rstrip("\n"):
            self._put(_NEXT_LINE.sub(f"\n{self.prefix}", lines))
            self.count += lines.count("\n")
        self.breaks += len(text) - len(lines)

    def append(self, text: str) -> None:
        """Write after the last word, before anything that separates it from the next one."""
        self._text.write(text)
        self.written += 1

    def text(self) -> str:
        """Return all lines, without empty ones at the beginning and the end."""
        return self._text.getvalue().lstrip("\n").rstrip()

    def _put(self, text: str) -> None:
        """Write text after its separator."""
        if self.breaks or not self.written:
            before = self._begin_line()
        else:
            before = " " if self._space or self.bars else ""
        self.append(f"{before}{'| ' * self.bars}{text}")
        self.breaks = self.bars = 0
        self._space = False

    def _begin_line(self) -> str:
        """Return the pending line ends and the beginning of a line."""
        start = self.prefix if self.lead is None else self.lead
        if self.written:
            # A quote continues through empty lines.
            shorter, longer = sorted((self._last_prefix, self.prefix), key=len)
            empty = shorter.rstrip() if longer.startswith(shorter) else ""
            start = f"\n{empty}" * (self.breaks - 1) + f"\n{start}"
        self._last_prefix = self.prefix
        self.lead = None
        self.count += 1
        return start
