"""Escape foreign text where Home Assistant's frontend shows it.

Server replies, titles, names, addresses and file names come from outside. The frontend
shows the descriptions of dialogs, repairs and notifications as Markdown (marked, with GitHub's
extensions), with links, images and some HTML. Titles and errors are plain text there.
"""

from collections.abc import Collection, Mapping
import re
from typing import Final
from urllib.parse import quote as encode

from .message.text import one_line

# Placeholders that descriptions share with titles or errors.
_SHARED: Final = frozenset({"account", "address", "mailbox", "name"})

_GAP: Final = "\u2060"  # A word joiner: invisible, and not part of any markup.
# Domains that the frontend links automatically.
_ADDRESS: Final = re.compile(
    r"(?!www\.)(?:[a-z0-9.+-]|(?<=[a-z0-9])_(?=[a-z0-9]))++@(?:[a-z0-9-]++\.)*+[a-z0-9-]++",
    re.IGNORECASE | re.ASCII,
)
# What Markdown interprets; an underscore inside a word is not part of it.
_MARKUP: Final = re.compile(
    r"[\\`*\[\]<>~@]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w{1,40};)|:(?=//)|(?<=www)\.|^(?:[+=#|]|-(?=.))",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_LINK_OR_TAG: Final = re.compile(r"[<\]]")
_WEB_ADDRESS: Final = re.compile(r"://|www\.", re.IGNORECASE)
_BLOCK: Final = re.compile(r"[+=#|>`~*_]|-(?=.)|\d{1,9}[.)](?:\s|$)")
_LINK: Final = re.compile(r"https?://[^/]", re.IGNORECASE)


class Markdown(str):
    """Deliberate Markdown: any foreign text in it is already escaped."""

    __slots__ = ()


def quote(text: str) -> Markdown:
    """Return foreign text on one line, escaped so that Markdown shows it literally."""
    line = one_line(text)
    if _ADDRESS.fullmatch(line):
        return Markdown(line)
    return Markdown(_NUMBER.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", line)))


def plain(text: str) -> str:
    """Return foreign text on one line, for places that show plain text.

    Even as Markdown it would not contain an image, HTML or a link with a hidden target.
    """
    line = _LINK_OR_TAG.sub(rf"\g<0>{_GAP}", one_line(text))
    return _GAP + line if _BLOCK.match(line) else line


def shared(text: str) -> str:
    """Return foreign text on one line that looks the same as plain text and as Markdown.

    A URL in it is not linked; if it is copied, browsers ignore the invisible characters.
    """
    return _WEB_ADDRESS.sub(rf"\g<0>{_GAP}", plain(text))


def link(address: str, otherwise: str) -> Markdown:
    """Return a URL that is safe as both target and text of a link.

    Args:
        address: A URL from outside.
        otherwise: Returned if it is not a web URL.

    """
    if not _LINK.match(address):
        return Markdown(otherwise)
    return Markdown(encode(one_line(address), safe=":/?#@$&'+,;=%"))


def shown(texts: Mapping[str, str], in_errors: Collection[str] = ()) -> dict[str, str]:
    """Return the placeholders of frontend texts, escaped.

    Args:
        texts: Texts by placeholder; `Markdown` is kept as it is.
        in_errors: Placeholders that are only used in form errors or code blocks.

    """
    return {key: _show(key, text, in_errors) for key, text in texts.items()}


def _show(key: str, text: str, in_errors: Collection[str]) -> str:
    """Return a placeholder's text, escaped for the place that shows it."""
    if isinstance(text, Markdown):
        return str(text)
    if key in _SHARED:
        return shared(text)
    return plain(text) if key in in_errors else str(quote(text))
