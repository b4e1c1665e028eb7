"""The addresses that links lead to, as they are written in a text."""

import re
from typing import Final
from urllib.parse import quote

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_DELIMITER: Final = re.compile(r'[\s<>"]+')
_SCHEME: Final = re.compile(r"^(?:https?://|mailto:|tel:)(?=.)", re.IGNORECASE)


def link_address(href: str) -> str | None:
    """Return where a link leads, in one word, or nothing if that is nowhere without the HTML."""
    address = _DELIMITER.sub(lambda match: quote(match[0]), _CONTROL.sub("", href).strip())
    return address if _SCHEME.match(address) else None


def is_address(text: str, address: str) -> bool:
    """Return whether a text is nothing but the address, as people write it."""
    return _bare(text) == _bare(address)


def _bare(text: str) -> str:
    """Return an address without what people leave out, and without the space that they add."""
    return _SCHEME.sub("", "".join(text.split())).rstrip("/").casefold()
