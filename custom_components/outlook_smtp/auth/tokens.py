"""Microsoft's tokens, and the manager that renews them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
import logging
import time
from typing import Any, Final, Self

import jwt

from ..delivery.faults import Problem, SubmissionError
from ..delivery.network import describe
from .auth_error import AuthError, read_auth_error
from .clouds import CLOUDS, WORLDWIDE, Cloud, Resource
from .endpoint import read_seconds, read_text

_LOGGER = logging.getLogger(__name__)

PERSONAL_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"  # All personal accounts.
RENEW_BEFORE: Final = 300.0  # Seconds before expiry at which a token is due for renewal.

# Posts a form to the token endpoint and returns the response, or raises `AuthError`.
type TokenEndpoint = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token for one resource, and a refresh token that renews it for any.

    `obtained_at` and `expires_at` are seconds since the epoch. Microsoft replaces the refresh
    token at every renewal; it expires if unused for 90 days. The access token is opaque.

    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    obtained_at: float
    expires_at: float
    resource: Resource = Resource.SMTP

    @classmethod
    def from_answer(
        cls,
        answer: Mapping[str, Any],
        refresh_token: str = "",
        resource: Resource = Resource.SMTP,
    ) -> Self:
        """Read a response of the token endpoint (RFC 6749, section 5.1).

        Args:
            answer: Microsoft's response.
            refresh_token: The refresh token to keep if the response has none.
            resource: The requested resource; the response does not name it.

        Raises:
            AuthError: If the token does not permit sending, or cannot be renewed.

        """
        permission = CLOUDS[WORLDWIDE].permissions[resource]
        if not _may_send(str(answer.get("scope", permission)), permission):
            raise AuthError(Problem.NO_SEND_PERMISSION)
        access_token = read_text(answer, "access_token")
        refresh_token = str(answer.get("refresh_token") or refresh_token)
        if not refresh_token:
            raise AuthError(Problem.NO_REFRESH_TOKEN)
        now = time.time()
        expires_at = now + read_seconds(answer, "expires_in")
        return cls(access_token, refresh_token, now, expires_at, resource)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read a stored token; earlier versions only knew SMTP, and stored no resource."""
        return cls(
            stored["access_token"],
            stored["refresh_token"],
            stored["obtained_at"],
            stored["expires_at"],
            Resource(stored.get("resource", Resource.SMTP)),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the data to store."""
        return asdict(self) | {"resource": self.resource.value}

    @property
    def renew_at(self) -> float:
        """Return when to renew the token: before it expires, or at half of a short lifetime."""
        return self.expires_at - min(RENEW_BEFORE, (self.expires_at - self.obtained_at) / 2)


def _may_send(scope: str, permission: str) -> bool:
    """Return whether the granted scopes include a permission, whatever their prefix."""
    wanted = permission.rpartition("/")[2].casefold()
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
    """Provides access tokens that are valid for some minutes, and renews them when necessary.

    All callers that wait for a resource share one renewal and its failure. It continues if they
    give up: a new token is stored before anyone gets it, because the old refresh token may
    already be void. All resources share one refresh token, so renewals run one at a time; a
    refusal affects only its resource.
    """

    def __init__(
        self,
        token: Token,
        endpoint: TokenEndpoint,
        store: Callable[[Token], Awaitable[None]],
        cloud: Cloud = CLOUDS[WORLDWIDE],
    ) -> None:
        """Manage a token; `store` must have it on disk when it returns, or raise `OSError`."""
        self._newest = token
        self._tokens = {token.resource: token}
        self._endpoint = endpoint
        self._store = store
        self._cloud = cloud
        self._stored = True
        self._lock = asyncio.Lock()
        self._work: dict[Resource, asyncio.Task[None]] = {}
        self._refused: dict[Resource, str] = {}
        self._refusals: dict[Resource, AuthError] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the current tokens, which must not be shown to anyone."""
        access_tokens = (token.access_token for token in self._tokens.values())
        return *access_tokens, self._newest.refresh_token

    def for_resource(self, resource: Resource) -> ResourceTokens:
        """Return the access tokens for one resource, as a route uses them."""
        return ResourceTokens(self, resource)

    async def access_token(self, resource: Resource) -> str:
        """Return an access token that is valid for some minutes.

        Raises:
            AuthError: If it could not be renewed.

        """
        if self._is_due(resource) or not self._stored:
            try:
                await self._share_work(resource)
            except AuthError as error:
                if error.needs_sign_in or self._is_spent(resource):
                    raise
        return self._tokens[resource].access_token

    async def replace(self, resource: Resource, refused: str) -> str:
        """Return a different access token than the refused one.

        Renews it unless another caller has already done so.

        Raises:
            AuthError: If it could not be renewed.

        """
        token = self._tokens.get(resource)
        if token and token.access_token == refused:
            self._refused[resource] = refused
        return await self.access_token(resource)

    def ask_again(self, resource: Resource) -> None:
        """Forget that Microsoft refused a resource, because the user asks for another try."""
        self._refusals.pop(resource, None)

    async def settle(self) -> None:
        """Wait for running renewals, so that nothing is left to store."""
        if running := [work for work in self._work.values() if not work.done()]:
            await asyncio.wait(running)

    def _is_due(self, resource: Resource) -> bool:
        """Return whether a token must be renewed, or requested for the first time."""
        return self._is_spent(resource) or time.time() >= self._tokens[resource].renew_at

    def _is_spent(self, resource: Resource) -> bool:
        """Return whether an access token is missing, expired or refused."""
        token = self._tokens.get(resource)
        return (
            token is None
            or time.time() >= token.expires_at
            or token.access_token == self._refused.get(resource)
        )

    async def _share_work(self, resource: Resource) -> None:
        """Wait for the shared renewal, without canceling it when this wait is canceled."""
        work = self._work.get(resource)
        if work is None or work.done():
            work = self._work[resource] = asyncio.create_task(self._renew(resource))
            work.add_done_callback(_retrieve_exception)
        await asyncio.wait([work])
        work.result()

    async def _renew(self, resource: Resource) -> None:
        """Retry a failed save, then renew the token if it is due."""
        async with self._lock:
            if not self._stored:
                await self._save()
            if self._is_due(resource):
                answer = await self._request(resource)
                try:
                    self._take(answer, resource)
                finally:
                    self._stored = False
                    await self._save()

    def _take(self, answer: Mapping[str, Any], resource: Resource) -> None:
        """Keep the tokens of a response."""
        # Even if the response is otherwise unusable, the old refresh token may be void by now.
        if isinstance(rotated := answer.get("refresh_token"), str) and rotated:
            self._newest = replace(self._newest, refresh_token=rotated)
        self._newest = Token.from_answer(answer, self._newest.refresh_token, resource)
        self._tokens[resource] = self._newest
        self._refused.pop(resource, None)

    async def _request(self, resource: Resource) -> Mapping[str, Any]:
        """Exchange the refresh token for new tokens (RFC 6749, section 6), until it is refused."""
        if refusal := self._refusals.get(resource):
            raise refusal.with_traceback(None)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._newest.refresh_token,
            "scope": self._cloud.scope(resource),
        }
        try:
            return await self._endpoint(form)
        except AuthError as error:
            if error.needs_sign_in:
                self._refusals[resource] = error
            raise

    async def _save(self) -> None:
        """Store the token; a full disk does not stop mail, and saving is retried at every use."""
        try:
            await self._store(self._newest)
        except OSError as error:
            _LOGGER.warning("Could not store the renewed sign-in: %s", describe(error))
        else:
            self._stored = True


@dataclass(frozen=True, slots=True)
class ResourceTokens:
    """Provides a route with access tokens, and maps failures to faults of the account."""

    manager: TokenManager
    resource: Resource

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secrets to mask in every text from a server."""
        return self.manager.secrets

    async def get(self) -> str:
        """Return an access token that is valid for some minutes, or raise `SubmissionError`."""
        return await _mapping_errors(self.manager.access_token(self.resource))

    async def replace(self, refused: str) -> None:
        """Renew an access token that the server refused, or raise `SubmissionError`."""
        await _mapping_errors(self.manager.replace(self.resource, refused))


async def _mapping_errors(token: Awaitable[str]) -> str:
    """Wait for a token, and map a failure to a fault of the account."""
    try:
        return await token
    except AuthError as error:
        fault = read_auth_error(error)
    raise SubmissionError(fault)


def _retrieve_exception(work: asyncio.Task[None]) -> None:
    """Retrieve the exception, in case no caller is waiting for it anymore."""
    if not work.cancelled():
        work.exception()
