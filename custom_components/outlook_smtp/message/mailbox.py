"""Mailboxes: an address with or without a name, read from what people and templates write."""

from collections.abc import Iterable
from dataclasses import dataclass
import re
from typing import Final
import unicodedata

import idna

from .problems import LetterError, LetterProblem, check_line

MAX_ADDRESS: Final = 254  # Octets; RFC 5321, section 4.5.3.1.3, less the angle brackets.
MAX_LOCAL_PART: Final = 64  # Octets; RFC 5321, section 4.5.3.1.1.

# RFC 5322, section 3.2.3 ("atext"), with RFC 6532, section 3.2 for what is not ASCII.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL_PART: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PHRASE: Final = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}")
_NAMED: Final = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*"\s*|[^"<>@,;]*)<(?P<address>[^<>]*)>')
# A quote that nobody closed reaches to the end, or every later one would be tried in turn.
_PART: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^",;])+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name that stands beside it."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        """Return the form of RFC 5322, section 3.4, its characters not yet encoded."""
        return f"{quote(self.name)} <{self.address}>" if self.name else self.address

    @property
    def envelope(self) -> str:
        """The address as it goes on the wire: normalised, its domain in ASCII (RFC 5891).

        Raises `ValueError` for an address that `check_mailbox` refuses.
        """
        # Some characters normalise to ASCII punctuation, so that nothing is checked before.
        local_part, _, domain = unicodedata.normalize("NFC", self.address).rpartition("@")
        if not domain.isascii():
            domain = idna.encode(domain, uts46=True).decode()
        return f"{local_part}@{domain}"

    @property
    def domain(self) -> str:
        """The domain as it goes on the wire."""
        return self.envelope.rpartition("@")[2]


def quote(name: str) -> str:
    """Return a display name, in quotes if it holds more than plain words (RFC 5322, 3.2.4)."""
    if _PHRASE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_mailbox(text: str, field: str) -> Mailbox:
    """Read `a@b.c`, `Name <a@b.c>` or `"Name, quoted" <a@b.c>`; white space around is forgiven.

    Args:
        text: One mailbox, as written by a person or a template.
        field: The action's field that it came from.

    Raises:
        LetterError: It is none, more than one, or holds a control character.

    """
    text = text.strip()
    check_line(text, field)
    if match := _NAMED.fullmatch(text):
        mailbox = Mailbox(match["address"].strip(), _read_name(match["name"].strip()))
    else:
        mailbox = Mailbox(text)
    check_mailbox(mailbox, field)
    return mailbox


def parse_mailboxes(texts: Iterable[str] | str, field: str) -> tuple[Mailbox, ...]:
    """Read mailboxes from texts that each hold none, one or several.

    Commas separate them, and semicolons, as people are used to from Outlook.

    Args:
        texts: One text, as a template yields it, or many.
        field: The action's field that they came from.

    Raises:
        LetterError: One of the parts is not a mailbox.

    """
    texts = [texts] if isinstance(texts, str) else texts
    parts = (part for text in texts for part in _PART.findall(text))
    return tuple(parse_mailbox(part, field) for part in parts if part.strip())


def check_mailbox(mailbox: Mailbox, field: str) -> None:
    """Refuse a mailbox that cannot be written to, or whose parts could break out of a header.

    Quoted local parts, address literals and domains of one label are refused: they are typing
    errors far more often than mailboxes, and Outlook.com delivers to none of them.

    Args:
        mailbox: The mailbox.
        field: The action's field that it came from.

    Raises:
        LetterError: The address is malformed or too long, or a control character is inside.

    """
    check_line(mailbox.name, field)
    check_line(mailbox.address, field)
    if not _is_valid(mailbox):
        raise LetterError(field, LetterProblem.INVALID_ADDRESS, mailbox.address)


def _is_valid(mailbox: Mailbox) -> bool:
    """Return whether the address is a local part and a domain that may go on the wire."""
    if len(mailbox.address) > MAX_ADDRESS:
        return False
    try:
        envelope = mailbox.envelope
    except UnicodeError:
        return False
    local_part, _, domain = envelope.rpartition("@")
    return bool(
        envelope.isprintable()
        and _LOCAL_PART.fullmatch(local_part)
        and _DOMAIN.fullmatch(domain)
        and len(local_part.encode()) <= MAX_LOCAL_PART
        and len(envelope.encode()) <= MAX_ADDRESS
    )


def _read_name(name: str) -> str:
    """Return a display name without its quotes, or with single spaces if it had none."""
    if name.startswith('"'):
        return re.sub(r"\\(.)", r"\1", name[1:-1]).strip()
    return re.sub(" +", " ", name)
