"""Write header fields: encoded, folded, and safe from header injection.

The standard library writes a long name on a line over the limit, and does not encode text that
already looks encoded. The rules for headers are few, so they are all here; the library builds the
body.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
import re
from typing import Final

from .mailbox import Mailbox, quote_name
from .text import one_line

MAX_ENCODED_LINE: Final = 76  # RFC 2047, section 2: lines with encoded words.
_MAX_WORD: Final = 64  # Fits on a line after every field name used here.
_ENCODED_BYTES: Final = 39  # Gives an encoded word of 64 characters.

_PLAIN: Final = re.compile(rf"(?!.*=\?)[!-~]{{1,{_MAX_WORD}}}(?: [!-~]{{1,{_MAX_WORD}}})*")


def text_field(name: str, text: str) -> str:
    """Return a free-text field (RFC 5322, section 3.6.5), such as the subject."""
    return _fold(name, _words(one_line(text)))


def token_field(name: str, token: str) -> str:
    """Return a field whose value must stay on one line, such as a message identifier."""
    return _fold(name, (token,))


def mailbox_field(name: str, mailboxes: Iterable[Mailbox]) -> str:
    """Return a field of mailboxes (RFC 5322, section 3.6.3; RFC 6532 if not ASCII)."""
    tokens: list[str] = []
    for mailbox in mailboxes:
        if tokens:
            tokens[-1] += ","
        tokens += _mailbox_tokens(mailbox)
    return _fold(name, tokens)


def _mailbox_tokens(mailbox: Mailbox) -> Iterator[str]:
    """Yield the unbreakable parts of a mailbox: the words of its name, and its address."""
    # As mail readers show it: repeated spaces in a name mean nothing (RFC 5322, section 3.2.2).
    name = re.sub(" +", " ", mailbox.name)
    if not name:
        yield mailbox.envelope
        return
    if _PLAIN.fullmatch(name) and len(quote_name(name)) <= _MAX_WORD:
        yield quote_name(name)
    else:
        yield from _encode(name)
    yield f"<{mailbox.envelope}>"


def _words(text: str) -> Iterable[str]:
    """Return the words between which a text may be folded, encoded where necessary."""
    return text.split(" ") if _PLAIN.fullmatch(text) else _encode(text)


def _encode(text: str) -> Iterator[str]:
    """Yield the text as encoded words (RFC 2047), without splitting a character."""
    chunk = b""
    for character in map(str.encode, text):
        if len(chunk) + len(character) > _ENCODED_BYTES:
            yield _encoded_word(chunk)
            chunk = b""
        chunk += character
    if chunk:
        yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    """Return one encoded word (RFC 2047, section 4.1)."""
    return f"=?utf-8?b?{b64encode(chunk).decode()}?="


def _fold(name: str, tokens: Iterable[str]) -> str:
    """Return a field folded between its tokens (RFC 5322, section 2.2.3), with its line end."""
    lines = [f"{name}:"]
    for position, token in enumerate(tokens):
        if position and len(lines[-1]) + 1 + len(token) > MAX_ENCODED_LINE:
            lines.append("")
        lines[-1] += f" {token}"
    return "\r\n".join(lines) + "\r\n"
