"""Reading the arguments of MAIL and RCPT."""

from dataclasses import dataclass
import re

from . import wording

PATH = re.compile(r"(FROM|TO): *<([^<>]*)>(?: +(.*))?", re.IGNORECASE)
ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})
BODIES = frozenset({"7BIT", "8BITMIME"})


class EnvelopeError(Exception):
    """The arguments make no sense; the text is the server's answer."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """What MAIL says."""

    address: str
    size: int
    utf8: bool


def parse_mail(argument: str) -> Sender:
    """Read the argument of MAIL."""
    address, parameters = _parse("FROM", argument, MAIL_PARAMETERS)
    utf8 = "SMTPUTF8" in parameters
    if address and not _is_address(address, utf8=utf8):
        raise EnvelopeError(wording.INVALID_SENDER)
    size = parameters.get("SIZE", "0")
    if not size.isdecimal() or parameters.get("BODY", "7BIT").upper() not in BODIES:
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    return Sender(address=address, size=int(size), utf8=utf8)


def parse_rcpt(argument: str, *, utf8: bool) -> str:
    """Read the argument of RCPT."""
    address, _ = _parse("TO", argument, RCPT_PARAMETERS)
    if not _is_address(address, utf8=utf8):
        raise EnvelopeError(wording.INVALID_RECIPIENT)
    return address


def _is_address(text: str, *, utf8: bool) -> bool:
    """Tell whether this can be somebody's address."""
    return ADDRESS.fullmatch(text) is not None and (utf8 or text.isascii())


def _parse(keyword: str, argument: str, known: frozenset[str]) -> tuple[str, dict[str, str]]:
    """Split an argument into its address and its parameters."""
    match = PATH.fullmatch(argument.strip())
    if match is None or match[1].upper() != keyword:
        raise EnvelopeError(wording.INVALID_ARGUMENTS)
    pairs = (parameter.partition("=") for parameter in (match[3] or "").split())
    parameters = {name.upper(): value for name, _, value in pairs}
    if not parameters.keys() <= known:
        raise EnvelopeError(wording.UNKNOWN_PARAMETER)
    return match[2], parameters
