"""Tokens: what Microsoft issues, and the keeper that renews them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
import time
from typing import Any, Final, Protocol, Self

import jwt

from .application import SCOPES, SEND_SCOPE
from .errors import AuthError, AuthProblem

RENEW_BEFORE: Final = 300.0  # Seconds before it expires that a token is no longer handed out.


@dataclass(frozen=True, slots=True)
class Token:
    """A right to send.

    `obtained_at` and `expires_at` are seconds since the epoch. Microsoft replaces the refresh
    token at every renewal; it lapses when it is not used for 90 days.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    obtained_at: float
    expires_at: float

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], refresh_token: str = "") -> Self:
        """Read an answer of the token endpoint (RFC 6749, section 5.1).

        Args:
            answer: What Microsoft sent.
            refresh_token: The one to keep if no new one is sent.

        Raises:
            AuthError: If it does not let send, or cannot be renewed.

        """
        if not _may_send(answer.get("scope", SEND_SCOPE)):
            raise AuthError(AuthProblem.NO_SEND_PERMISSION)
        refresh_token = answer.get("refresh_token") or refresh_token
        if not refresh_token:
            raise AuthError(AuthProblem.NO_REFRESH_TOKEN)
        now = time.time()
        try:
            lifetime = float(answer["expires_in"])
            return cls(answer["access_token"], refresh_token, now, now + lifetime)
        except KeyError, TypeError, ValueError:
            raise AuthError(AuthProblem.UNEXPECTED_ANSWER) from None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read a token that was stored."""
        return cls(**stored)

    def as_dict(self) -> dict[str, Any]:
        """Return what is to be stored."""
        return asdict(self)


def _may_send(scope: str) -> bool:
    """Return whether the granted scopes hold the one that sends, whatever their prefix is now."""
    wanted = SEND_SCOPE.rpartition("/")[2].casefold()
    return any(item.rpartition("/")[2].casefold() == wanted for item in scope.split())


def read_address(answer: Mapping[str, Any]) -> str:
    """Return the primary sign-in name that an answer's id token carries.

    The token came from Microsoft over TLS, so that its signature need not be checked (OpenID
    Connect Core, section 3.1.3.7).

    Raises `AuthError` when there is none.
    """
    try:
        claims = jwt.decode(answer.get("id_token", ""), options={"verify_signature": False})
    except jwt.InvalidTokenError:
        claims = {}
    for claim in ("preferred_username", "email"):
        if "@" in str(claims.get(claim, "")):
            return str(claims[claim])
    raise AuthError(AuthProblem.NO_ADDRESS)


class TokenEndpoint(Protocol):
    """Something that trades a refresh token for a new answer of the token endpoint."""

    async def __call__(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Post a form to the token endpoint and return its answer, or raise `AuthError`."""


class TokenKeeper:
    """Hands out an access token that is good for some minutes, and renews it when it is not.

    All who wait share one renewal. A new token is stored before anybody gets it: the old
    refresh token may already be void.
    """

    def __init__(
        self,
        token: Token,
        endpoint: TokenEndpoint,
        store: Callable[[Token], Awaitable[None]],
    ) -> None:
        """Keep a token; `store` has to have it on disk when it returns."""
        self._token = token
        self._endpoint = endpoint
        self._store = store
        self._renewal = asyncio.Lock()

    async def access_token(self) -> str:
        """Return an access token that is good for some minutes.

        Raises:
            AuthError: If it had to be renewed and could not be.

        """
        async with self._renewal:
            if time.time() > self._token.expires_at - RENEW_BEFORE:
                await self._renew()
            return self._token.access_token

    async def replace(self, refused: str) -> None:
        """Renew because an access token was refused, unless another caller has done so.

        Raises:
            AuthError: If it could not be renewed.

        """
        async with self._renewal:
            if self._token.access_token == refused:
                await self._renew()

    async def _renew(self) -> None:
        """Trade the refresh token for new tokens (RFC 6749, section 6)."""
        answer = await self._endpoint(
            {
                "grant_type": "refresh_token",
                "refresh_token": self._token.refresh_token,
                "scope": " ".join(SCOPES),
            }
        )
        token = Token.from_answer(answer, self._token.refresh_token)
        await self._store(token)
        self._token = token
