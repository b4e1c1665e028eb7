"""Microsoft's tokens, and the manager that renews them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
import logging
import time
from typing import Any, Final, Self

import jwt

from ..delivery.faults import Problem
from .application import SCOPES, SEND_SCOPE
from .endpoint import read_seconds, read_text
from .errors import AuthError

_LOGGER = logging.getLogger(__name__)

PERSONAL_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"  # All personal accounts.
RENEW_BEFORE: Final = 300.0  # Seconds before expiry at which a token is due for renewal.

# Posts a form to the token endpoint and returns the response, or raises `AuthError`.
type TokenEndpoint = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Token:
    """The tokens of one sign-in.

    `obtained_at` and `expires_at` are seconds since the epoch. Microsoft replaces the refresh
    token at every renewal; it lapses when it is not used for 90 days. The access token is opaque.

    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    obtained_at: float
    expires_at: float

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], refresh_token: str = "") -> Self:
        """Parse a response of the token endpoint (RFC 6749, section 5.1).

        Args:
            answer: Microsoft's response.
            refresh_token: The one to keep if the response has none.

        Raises:
            AuthError: If it does not permit sending, or cannot be renewed.

        """
        if not _may_send(str(answer.get("scope", SEND_SCOPE))):
            raise AuthError(Problem.NO_SEND_PERMISSION)
        access_token = read_text(answer, "access_token")
        refresh_token = str(answer.get("refresh_token") or refresh_token)
        if not refresh_token:
            raise AuthError(Problem.NO_REFRESH_TOKEN)
        now = time.time()
        return cls(access_token, refresh_token, now, now + read_seconds(answer, "expires_in"))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Restore a stored token."""
        return cls(
            stored["access_token"],
            stored["refresh_token"],
            stored["obtained_at"],
            stored["expires_at"],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the data to store."""
        return asdict(self)

    @property
    def renew_at(self) -> float:
        """Return when to renew the token: before it expires, or at half of a short lifetime."""
        return self.expires_at - min(RENEW_BEFORE, (self.expires_at - self.obtained_at) / 2)


def _may_send(scope: str) -> bool:
    """Return whether the granted scopes include SMTP.Send, whatever their prefix."""
    wanted = SEND_SCOPE.rpartition("/")[2].casefold()
    return any(item.rpartition("/")[2].casefold() == wanted for item in scope.split())


def read_address(answer: Mapping[str, Any]) -> str:
    """Return the primary sign-in name in a response's ID token.

    Raises:
        AuthError: If there is none.

    """
    claims = _claims(answer)
    for name in ("preferred_username", "email"):
        # The first may be a phone number.
        if isinstance(claim := claims.get(name), str) and "@" in claim:
            return claim
    raise AuthError(Problem.NO_ADDRESS)


def read_sender(answer: Mapping[str, Any]) -> str:
    """Return the mailbox's address if it differs from the sign-in name, else nothing."""
    address = _claims(answer).get("email")
    is_own = isinstance(address, str) and address.casefold() != read_address(answer).casefold()
    return str(address) if is_own else ""


def is_personal(answer: Mapping[str, Any]) -> bool:
    """Return whether a personal account signed in, not one of a directory."""
    return _claims(answer).get("tid") == PERSONAL_TENANT


def _claims(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of a response's ID token.

    The token came from Microsoft over TLS, so its signature need not be checked (OpenID
    Connect Core, section 3.1.3.7).

    https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
    """
    try:
        return jwt.decode(answer.get("id_token", ""), options={"verify_signature": False})
    except jwt.InvalidTokenError, RecursionError:
        return {}


class TokenManager:
    """Provides a valid access token, and renews it when it is about to expire.

    All callers share one renewal and its failure, and it continues when they give up: a new token
    is stored before any caller gets it, for the old refresh token may already be void.
    """

    def __init__(
        self,
        token: Token,
        endpoint: TokenEndpoint,
        store: Callable[[Token], Awaitable[None]],
    ) -> None:
        """Store a token; `store` must have it on disk when it returns, or raise `OSError`."""
        self._token = token
        self._endpoint = endpoint
        self._store = store
        self._stored = True
        self._work: asyncio.Task[None] | None = None
        self._refused = ""
        self._refusal: AuthError | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the current tokens, which must not be shown to anyone."""
        return self._token.access_token, self._token.refresh_token

    async def access_token(self) -> str:
        """Return an access token that stays valid for some minutes.

        Raises:
            AuthError: If it could not be renewed.

        """
        if self._is_due() or not self._stored:
            try:
                await self._share_work()
            except AuthError as error:
                if error.problem is Problem.SIGN_IN_REQUIRED or self._is_spent():
                    raise
        return self._token.access_token

    async def replace(self, refused: str) -> str:
        """Return a different access token than the refused one.

        Renews it unless another caller has done so already.

        Raises:
            AuthError: If it could not be renewed.

        """
        if self._token.access_token == refused:
            self._refused = refused
        return await self.access_token()

    async def settle(self) -> None:
        """Wait for a renewal in progress, so that nothing is left to store."""
        if self._work and not self._work.done():
            await asyncio.wait([self._work])

    def _is_due(self) -> bool:
        """Return whether the token is due for renewal."""
        return time.time() >= self._token.renew_at or self._is_spent()

    def _is_spent(self) -> bool:
        """Return whether the access token is unusable, whatever its expiry date."""
        token = self._token
        return time.time() >= token.expires_at or token.access_token == self._refused

    async def _share_work(self) -> None:
        """Wait for the shared renewal, without canceling it when this wait is canceled."""
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._renew())
            self._work.add_done_callback(_hear)
        work = self._work
        await asyncio.wait([work])
        work.result()

    async def _renew(self) -> None:
        """Retry a failed save, then renew the token if it is due."""
        if not self._stored:
            await self._save()
        if self._is_due():
            answer = await self._request()
            try:
                # Even if the response is otherwise unusable, the old refresh token may be void by
                # now.
                if isinstance(rotated := answer.get("refresh_token"), str) and rotated:
                    self._token = replace(self._token, refresh_token=rotated)
                self._token = Token.from_answer(answer, self._token.refresh_token)
                self._refused = ""
            finally:
                self._stored = False
                await self._save()

    async def _request(self) -> Mapping[str, Any]:
        """Exchange the refresh token for new tokens (RFC 6749, section 6), until it is refused."""
        if self._refusal:
            raise self._refusal.with_traceback(None)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._token.refresh_token,
            "scope": " ".join(SCOPES),
        }
        try:
            return await self._endpoint(form)
        except AuthError as error:
            if error.problem is Problem.SIGN_IN_REQUIRED:
                self._refusal = error
            raise

    async def _save(self) -> None:
        """Store the token; a full disk does not stop mail, and saving is retried at every use."""
        try:
            await self._store(self._token)
        except OSError as error:
            _LOGGER.warning("Could not store the renewed sign-in: %s", error)
        else:
            self._stored = True


def _hear(work: asyncio.Task[None]) -> None:
    """Retrieve the exception, in case no caller is waiting for it anymore."""
    if not work.cancelled():
        work.exception()
