"""Link targets as written in plain text."""

import re
from typing import Final
from urllib.parse import quote

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_DELIMITER: Final = re.compile(r'[\s<>"]+')
_SCHEME: Final = re.compile(r"^(?:https?://|mailto:|tel:)(?=.)", re.IGNORECASE)


def link_address(href: str) -> str | None:
    """Return a link's target as one word, or nothing if it has no meaning outside the HTML."""
    address = _DELIMITER.sub(lambda match: quote(match[0]), _CONTROL.sub("", href).strip())
    return address if _SCHEME.match(address) else None


def is_address(text: str, address: str) -> bool:
    """Return whether a link's text is just its target, as people write it."""
    return _bare(text) == _bare(address)


def _bare(text: str) -> str:
    """Return an address without the parts that people omit and the spaces that they add."""
    return _SCHEME.sub("", "".join(text.split())).rstrip("/").casefold()
