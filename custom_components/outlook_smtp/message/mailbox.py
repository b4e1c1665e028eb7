"""Mailboxes: an address with or without a name, read from what people and templates write."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
import re
from typing import Final
import unicodedata

import idna

from .problems import InvalidMessageError, MessageProblem, check_line
from .syntax import split
from .text import short_line

MAX_ADDRESS: Final = 254  # Octets; RFC 5321, section 4.5.3.1.3, less the angle brackets.
MAX_LOCAL_PART: Final = 64  # Octets; RFC 5321, section 4.5.3.1.1.
MAX_MAILBOXES: Final = 500  # That are looked at in one field.
CACHE: Final = 1000  # Addresses that need not be looked at again; internationalized ones are slow.
MAX_FIELD: Final = MAX_MAILBOXES * 320  # Characters that are looked at in one field.

# RFC 5322, section 3.2.3 ("atext"), with RFC 6532, section 3.2 for what is not ASCII.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL_PART: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PHRASE: Final = re.compile(rf"{_ATOM}(?: {_ATOM})*")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name that stands beside it, on one line whatever it is made of."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        """Take out of the name what could end its line or is half a character, and cut it."""
        object.__setattr__(self, "name", short_line(self.name))

    def __str__(self) -> str:
        """Return the form of RFC 5322, section 3.4, its characters not yet encoded."""
        return f"{quote_name(self.name)} <{self.address}>" if self.name else self.address

    @property
    def envelope(self) -> str:
        """The address as it goes on the pipeline: normalized, its domain in ASCII (RFC 5891).

        Raises `ValueError` for an address that `check_mailbox` refuses.
        """
        # Some characters normalize to ASCII punctuation, so that nothing is checked before.
        local_part, _, domain = unicodedata.normalize("NFC", self.address).rpartition("@")
        return f"{local_part}@{domain if domain.isascii() else _encode(domain)}"

    @property
    def domain(self) -> str:
        """The domain as it goes on the connection."""
        return self.envelope.rpartition("@")[2]


def quote_name(name: str) -> str:
    """Return a display name, in quotes if it holds more than plain words (RFC 5322, 3.2.4)."""
    if _PHRASE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_mailbox(text: str, field: str) -> Mailbox:
    """Read one mailbox, in any form that `parse_mailboxes` reads.

    Args:
        text: One mailbox, as written by a person or a template.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: It is none, or more than one.

    """
    mailboxes = parse_mailboxes(text, field)
    if len(mailboxes) > 1:
        raise InvalidMessageError(field, MessageProblem.TEXT_AFTER_ADDRESS, text.strip())
    if not mailboxes:
        raise InvalidMessageError(field, MessageProblem.MISSING_AT, text.strip())
    return mailboxes[0]


def parse_mailboxes(texts: Iterable[str] | str, field: str) -> tuple[Mailbox, ...]:
    """Read mailboxes from texts that each hold none, one or several.

    Understood are `a@b.c`, `Name <a@b.c>`, `"Name, quoted" <a@b.c>`, `a@b.c (Name)` and groups,
    `Name: a@b.c, d@e.f;` (RFC 5322, section 3.4). Commas separate them, and semicolons, as people
    are used to from Outlook.

    Args:
        texts: One text, as a template yields it, or many.
        field: The action's field that they came from.

    Raises:
        InvalidMessageError: One of the parts is not a mailbox, or there are too many.

    """
    texts = (texts,) if isinstance(texts, str) else tuple(texts)
    check_length(texts, field)
    if (count := sum(text.count("@") for text in texts)) > MAX_MAILBOXES:
        raise InvalidMessageError(field, MessageProblem.TOO_MANY_RECIPIENTS, str(count))
    mailboxes = tuple(
        Mailbox(part.address, part.name) for text in texts for part in split(text, field)
    )
    for mailbox in mailboxes:
        check_mailbox(mailbox, field)
    return mailboxes


def check_length(texts: Collection[str], field: str) -> None:
    """Refuse more mailboxes than anyone writes, without looking at them.

    Args:
        texts: Those of a field.
        field: The action's field that they came from.

    Raises:
        InvalidMessageError: There are more than `MAX_MAILBOXES` texts, or `MAX_FIELD` characters.

    """
    if len(texts) > MAX_MAILBOXES:
        raise InvalidMessageError(field, MessageProblem.TOO_MANY_RECIPIENTS, str(len(texts)))
    if sum(map(len, texts)) > MAX_FIELD:
        raise InvalidMessageError(
            field, MessageProblem.ADDRESS_TOO_LONG, max(texts, key=len)[:MAX_ADDRESS].strip()
        )


def check_mailbox(mailbox: Mailbox, field: str) -> None:
    """Refuse a mailbox that cannot be written to, or whose address could break out of a command.

    Quoted local parts, address literals and domains of one label are refused: they are typos far
    more often than mailboxes, and Outlook.com delivers to none of them.

    Args:
        mailbox: The mailbox.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: The address is malformed or too long, or a control character is inside.

    """
    check_line(mailbox.address, field)
    if problem := _find_problem(mailbox):
        raise InvalidMessageError(field, problem, mailbox.address)


@lru_cache(maxsize=CACHE)
def _find_problem(mailbox: Mailbox) -> MessageProblem | None:
    """Return what is wrong with an address, if anything is: first what tells most."""
    if _is_longer(mailbox.address, MAX_ADDRESS):
        return MessageProblem.ADDRESS_TOO_LONG
    local_part, at, domain = unicodedata.normalize("NFC", mailbox.address).rpartition("@")
    if not at:
        return MessageProblem.MISSING_AT
    return (
        _find_local_problem(local_part)
        or _find_domain_problem(domain)
        or (MessageProblem.ADDRESS_TOO_LONG if _is_longer(mailbox.envelope, MAX_ADDRESS) else None)
    )


def _find_local_problem(local_part: str) -> MessageProblem | None:
    """Return what is wrong with the part before the @, which RFC 5322 calls a dot-atom."""
    if not local_part:
        return MessageProblem.NOTHING_BEFORE_AT
    if _is_longer(local_part, MAX_LOCAL_PART):
        return MessageProblem.ADDRESS_TOO_LONG
    if local_part.isprintable() and _LOCAL_PART.fullmatch(local_part):
        return None
    return _explain_local_part(local_part)


def _explain_local_part(local_part: str) -> MessageProblem:
    """Return the most likely reason why something before an @ is no local part."""
    if local_part.endswith('"'):
        return MessageProblem.INVALID_LOCAL_PART
    if ":" in local_part:
        return MessageProblem.COLON_IN_ADDRESS
    if _holds_space(local_part):
        return MessageProblem.SPACE_IN_ADDRESS
    return MessageProblem.SEVERAL_AT if "@" in local_part else MessageProblem.INVALID_LOCAL_PART


def _find_domain_problem(domain: str) -> MessageProblem | None:
    """Return what is wrong with the part after the @: it has to be a host name of many labels."""
    if not domain:
        return MessageProblem.NOTHING_AFTER_AT
    if _holds_space(domain):
        return MessageProblem.SPACE_IN_ADDRESS
    try:
        *parents, last = _encode(domain).split(".")
    except UnicodeError:
        return MessageProblem.INVALID_DOMAIN
    return None if parents and last and not last.isdigit() else MessageProblem.INVALID_DOMAIN


@lru_cache(maxsize=CACHE)
def _encode(domain: str) -> str:
    """Return a domain in ASCII.

    Raises `UnicodeError` if it breaks the rules of host names or of RFC 5891.
    """
    return idna.encode(domain, strict=True, uts46=True, std3_rules=True).decode()


def _holds_space(text: str) -> bool:
    """Return whether there is white space of any kind in a text."""
    return text.split() != [text]


def _is_longer(text: str, limit: int) -> bool:
    """Return whether a text has more octets than a limit, on the connection."""
    return len(text) > limit or len(text.encode(errors="replace")) > limit
