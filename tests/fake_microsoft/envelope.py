"""Parse the arguments of MAIL, RCPT and BDAT."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import re

from . import wording

PATH = re.compile(r"(FROM|TO): *<([^<>]*)>(?: +(.*))?", re.IGNORECASE)
ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
CHUNK = re.compile(r"(\d{1,18})( +LAST)?", re.ASCII | re.IGNORECASE)
# Every parameter with its extension.
MAIL_PARAMETERS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
    "AUTH": "AUTH",
}
RCPT_PARAMETERS = {"NOTIFY": "DSN", "ORCPT": "DSN"}
BODIES = ("7BIT", "8BITMIME", "BINARYMIME")

type Extends = Callable[[str], bool]


class EnvelopeError(Exception):
    """Invalid arguments; the text is the server's reply."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The arguments of MAIL."""

    address: str
    size: int
    utf8: bool
    body: str


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The arguments of BDAT."""

    size: int
    last: bool


def parse_mail(argument: str, extends: Extends) -> Sender:
    """Parse the argument of MAIL; `extends` tells whether an extension is supported."""
    address, parameters = _parse("FROM", argument, MAIL_PARAMETERS, extends)
    utf8 = "SMTPUTF8" in parameters
    if address and not _is_address(address, utf8=utf8):
        raise EnvelopeError(wording.INVALID_SENDER)
    size = parameters.get("SIZE", "0")
    body = parameters.get("BODY", "7BIT").upper()
    if not size.isdecimal() or body not in BODIES:
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    if body == "BINARYMIME" and not extends(body):
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    return Sender(address=address, size=int(size), utf8=utf8, body=body)


def parse_rcpt(argument: str, extends: Extends, *, utf8: bool) -> str:
    """Parse the argument of RCPT."""
    address, _ = _parse("TO", argument, RCPT_PARAMETERS, extends)
    if not _is_address(address, utf8=utf8):
        raise EnvelopeError(wording.INVALID_RECIPIENT)
    return address


def parse_bdat(argument: str) -> Chunk:
    """Parse the argument of BDAT."""
    match = CHUNK.fullmatch(argument)
    if match is None:
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    return Chunk(size=int(match[1]), last=match[2] is not None)


def _is_address(text: str, *, utf8: bool) -> bool:
    """Return whether a text can be an address."""
    return ADDRESS.fullmatch(text) is not None and (utf8 or text.isascii())


def _parse(
    keyword: str, argument: str, known: Mapping[str, str], extends: Extends
) -> tuple[str, dict[str, str]]:
    """Split an argument into its address and its parameters."""
    match = PATH.fullmatch(argument.strip())
    if match is None or match[1].upper() != keyword:
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    pairs = (parameter.partition("=") for parameter in (match[3] or "").split())
    parameters = {name.upper(): value for name, _, value in pairs}
    if not all(name in known and extends(known[name]) for name in parameters):
        raise EnvelopeError(wording.UNKNOWN_PARAMETER)
    return match[2], parameters
