"""The ways to prove to a submission server who is sending."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from ..delivery.access_tokens import AccessTokens
from ..delivery.faults import Fault, Kind, Problem, SubmissionError
from .replies import is_about_command

if TYPE_CHECKING:
    from .sasl import SignIn

# An access token is refused, however the server puts it.
_TOKEN_REFUSED: Final = (Problem.AUTH_REFUSED, Problem.INVALID_CREDENTIALS)


class Credentials(Protocol):
    """Something that can sign a connection in."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what is masked in every text of a server."""

    async def authenticate(self, sign_in: SignIn) -> None:
        """Run the AUTH exchange.

        Raises `SubmissionError` with the server's reply when it is refused.
        """

    async def renew(self) -> bool:
        """Get new proof in the place of one that was refused; return False if there is none.

        Raises `SubmissionError` when it cannot be had now.
        """

    def name(self, fault: Fault) -> Fault:
        """Return a refusal by the server as the problem that it is with these credentials."""


@dataclass(frozen=True, slots=True)
class Password:
    """A user name with a password or app password."""

    username: str
    secret: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what no text of a server is shown with, even before it was sent this time."""
        return (self.secret,)

    async def authenticate(self, sign_in: SignIn) -> None:
        """Sign in with the one mechanism of LOGIN and PLAIN that the server prefers and knows.

        A refused password is not tried again with another mechanism: Microsoft delays every
        refusal by about 5 seconds, and counts it.
        """
        ways = {
            "login": auth_login_encode(self.username, self.secret),
            "plain": (auth_plain_encode(self.username, self.secret),),
        }
        error = _not_offered(sign_in)
        for mechanism in filter(ways.__contains__, sign_in.mechanisms):
            try:
                return await sign_in.run(mechanism, *ways[mechanism])
            except SubmissionError as refusal:
                if not _is_unknown(refusal.fault):
                    raise
                error = refusal
        raise error

    async def renew(self) -> bool:
        """Return False: only the person knows another password."""
        return False

    def name(self, fault: Fault) -> Fault:
        """Tell a refused identity as what it is where there is no sign-in with Microsoft."""
        if fault.problem is Problem.IDENTITY_REFUSED:
            return replace(fault, problem=Problem.PASSWORD_REFUSED)
        return fault


class BearerToken:
    """The primary sign-in name of a mailbox, with access tokens (XOAUTH2).

    https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-
    imap-pop-smtp-application-by-using-oauth
    """

    def __init__(self, username: str, tokens: AccessTokens) -> None:
        """Sign a mailbox in with the tokens that are there when it is needed."""
        self.tokens = tokens
        self._username = username
        self._used = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what no text of a server is shown with, once it was sent."""
        return (self._used, *self.tokens.secrets)

    async def authenticate(self, sign_in: SignIn) -> None:
        """Sign in with XOAUTH2."""
        if "xoauth2" not in sign_in.mechanisms:
            raise _not_offered(sign_in)
        self._used = await self.tokens.get()
        sign_in.hide(self._used)
        await sign_in.run("xoauth2", auth_xoauth2_encode(self._username, self._used))

    async def renew(self) -> bool:
        """Renew the access token that was refused."""
        await self.tokens.replace(self._used)
        return True

    def name(self, fault: Fault) -> Fault:
        """Tell every refusal of a token as one: nobody has typed anything wrong."""
        if fault.problem in _TOKEN_REFUSED:
            return replace(fault, problem=Problem.IDENTITY_REFUSED)
        return fault


def _is_unknown(fault: Fault) -> bool:
    """Return whether a mechanism is refused as such, though it is offered."""
    return fault.problem is Problem.MECHANISM_NOT_OFFERED or is_about_command(fault)


def _not_offered(sign_in: SignIn) -> SubmissionError:
    """Return the fault of a server that offers no way to sign in with what there is."""
    offered = ", ".join(sign_in.mechanisms).upper()
    return SubmissionError(Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED, text=offered))
