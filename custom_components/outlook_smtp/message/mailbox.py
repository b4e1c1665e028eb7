"""Mailboxes: addresses with or without a name, parsed from what people and templates write."""

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
MAX_MAILBOXES: Final = 500  # Parsed in one field.
CACHE: Final = 1000  # Cached validations; internationalized addresses are slow.
MAX_FIELD: Final = MAX_MAILBOXES * 320  # Parsed in one field.

# RFC 5322, section 3.2.3 ("atext"), with RFC 6532, section 3.2 for non-ASCII characters.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL_PART: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PHRASE: Final = re.compile(rf"{_ATOM}(?: {_ATOM})*")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and its display name, always on one line."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        """Remove line breaks and lone surrogates from the name, and shorten it."""
        object.__setattr__(self, "name", short_line(self.name))

    def __str__(self) -> str:
        """Return the form of RFC 5322, section 3.4, not yet encoded."""
        return f"{quote_name(self.name)} <{self.address}>" if self.name else self.address

    @property
    def envelope(self) -> str:
        """The address in the envelope: normalized, its domain in ASCII (RFC 5891).

        Raises `ValueError` for an address that `check_mailbox` refuses.
        """
        # Some characters normalize to ASCII punctuation, so normalize before any check.
        local_part, _, domain = unicodedata.normalize("NFC", self.address).rpartition("@")
        return f"{local_part}@{domain if domain.isascii() else _encode(domain)}"

    @property
    def domain(self) -> str:
        """The domain in ASCII."""
        return self.envelope.rpartition("@")[2]


def quote_name(name: str) -> str:
    """Return a display name, in quotes if it holds more than plain words (RFC 5322, 3.2.4)."""
    if _PHRASE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_mailbox(text: str, field: str) -> Mailbox:
    """Parse one mailbox, in any form that `parse_mailboxes` accepts.

    Args:
        text: One mailbox, as written by a person or a template.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: If it is none, or more than one.

    """
    mailboxes = parse_mailboxes(text, field)
    if len(mailboxes) > 1:
        raise InvalidMessageError(field, MessageProblem.TEXT_AFTER_ADDRESS, text.strip())
    if not mailboxes:
        raise InvalidMessageError(field, MessageProblem.MISSING_AT, text.strip())
    return mailboxes[0]


def parse_mailboxes(texts: Iterable[str] | str, field: str) -> tuple[Mailbox, ...]:
    """Parse mailboxes from texts that each contain none, one or several.

    Accepts `a@b.c`, `Name <a@b.c>`, `"Name, quoted" <a@b.c>`, `a@b.c (Name)` and groups,
    `Name: a@b.c, d@e.f;` (RFC 5322, section 3.4). Commas separate them, and so do semicolons, as in
    Outlook.

    Args:
        texts: One text, as from a template, or several.
        field: The action's field that they came from.

    Raises:
        InvalidMessageError: If a part is not a mailbox, or if there are too many.

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
    """Reject too many mailboxes without parsing them.

    Args:
        texts: Those of a field.
        field: The action's field that they came from.

    Raises:
        InvalidMessageError: If there are more than `MAX_MAILBOXES` texts or `MAX_FIELD` characters.

    """
    if len(texts) > MAX_MAILBOXES:
        raise InvalidMessageError(field, MessageProblem.TOO_MANY_RECIPIENTS, str(len(texts)))
    if sum(map(len, texts)) > MAX_FIELD:
        raise InvalidMessageError(
            field, MessageProblem.ADDRESS_TOO_LONG, max(texts, key=len)[:MAX_ADDRESS].strip()
        )


def check_mailbox(mailbox: Mailbox, field: str) -> None:
    """Reject an undeliverable mailbox, or one whose address could break out of a command.

    Quoted local parts, address literals and domains of one label are refused: they are typos far
    more often than real mailboxes, and Outlook.com delivers to none of them.

    Args:
        mailbox: The mailbox.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: If the address is malformed or too long or has a control character.

    """
    check_line(mailbox.address, field)
    if problem := _find_problem(mailbox):
        raise InvalidMessageError(field, problem, mailbox.address)


@lru_cache(maxsize=CACHE)
def _find_problem(mailbox: Mailbox) -> MessageProblem | None:
    """Return the most informative problem of an address, if any."""
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
    """Return the problem of the part before the @, which RFC 5322 calls a dot-atom."""
    if not local_part:
        return MessageProblem.NOTHING_BEFORE_AT
    if _is_longer(local_part, MAX_LOCAL_PART):
        return MessageProblem.ADDRESS_TOO_LONG
    if local_part.isprintable() and _LOCAL_PART.fullmatch(local_part):
        return None
    return _explain_local_part(local_part)


def _explain_local_part(local_part: str) -> MessageProblem:
    """Return the most likely reason why a text is no local part."""
    if local_part.endswith('"'):
        return MessageProblem.INVALID_LOCAL_PART
    if ":" in local_part:
        return MessageProblem.COLON_IN_ADDRESS
    if _holds_space(local_part):
        return MessageProblem.SPACE_IN_ADDRESS
    return MessageProblem.SEVERAL_AT if "@" in local_part else MessageProblem.INVALID_LOCAL_PART


def _find_domain_problem(domain: str) -> MessageProblem | None:
    """Return the problem of the part after the @, which must be a host name with several labels."""
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
    """Return whether a text contains any white space."""
    return text.split() != [text]


def _is_longer(text: str, limit: int) -> bool:
    """Return whether a text has more octets in UTF-8 than a limit."""
    return len(text) > limit or len(text.encode(errors="replace")) > limit
