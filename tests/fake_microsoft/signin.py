"""Authenticate a client."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
import re

from . import wording
from .mailbox import Mailbox

MECHANISMS = ("LOGIN", "PLAIN", "XOAUTH2")
XOAUTH2 = re.compile(r"user=([^\x01]+)\x01auth=Bearer ([^\x01]+)\x01\x01", re.IGNORECASE)


class SignInRefusedError(Exception):
    """The client sent malformed credentials; the text is the server's reply."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A name with a password or token."""

    name: str
    password: str | None = None
    token: str | None = None


async def read_credentials(
    mechanism: str, initial: str | None, ask: Callable[[str], Awaitable[str]]
) -> Credentials:
    """Run the exchange of a mechanism; `ask` sends a challenge and returns the response."""
    if mechanism == "XOAUTH2":
        return _parse_xoauth2(initial if initial is not None else await ask("334 "))
    if mechanism == "PLAIN":
        return _parse_plain(initial if initial is not None else await ask("334 "))
    name = _decode(initial if initial is not None else await ask(wording.USERNAME_CHALLENGE))
    return Credentials(name=name, password=_decode(await ask(wording.PASSWORD_CHALLENGE)))


def refusal(
    credentials: Credentials, mailbox: Mailbox | None, access_tokens: Mapping[str, str]
) -> str | None:
    """Return why the mailbox refuses the credentials, or nothing if it accepts them."""
    if credentials.token is None:
        right = mailbox is not None and credentials.password == mailbox.password
        return None if right else wording.WRONG_PASSWORD
    owner = access_tokens.get(credentials.token, "").lower()
    # A token is only valid for the primary name: an alias is refused like an expired token.
    right = mailbox is not None and credentials.name.lower() == owner == mailbox.address.lower()
    return None if right else wording.WRONG_TOKEN


def _parse_xoauth2(blob: str) -> Credentials:
    """Parse the name and the token of an XOAUTH2 response."""
    try:
        match = XOAUTH2.fullmatch(_decode(blob))
    except SignInRefusedError as error:
        if str(error) == wording.AUTH_CANCELLED:
            raise
        match = None
    if match is None:
        raise SignInRefusedError(wording.MALFORMED_TOKEN)
    return Credentials(name=match[1], token=match[2])


def _parse_plain(blob: str) -> Credentials:
    """Parse the name and the password of a PLAIN response."""
    acts_as, *pair = _decode(blob).split("\0")
    if len(pair) != 2 or acts_as not in {"", pair[0]}:
        raise SignInRefusedError(wording.AUTH_UNDECODABLE)
    return Credentials(name=pair[0], password=pair[1])


def _decode(blob: str) -> str:
    """Decode one response of the client."""
    if blob == "*":
        raise SignInRefusedError(wording.AUTH_CANCELLED)
    try:
        return base64.b64decode(blob, validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise SignInRefusedError(wording.AUTH_UNDECODABLE) from error
