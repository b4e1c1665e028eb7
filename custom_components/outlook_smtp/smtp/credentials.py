"""The ways to authenticate to a submission server."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from ..delivery.access_tokens import AccessTokens
from ..delivery.faults import Fault, Kind, Problem, SubmissionError
from .replies import is_about_command

if TYPE_CHECKING:
    from .sasl import SignIn

# Problems that mean a refused access token, however the server puts it.
_TOKEN_REFUSED: Final = (Problem.AUTH_REFUSED, Problem.INVALID_CREDENTIALS)


class Credentials(Protocol):
    """Something that can authenticate a connection."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what is masked in every text of a server."""

    async def authenticate(self, sign_in: SignIn) -> None:
        """Run the AUTH exchange.

        Raises `SubmissionError` with the server's reply when it is refused.
        """

    async def renew(self) -> bool:
        """Replace refused credentials; return False if there are no others.

        Raises `SubmissionError` if they are not available right now.
        """

    def name(self, fault: Fault) -> Fault:
        """Translate a refusal into the problem that it means for these credentials."""


@dataclass(frozen=True, slots=True)
class Password:
    """A user name with a password or app password."""

    username: str
    secret: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return secrets to redact from the server's replies, even before they were sent."""
        return (self.secret,)

    async def authenticate(self, sign_in: SignIn) -> None:
        """Sign in with the mechanism that the server prefers, LOGIN or PLAIN.

        A refused password is not tried again with another mechanism: Microsoft delays every
        refusal by about 5 seconds, and counts it.
        """
        responses = {
            "login": auth_login_encode(self.username, self.secret),
            "plain": (auth_plain_encode(self.username, self.secret),),
        }
        error = _not_offered(sign_in)
        for mechanism in filter(responses.__contains__, sign_in.mechanisms):
            try:
                return await sign_in.run(mechanism, *responses[mechanism])
            except SubmissionError as refusal:
                if not _is_unknown(refusal.fault):
                    raise
                error = refusal
        raise error

    async def renew(self) -> bool:
        """Return False: only the user knows another password."""
        return False

    def name(self, fault: Fault) -> Fault:
        """Translate a refusal into its meaning without a Microsoft sign-in."""
        if fault.problem is Problem.IDENTITY_REFUSED:
            return replace(fault, problem=Problem.PASSWORD_REFUSED)
        return fault


class BearerToken:
    """The primary sign-in name of a mailbox, with access tokens (XOAUTH2).

    https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    """

    def __init__(self, username: str, tokens: AccessTokens) -> None:
        """Store the sign-in name and the source of its tokens."""
        self.tokens = tokens
        self._username = username
        self._used = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return secrets to redact from the server's replies, once they were sent."""
        return (self._used, *self.tokens.secrets)

    async def authenticate(self, sign_in: SignIn) -> None:
        """Sign in with XOAUTH2."""
        if "xoauth2" not in sign_in.mechanisms:
            raise _not_offered(sign_in)
        self._used = await self.tokens.get()
        sign_in.hide(self._used)
        await sign_in.run("xoauth2", auth_xoauth2_encode(self._username, self._used))

    async def renew(self) -> bool:
        """Renew the refused access token."""
        await self.tokens.replace(self._used)
        return True

    def name(self, fault: Fault) -> Fault:
        """Translate every refusal of a token into one problem: there is no typo in it."""
        if fault.problem in _TOKEN_REFUSED:
            return replace(fault, problem=Problem.IDENTITY_REFUSED)
        return fault


def _is_unknown(fault: Fault) -> bool:
    """Return whether the server refused the mechanism itself, although it is offered."""
    return fault.problem is Problem.MECHANISM_NOT_OFFERED or is_about_command(fault)


def _not_offered(sign_in: SignIn) -> SubmissionError:
    """Return the fault of a server that offers no usable mechanism."""
    offered = ", ".join(sign_in.mechanisms).upper()
    return SubmissionError(Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED, text=offered))
