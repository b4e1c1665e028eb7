"""Mask secrets in server replies, in any form in which a server may echo them."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
import html
import json
from operator import itemgetter
import re
import string
from typing import Final
from urllib.parse import quote_from_bytes

MAX_READ: Final = 8192  # Bytes to read of one server text, and characters to search.
MAX_TEXT: Final = 512  # Characters of it to keep and show.
MAX_LAST: Final = 1024  # Part of `MAX_READ` that is reserved for the last line.
MASK: Final = "***"

MAX_SECRETS: Final = 16  # Tokens are renewed every hour; only the latest are kept.
_WINDOW: Final = 4  # Characters to look up at once; a shorter secret is matched as a word.
_REVEALING: Final = 8  # Characters of an encoded secret that would reveal too much,
_REVEALING_LONG: Final = 16  # and of a long one, such as a token.
_LONG: Final = 64
_MAX_PLACES: Final = 8  # Limit of indexed positions per piece.
# How many Base64 characters depend on the 0, 1 or 2 bytes before the secret.
_SHARED: Final = (0, 2, 3)

# A form of a secret, a position in it, and how many of its characters reveal too much.
type _Window = tuple[str, int, int]

_SENTENCE_END: Final = re.compile(r"(?<=[^\W\d_])[.!?](?=\s|$)")
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_URL_SAFE: Final = str.maketrans("+/", "-_")


def cut(text: str) -> str:
    """Return the part of a multi-line text to search: its beginning and its last line."""
    if len(text) <= MAX_READ:
        return text
    more, end, last = text.rpartition("\n")
    return f"{more[: MAX_READ - MAX_LAST]}{end}{last}"[:MAX_READ]


def one_line(text: str) -> str:
    """Return a text of several lines as one of printable characters only."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return " ".join("".join(char if char.isprintable() else " " for char in line).split())


def shorten(text: str, most: int = MAX_TEXT) -> str:
    """Return a text on one line that ends with a sentence if it must be cut, else with an ellipsis.

    Args:
        text: The text, on one line.
        most: The maximum number of characters.

    """
    if len(text) <= most:
        return text.rstrip()
    if ends := list(_SENTENCE_END.finditer(text[:most])):
        return text[: ends[-1].end()]
    return f"{text[: most - 1].rstrip()}…"


class Secrets:
    """Knows the secrets that were sent, and masks them in server texts.

    A server may echo a secret as it is, decoded, or re-encoded: Base64 at any offset, URL, HTML or
    JSON encoding, hexadecimal, in any case, or truncated. Masking takes time linear in the length
    of the text.
    """

    def __init__(self, *secrets: str) -> None:
        """Start with these secrets."""
        self._known: dict[str, None] = {}
        self._index: dict[str, list[_Window]] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these secrets, too, from now on.

        Args:
            secrets: Passwords, tokens, or their encoded forms that were sent.

        """
        for secret in filter(None, secrets):
            if secret not in self._known:
                self._index = None
            self._known.pop(secret, None)
            self._known[secret] = None
        while len(self._known) > MAX_SECRETS:
            del self._known[next(iter(self._known))]

    def mask(self, text: str, most: int = MAX_READ) -> str:
        """Return the searched part of a text with its secrets masked.

        Args:
            text: A text from a server.
            most: How many of its characters to search, if it is already cut to its lines.

        """
        text = cut(text) if most == MAX_READ else text[:most]
        if not self._known:
            return text
        shown, end = [], 0
        for start, stop in self._spans(text):
            shown.append(text[end:start])
            end = stop
        text = MASK.join((*shown, text[end:]))
        for word in filter(_is_short, self._known):
            pattern = rf"(?<!\w){re.escape(word)}(?!\w)"
            text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
        return text

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each secret in a text."""
        if self._index is None:
            self._index = _indexed(self._known)
        index, end = self._index, 0
        folded = text.translate(_LOWER)
        # Nearly every place is none: a comprehension passes over them five times as fast as a loop.
        places = [
            place
            for place in range(len(folded) - _WINDOW + 1)
            if folded[place : place + _WINDOW] in index
        ]
        for place in places:
            if place < end:
                continue
            windows = index[folded[place : place + _WINDOW]]
            found = [_extend(folded, place, window, end) for window in windows]
            start, stop = max(found, key=itemgetter(1))
            if stop:
                yield start, stop
                end = stop


def _is_short(secret: str) -> bool:
    """Return whether a secret is too short to be searched inside words."""
    return len(secret) < _WINDOW


def _indexed(secrets: Iterable[str]) -> dict[str, list[_Window]]:
    """Return the positions of all pieces; for a very common piece, only some of them."""
    index: dict[str, list[_Window]] = {}
    for piece, window in _windows(secrets):
        if len(windows := index.setdefault(piece, [])) < _MAX_PLACES:
            windows.append(window)
    return index


def _windows(secrets: Iterable[str]) -> Iterator[tuple[str, _Window]]:
    """Yield pieces of all forms of secrets, each with its form, position and revealing length.

    They are so close together that any revealing part of a form contains one.
    """
    for secret in secrets:
        for form, revealing in _forms(secret):
            stride = max(revealing - _WINDOW + 1, 1)
            folded = form.translate(_LOWER)
            for place in range(0, len(folded) - _WINDOW + 1, stride):
                yield folded[place : place + _WINDOW], (folded, place, revealing)


def _forms(secret: str) -> Iterator[tuple[str, int]]:
    """Yield the forms in which a server may echo a secret, each with its revealing length.

    For the secret itself this is two thirds: a shorter piece may be a word of the server.
    """
    size = len(secret)
    yield secret, size if size <= _REVEALING else min(_REVEALING_LONG, -(-2 * size // 3))
    revealing = _REVEALING if size < _LONG else _REVEALING_LONG
    data = secret.encode("utf-8", "surrogatepass")
    for form in {*_encoded(secret, data), *_in_base64(data)} - {secret}:
        yield form, min(revealing, len(form))


def _encoded(secret: str, data: bytes) -> Iterator[str]:
    """Yield a secret as HTML, URLs, JSON and hex dumps show it."""
    yield from (quote_from_bytes(data, safe) for safe in ("", "/"))
    yield quote_from_bytes(data, " ").replace(" ", "+")
    yield html.escape(secret)
    yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    yield data.hex()


def _in_base64(data: bytes) -> Iterator[str]:
    """Yield the Base64 of a secret inside a longer text, at each of three offsets."""
    yield b64encode(data).decode()
    for offset, shared in enumerate(_SHARED):
        whole = (offset + len(data)) * 8 // 6
        form = b64encode(bytes(offset) + data).decode()[shared:whole]
        yield from (form, form.translate(_URL_SAFE))


def _extend(text: str, place: int, window: _Window, least: int) -> tuple[int, int]:
    """Return the start and end of the part of a form that a text contains at a position.

    It does not begin before `least`. The end is 0 if that part reveals nothing.
    """
    form, at, revealing = window
    start, stop, last = place, place + _WINDOW, at + _WINDOW
    while start > least and at and text[start - 1] == form[at - 1]:
        start, at = start - 1, at - 1
    while stop < len(text) and last < len(form) and text[stop] == form[last]:
        stop, last = stop + 1, last + 1
    if stop - start < revealing:
        return start, 0
    while stop < len(text) and text[stop] == "=":  # Base64 padding.
        stop += 1
    return start, stop
