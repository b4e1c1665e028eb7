"""Masks what was sent as a secret wherever a server repeats it, in whatever form."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
import html
import json
from operator import itemgetter
import re
import string
from typing import Final
from urllib.parse import quote_from_bytes

MAX_READ: Final = 8192  # Of one text of a server, bytes that are read and characters looked at.
MAX_TEXT: Final = 512  # Characters of it that are kept and shown.
MAX_LAST: Final = 1024  # What of that is left for the last line, which may be what matters.
MASK: Final = "***"

MAX_SECRETS: Final = 16  # Tokens are renewed every hour; the latest are remembered.
_WINDOW: Final = 4  # Characters that are looked up at once; what is shorter is matched as a word.
_TELLING: Final = 8  # Characters of an encoded secret that are too many to show,
_TELLING_LONG: Final = 16  # and those of a long one, such as a token.
_LONG: Final = 64
_MOST_PLACES: Final = 8  # At which one piece of secrets is looked for.
# How many characters of Base64 depend on the 0, 1 or 2 bytes that stand before the secret.
_SHARED: Final = (0, 2, 3)

# A form of a secret, the place in it, and how many characters of it tell too much.
type _Window = tuple[str, int, int]

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_URL_SAFE: Final = str.maketrans("+/", "-_")


def cut(text: str) -> str:
    """Return what is looked at of a text of several lines: its beginning, and the last of them."""
    if len(text) <= MAX_READ:
        return text
    more, end, last = text.rpartition("\n")
    return f"{more[: MAX_READ - MAX_LAST]}{end}{last}"[:MAX_READ]


class Secrets:
    """What was sent to prove who sends, and every text of a server without it.

    A server may repeat it as it is, decoded, or in a form of its own: Base64 at any offset, URL,
    HTML or JSON encoding, hexadecimal, in any case, and cut off. The time that it takes to mask a
    text is linear in its length.
    """

    def __init__(self, *secrets: str) -> None:
        """Know these secrets."""
        self._known: dict[str, None] = {}
        self._index: dict[str, list[_Window]] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these as well from now on.

        Args:
            secrets: Passwords, tokens, or what was made of them to be sent.

        """
        for secret in filter(None, secrets):
            if secret not in self._known:
                self._index = None
            self._known.pop(secret, None)
            self._known[secret] = None
        while len(self._known) > MAX_SECRETS:
            del self._known[next(iter(self._known))]

    def mask(self, text: str, most: int = MAX_READ) -> str:
        """Return the beginning of a text, which is all that is looked at, without secrets.

        Args:
            text: What a server said.
            most: How many characters of it are looked at, if it is already cut to its lines.

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
        """Yield where in a text a secret begins and ends."""
        if self._index is None:
            self._index = _indexed(self._known)
        folded = text.translate(_LOWER)
        place = end = 0
        while place <= len(folded) - _WINDOW:
            windows = self._index.get(folded[place : place + _WINDOW], ())
            found = [_extend(folded, place, window, end) for window in windows]
            start, stop = max(found, key=itemgetter(1), default=(0, 0))
            if stop:
                yield start, stop
                place = end = stop
            else:
                place += 1


def _is_short(secret: str) -> bool:
    """Return whether a secret is too short to be looked for inside of words."""
    return len(secret) < _WINDOW


def _indexed(secrets: Iterable[str]) -> dict[str, list[_Window]]:
    """Return the places of all pieces; of one that is everywhere some will do."""
    index: dict[str, list[_Window]] = {}
    for piece, window in _windows(secrets):
        if len(windows := index.setdefault(piece, [])) < _MOST_PLACES:
            windows.append(window)
    return index


def _windows(secrets: Iterable[str]) -> Iterator[tuple[str, _Window]]:
    """Yield pieces of all forms of secrets, each with its form, its place and what tells too much.

    They are so many that any part of a form that tells too much holds one of them.
    """
    for secret in secrets:
        for form, telling in _forms(secret):
            stride = max(telling - _WINDOW + 1, 1)
            folded = form.translate(_LOWER)
            for place in range(0, len(folded) - _WINDOW + 1, stride):
                yield folded[place : place + _WINDOW], (folded, place, telling)


def _forms(secret: str) -> Iterator[tuple[str, int]]:
    """Yield the forms in which a server may repeat a secret, and how much of each tells too much.

    Of the secret itself that is two thirds: a shorter piece may be a word of the server's own.
    """
    size = len(secret)
    yield secret, size if size <= _TELLING else min(_TELLING_LONG, -(-2 * size // 3))
    telling = _TELLING if size < _LONG else _TELLING_LONG
    data = secret.encode("utf-8", "surrogatepass")
    for form in {*_encoded(secret, data), *_in_base64(data)} - {secret}:
        yield form, min(telling, len(form))


def _encoded(secret: str, data: bytes) -> Iterator[str]:
    """Yield a secret as pages, addresses, JSON and dumps show it."""
    yield from (quote_from_bytes(data, safe) for safe in ("", "/"))
    yield quote_from_bytes(data, " ").replace(" ", "+")
    yield html.escape(secret)
    yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    yield data.hex()


def _in_base64(data: bytes) -> Iterator[str]:
    """Yield what of the Base64 of any longer text is a secret's own, at each of three offsets."""
    yield b64encode(data).decode()
    for offset, shared in enumerate(_SHARED):
        whole = (offset + len(data)) * 8 // 6
        form = b64encode(bytes(offset) + data).decode()[shared:whole]
        yield from (form, form.translate(_URL_SAFE))


def _extend(text: str, place: int, window: _Window, least: int) -> tuple[int, int]:
    """Return where in a text the part of a form begins and ends that it holds at a place.

    It does not begin before `least`. The end is 0 where that part tells nothing.
    """
    form, at, telling = window
    start, stop, last = place, place + _WINDOW, at + _WINDOW
    while start > least and at and text[start - 1] == form[at - 1]:
        start, at = start - 1, at - 1
    while stop < len(text) and last < len(form) and text[stop] == form[last]:
        stop, last = stop + 1, last + 1
    if stop - start < telling:
        return start, 0
    while stop < len(text) and text[stop] == "=":  # The padding of Base64.
        stop += 1
    return start, stop
