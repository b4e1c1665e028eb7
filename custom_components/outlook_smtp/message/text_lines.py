"""Lays words out in lines: what separates two of them is decided when the second one comes."""

from io import StringIO
import re
from typing import Final

from .text import pieces

_SPACE: Final = re.compile(r"[ \t\n\r\f\xa0]+")
_NEXT_LINE: Final = re.compile(r"\n(?=[^\n])")


class TextLines:
    """A text that grows at its end.

    `prefix` is what lines begin with, and `lead` what the next one begins with instead. `breaks`
    line ends and `bars` vertical bars stand before what is written next.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.count = 0
        self.prefix = ""
        self.lead: str | None = None
        self.breaks = 0
        self.bars = 0
        # No list: a collection of garbage would go through all that it holds.
        self._text = StringIO()
        self.written = 0  # A number that grows with each writing.
        self._last_prefix = ""
        self._space = False

    @property
    def next_line(self) -> int:
        """The number of the line that is written on next."""
        return self.count + (self.breaks > 0 or not self.written)

    def end_line(self, breaks: int) -> None:
        """Let what follows begin after at least so many line ends."""
        self.breaks = max(self.breaks, breaks)

    def break_line(self) -> None:
        """Add a line end, but never a second empty line."""
        self.breaks = max(self.breaks, min(self.breaks + 1, 2))

    def write(self, text: str) -> None:
        """Write words, with one space where there is white space, and none beside line ends."""
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
        """Write text as it is, but for line ends at its end: these are kept for what follows."""
        for piece in pieces(text):
            self._write_preformatted(piece)

    def _write_preformatted(self, text: str) -> None:
        """Write a piece of a text as it is."""
        text = text.replace("\xa0", " ")
        if lines := text.rstrip("\n"):
            self._put(_NEXT_LINE.sub(f"\n{self.prefix}", lines))
            self.count += lines.count("\n")
        self.breaks += len(text) - len(lines)

    def append(self, text: str) -> None:
        """Write behind the last word, before all that separates it from the next one."""
        self._text.write(text)
        self.written += 1

    def text(self) -> str:
        """Return all lines, without empty ones at the beginning and the end."""
        return self._text.getvalue().lstrip("\n").rstrip()

    def _put(self, text: str) -> None:
        """Write text behind what separates it from the one before."""
        if self.breaks or not self.written:
            before = self._begin_line()
        else:
            before = " " if self._space or self.bars else ""
        self.append(f"{before}{'| ' * self.bars}{text}")
        self.breaks = self.bars = 0
        self._space = False

    def _begin_line(self) -> str:
        """Return the line ends that are due, and the beginning of a line."""
        start = self.prefix if self.lead is None else self.lead
        if self.written:
            # A quote goes on through empty lines.
            shorter, longer = sorted((self._last_prefix, self.prefix), key=len)
            empty = shorter.rstrip() if longer.startswith(shorter) else ""
            start = f"\n{empty}" * (self.breaks - 1) + f"\n{start}"
        self._last_prefix = self.prefix
        self.lead = None
        self.count += 1
        return start
