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
    """The places where something can go wrong."""

    AUTHORIZE = "authorize"
    DEVICECODE = "devicecode"
    TOKEN = "token"


@dataclass(frozen=True, kw_only=True)
class Misstep:
    """One answer that is not as it should be.

    refusal: refuse, whatever was asked for.
    body: answer this text with `status` and `content_type`.
    hang: never answer.
    reset: drop the connection with a TCP reset.
    late: do what was asked for, and let only the answer be spoilt.
    headers: what to put beside the answer, Retry-After for example.
    without: the members that a good answer lacks.
    scope: the granted scopes that a good answer names.
    claims: what the id token of a good answer says instead.
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
        """Tell whether the answer is another one, and not a good one with a flaw."""
        return bool(self.refusal or self.body is not None or self.hang or self.reset)

    def spoil(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Put the flaws into a good answer; what the id token says comes with the answer."""
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
    """The misbehaviours to come: for the next requests to an endpoint, or for all of them.

    A flaw waits for a good answer: no request that is refused anyway uses it up.
    """

    def __init__(self) -> None:
        """Let all be well."""
        self.always: dict[Endpoint, Misstep] = {}
        self._next: dict[Endpoint, deque[Misstep]] = {name: deque() for name in Endpoint}

    def then(self, endpoint: Endpoint | str, *missteps: Misstep | Refusal) -> None:
        """Spoil the next answers of an endpoint, in this order."""
        self._next[Endpoint(endpoint)].extend(
            Misstep(refusal=item) if isinstance(item, Refusal) else item for item in missteps
        )

    def peek(self, endpoint: Endpoint) -> Misstep:
        """Return the flaw of the next good answer."""
        coming = self._next[endpoint]
        misstep = coming[0] if coming else self.always.get(endpoint, HEALTHY)
        return HEALTHY if misstep.replaces else misstep

    def take(self, endpoint: Endpoint, *, replaces: bool) -> Misstep | None:
        """Use up the next misstep, if it is of this sort."""
        coming = self._next[endpoint]
        misstep = coming[0] if coming else self.always.get(endpoint)
        if misstep is None or misstep.replaces != replaces:
            return None
        return coming.popleft() if coming else misstep
