"""The ways to prove to a submission server who is sending."""

from dataclasses import dataclass, field
from typing import Protocol

from aiosmtplib import SMTP

from .faults import Fault, Kind, Problem, SubmissionError


class Credentials(Protocol):
    """Something that can sign a connection in."""

    async def authenticate(self, client: SMTP) -> None:
        """Run one AUTH exchange on an encrypted connection that has been greeted by EHLO.

        Raises `aiosmtplib.SMTPAuthenticationError` with the server's reply when it is refused.
        """

    async def renew(self) -> bool:
        """Get new proof in the place of one that was refused; return False if there is none.

        Raises `SubmissionError` when it cannot be had now.
        """


@dataclass(frozen=True, slots=True)
class Password:
    """A user name with a password or app password."""

    username: str
    secret: str = field(repr=False)

    async def authenticate(self, client: SMTP) -> None:
        """Sign in with the one mechanism of LOGIN and PLAIN that the server prefers.

        A refusal is not tried again with another mechanism: Microsoft delays every refusal by
        about 5 seconds, and counts it.
        """
        ways = {"login": client.auth_login, "plain": client.auth_plain}
        for mechanism in client.server_auth_methods:
            if way := ways.get(mechanism):
                await way(self.username, self.secret)
                return
        raise _not_offered(client)

    async def renew(self) -> bool:
        """Return False: only the person knows another password."""
        return False


class AccessTokens(Protocol):
    """Where access tokens come from; both raise `SubmissionError` when they cannot be had."""

    async def get(self) -> str:
        """Return an access token that is good for some minutes."""

    async def replace(self, refused: str) -> None:
        """Renew an access token that the server refused, unless that was done already."""


class BearerToken:
    """The primary sign-in name of a mailbox, with access tokens (XOAUTH2).

    https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    """

    def __init__(self, username: str, tokens: AccessTokens) -> None:
        """Sign a mailbox in with the tokens that are there when it is needed."""
        self.tokens = tokens
        self._username = username
        self._used = ""

    async def authenticate(self, client: SMTP) -> None:
        """Sign in with XOAUTH2, the token in the initial response."""
        if "xoauth2" not in client.server_auth_methods:
            raise _not_offered(client)
        self._used = await self.tokens.get()
        await client.auth_xoauth2(self._username, self._used)

    async def renew(self) -> bool:
        """Renew the access token that was refused."""
        await self.tokens.replace(self._used)
        return True


def _not_offered(client: SMTP) -> SubmissionError:
    """Return the fault of a server that offers no way to sign in with what there is."""
    offered = ", ".join(client.server_auth_methods).upper()
    return SubmissionError(Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED, text=offered))
