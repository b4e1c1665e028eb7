"""What goes wrong at the identity platform, and for how many requests."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import identity_wording as wording
from .identity_wording import Refusal

GATEWAY_PAGE = "<!DOCTYPE html><html><body><h1>Our services aren't available</h1></body></html>"


class Endpoint(StrEnum):
    """The endpoints where something can go wrong."""

    AUTHORIZE = "authorize"
    DEVICECODE = "devicecode"
    TOKEN = "token"


@dataclass(frozen=True, kw_only=True)
class Misstep:
    """One faulty response.

    refusal: refuse every request.
    body: respond with this text, `status` and `content_type`.
    hang: never respond.
    reset: drop the connection with a TCP reset.
    late: process the request, and only spoil the response.
    headers: extra headers of the response, such as Retry-After.
    without: the members to remove from a good response.
    scope: the granted scopes in a good response.
    claims: replacements in the ID token of a good response.
    """

    refusal: Refusal | None = None
    body: str | None = None
    status: int = 200
    content_type: str = "application/json"
    hang: bool = False
    reset: bool = False
    late: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    scope: str | None = None
    claims: Mapping[str, Any] | None = None

    @property
    def replaces(self) -> bool:
        """Return whether this replaces the response, rather than modifying a good one."""
        return bool(self.refusal or self.body is not None or self.hang or self.reset)

    def spoil(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Apply the modifications to a good response, except those to the ID token."""
        spoilt = {name: value for name, value in answer.items() if name not in self.without}
        return spoilt if self.scope is None else spoilt | {"scope": self.scope}


HEALTHY = Misstep()
SLOW_DOWN = Misstep(refusal=wording.SLOW_DOWN)
SERVER_ERROR = Misstep(refusal=wording.SERVER_ERROR)
BARE_SERVER_ERROR = Misstep(refusal=Refusal("server_error", "", 400))
UNAVAILABLE = Misstep(refusal=wording.UNAVAILABLE)
GATEWAY_DOWN = Misstep(body=GATEWAY_PAGE, status=503, content_type="text/html")
HANG = Misstep(hang=True)
RESET = Misstep(reset=True)
LOST_ANSWER = Misstep(reset=True, late=True)
MALFORMED = Misstep(body='{"token_type":"Bearer","access_token":"EwB4A8l6BAAU')
NO_REFRESH_TOKEN = Misstep(without=("refresh_token",))
NO_SEND_SCOPE = Misstep(scope="openid profile email User.Read")
NO_ID_TOKEN = Misstep(without=("id_token",))
NO_ADDRESS = Misstep(claims={"preferred_username": "+49 30 1234567"})


class IdentityScript:
    """The upcoming faults: for the next requests to an endpoint, or for all of them.

    A modification waits for a good response: refused requests do not consume it.
    """

    def __init__(self) -> None:
        """Start without faults."""
        self.always: dict[Endpoint, Misstep] = {}
        self._next: dict[Endpoint, deque[Misstep]] = {name: deque() for name in Endpoint}

    def then(self, endpoint: Endpoint | str, *missteps: Misstep | Refusal) -> None:
        """Spoil the next responses of an endpoint, in this order."""
        self._next[Endpoint(endpoint)].extend(
            Misstep(refusal=item) if isinstance(item, Refusal) else item for item in missteps
        )

    def peek(self, endpoint: Endpoint) -> Misstep:
        """Return the modification of the next good response."""
        coming = self._next[endpoint]
        misstep = coming[0] if coming else self.always.get(endpoint, HEALTHY)
        return HEALTHY if misstep.replaces else misstep

    def take(self, endpoint: Endpoint, *, replaces: bool) -> Misstep | None:
        """Consume the next fault, if it is of this kind."""
        coming = self._next[endpoint]
        misstep = coming[0] if coming else self.always.get(endpoint)
        if misstep is None or misstep.replaces != replaces:
            return None
        return coming.popleft() if coming else misstep
