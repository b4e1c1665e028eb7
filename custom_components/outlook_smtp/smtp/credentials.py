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
        offered = ", ".join(client.server_auth_methods).upper()
        raise SubmissionError(Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED, text=offered))
