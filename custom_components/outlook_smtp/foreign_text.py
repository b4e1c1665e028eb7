"""Makes foreign text harmless where Home Assistant's frontend shows it.

The server's words, titles, names, addresses and names of files come from strangers. The frontend
shows the descriptions of dialogs, repairs and notifications as Markdown (marked, with the
extensions of GitHub), with links, pictures and some HTML. Titles and errors are plain text there.
"""

from collections.abc import Collection, Mapping
import re
from typing import Final
from urllib.parse import quote as encode

from .message.text import one_line

# What descriptions share with titles or errors.
_SHARED: Final = frozenset({"account", "address", "mailbox", "name"})

_GAP: Final = "\u2060"  # A word joiner: nobody sees it, and it is no part of any markup.
# Links to itself at most.
_ADDRESS: Final = re.compile(
    r"(?!www\.)(?:[a-z0-9.+-]|(?<=[a-z0-9])_(?=[a-z0-9]))++@(?:[a-z0-9-]++\.)*+[a-z0-9-]++",
    re.IGNORECASE | re.ASCII,
)
# What Markdown takes for more than itself; an underscore inside a word is none of it.
_MARKUP: Final = re.compile(
    r"[\\`*\[\]<>~@]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w{1,40};)|:(?=//)|(?<=www)\.|^(?:[+=#|]|-(?=.))",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_DISGUISE: Final = re.compile(r"[<\]]")
_WEB_ADDRESS: Final = re.compile(r"://|www\.", re.IGNORECASE)
_BLOCK: Final = re.compile(r"[+=#|>`~*_]|-(?=.)|\d{1,9}[.)](?:\s|$)")
_LINK: Final = re.compile(r"https?://[^/]", re.IGNORECASE)


class Markdown(str):
    """Text that is Markdown on purpose: whatever foreign there is in it has been quoted."""

    __slots__ = ()


def quote(text: str) -> Markdown:
    """Return foreign text, on one line, so that Markdown shows it exactly as it is."""
    line = one_line(text)
    if _ADDRESS.fullmatch(line):
        return Markdown(line)
    return Markdown(_NUMBER.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", line)))


def plain(text: str) -> str:
    """Return foreign text, on one line, for where the frontend shows plain text.

    Even as Markdown it would be no picture, no HTML, and no link that hides where it leads.
    """
    line = _DISGUISE.sub(rf"\g<0>{_GAP}", one_line(text))
    return _GAP + line if _BLOCK.match(line) else line


def shared(text: str) -> str:
    """Return foreign text, on one line, that looks the same as plain text and as Markdown.

    An address on the web is no link in it; if it is copied, browsers pass over what is invisible.
    """
    return _WEB_ADDRESS.sub(rf"\g<0>{_GAP}", plain(text))


def link(address: str, otherwise: str) -> Markdown:
    """Return an address on the web so that it can be the target and the text of a link.

    Args:
        address: As a stranger gave it.
        otherwise: What is returned if it is no address on the web.

    """
    if not _LINK.match(address):
        return Markdown(otherwise)
    return Markdown(encode(one_line(address), safe=":/?#@$&'+,;=%"))


def shown(texts: Mapping[str, str], in_errors: Collection[str] = ()) -> dict[str, str]:
    """Return what texts of the frontend may name, made harmless.

    Args:
        texts: By their placeholders. What is `Markdown` is kept.
        in_errors: Placeholders that only the errors of a form name, or a block of code.

    """
    return {key: _show(key, text, in_errors) for key, text in texts.items()}


def _show(key: str, text: str, in_errors: Collection[str]) -> str:
    """Return the text of a placeholder as the place that shows it needs it."""
    if isinstance(text, Markdown):
        return str(text)
    if key in _SHARED:
        return shared(text)
    return plain(text) if key in in_errors else str(quote(text))
