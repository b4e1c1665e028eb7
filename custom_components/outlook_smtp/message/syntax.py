"""Split what people write into mailboxes (RFC 5322, section 3.4).

The standard library's parsers accept neither semicolons nor addresses as names, give no useful
reasons, and need quadratic time or a deep stack for hostile texts. The rules are few: quotes,
comments, brackets and groups.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
import re
from typing import Final

from .problems import InvalidMessageError, MessageProblem

# A quoted string, an address in angle brackets, plain text, or one special character.
_TOKEN: Final = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^<>]*+>|[^"<>(,:;]++|.',
    re.DOTALL,
)
_PARENTHESIS: Final = re.compile(r"\\.|[()]", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_MAX_TOKENS: Final = 5_000  # In one text; five hundred addresses with names need fewer.
_MAX_PARENTHESES: Final = 1_000  # In one comment.
_STRAY: Final = {
    '"': MessageProblem.UNCLOSED_QUOTE,
    "<": MessageProblem.UNMATCHED_BRACKET,
    ">": MessageProblem.UNMATCHED_BRACKET,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One mailbox as written: its name, if any, and what should be its address."""

    name: str
    address: str


def split(text: str, field: str) -> list[Part]:
    """Split a text at its commas and semicolons; group names are dropped.

    A colon starts a group if a semicolon can end it; any other colon is part of its name.

    Args:
        text: Any number of mailboxes.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: If quotes or brackets are not closed, if something follows an address,
            or if there are too many parts.

    """
    cut = list(_cut(_tokens(text, field)))
    last_end = max((i for i, (_, end) in enumerate(cut) if end == ";"), default=-1)
    parts = []
    in_group = False
    for position, (part, end) in enumerate(cut):
        if not in_group and position <= last_end and (name := _group_name(part)):
            in_group = True
            del part[:name]
        in_group &= end == ","
        if "".join(part).strip():
            parts.append(_read(part, field))
    return parts


def _cut(tokens: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """Yield the tokens between separators, each time with the separator that follows."""
    part: list[str] = []
    for token in tokens:
        if token in {",", ";"}:
            yield part, token
            part = []
        else:
            part.append(token)
    yield part, ""


def _tokens(text: str, field: str) -> Iterator[str]:
    """Yield the tokens of a text, without gaps; a comment is one token."""
    start = position = count = 0
    comments = True
    while match := _TOKEN.match(text, position):
        found = match[0]
        count += 1
        if found == "(" and comments:
            found = _comment(text, position)
            comments = len(found) > 1
        problem = MessageProblem.ADDRESS_TOO_LONG if count > _MAX_TOKENS else _STRAY.get(found)
        if problem:
            raise InvalidMessageError(field, problem, text[start:].strip())
        yield found
        position += len(found)
        if found in {",", ";"}:
            start = position


def _comment(text: str, start: int) -> str:
    """Return the comment at a position, nested ones included; or "(" if it never ends."""
    depth = 0
    for match in islice(_PARENTHESIS.finditer(text, start), _MAX_PARENTHESES):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return text[start : match.end()]
    return "("


def _group_name(tokens: list[str]) -> int:
    """Return the number of tokens in a group's name and colon: none if they include an address."""
    if ":" not in tokens:
        return 0
    colon = tokens.index(":")
    name = "".join(tokens[:colon]).strip()
    return colon + 1 if name and "@" not in name else 0


def _read(tokens: list[str], field: str) -> Part:
    """Separate the name of a mailbox from its address."""
    written = "".join(tokens).strip()
    phrase, address = [], _without_comments(tokens)
    bracketed = (position for position, token in enumerate(tokens) if token.startswith("<"))
    if (position := next(bracketed, None)) is not None:
        if _without_comments(tokens[position + 1 :]):
            raise InvalidMessageError(field, MessageProblem.TEXT_AFTER_ADDRESS, written)
        phrase = tokens[:position]
        address = _without_comments(_tokens(tokens[position][1:-1], field))
    if set("()").intersection(address):
        raise InvalidMessageError(field, MessageProblem.UNMATCHED_BRACKET, written)
    if not address:
        raise InvalidMessageError(field, MessageProblem.MISSING_AT, written)
    return Part(_name(phrase) or _comments(tokens), address)


def _is_comment(token: str) -> bool:
    """Return whether a token is a comment rather than an unclosed parenthesis."""
    return token.startswith("(") and len(token) > 1


def _without_comments(tokens: Iterable[str]) -> str:
    """Return the text of tokens without comments."""
    return "".join(token for token in tokens if not _is_comment(token)).strip()


def _name(phrase: list[str]) -> str:
    """Return the name before an address, or nothing if there are only comments."""
    if not _without_comments(phrase):
        return ""
    return "".join(map(_spoken, phrase)).strip()


def _spoken(token: str) -> str:
    """Return the meaning of a part of a name: spaces are kept in quotes and collapsed elsewhere."""
    if token.startswith('"'):
        return _ESCAPED.sub(r"\1", token[1:-1])
    return re.sub(" +", " ", token)


def _comments(tokens: Iterable[str]) -> str:
    """Return the text of comments, in which names were written formerly (RFC 5322, page 17)."""
    return " ".join(_ESCAPED.sub(r"\1", token[1:-1]) for token in tokens if _is_comment(token))
