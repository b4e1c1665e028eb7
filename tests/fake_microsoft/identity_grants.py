"""What the identity platform has issued, and its validity."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
import hashlib
import json
import re
import secrets
import time
from typing import Any
import uuid

from . import identity_wording as wording
from .identity_wording import RefusedError

REFRESH_LIFETIME = 90 * 24 * 3600.0
# Microsoft omits letters and digits that look alike.
USER_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
PERSONAL = re.compile(r"@(hotmail|live|msn|outlook)\.", re.IGNORECASE)
PERSONAL_DIRECTORY = "9188040d-6c67-4c5b-b112-36a304b66dad"
WORK_DIRECTORY = "5c0e7d2a-1f4b-4f6e-9a55-0c7b1d0e2f31"


class Resource(StrEnum):
    """What an access token gives access to."""

    SMTP = "smtp"
    GRAPH = "graph"


SCOPES = {
    "https://outlook.office.com/smtp.send": Resource.SMTP,
    "https://graph.microsoft.com/mail.send": Resource.GRAPH,
    "mail.send": Resource.GRAPH,
}
WORK_SCOPES = {
    "smtp.send": Resource.SMTP,
    "https://outlook.office365.com/smtp.send": Resource.SMTP,
    "https://outlook.office365.us/smtp.send": Resource.SMTP,
    "https://partner.outlook.cn/smtp.send": Resource.SMTP,
    "https://graph.microsoft.us/mail.send": Resource.GRAPH,
    "https://microsoftgraph.chinacloudapi.cn/mail.send": Resource.GRAPH,
}


def is_personal(address: str) -> bool:
    """Return whether an account is personal, as opposed to work or school."""
    return PERSONAL.search(address) is not None


class AccessTokens(dict[str, str]):
    """The owners of access tokens; expired ones are removed on lookup."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        """Start with tokens that never expire."""
        super().__init__(owners)
        self._expiry: dict[str, float] = {}

    def add(self, token: str, owner: str, lifetime: float) -> None:
        """Add a token; it expires by a clock that tests may freeze."""
        self._expiry[token] = time.time() + lifetime
        self[token] = owner

    def get(self, token: str, default: Any = None) -> Any:
        """Return the owner of a valid token."""
        if time.time() >= self._expiry.get(token, float("inf")):
            self.pop(token, None)
        return super().get(token, default)

    def expire(self, address: str) -> None:
        """Remove all tokens of an account."""
        for token, owner in tuple(self.items()):
            if owner.lower() == address.lower():
                del self[token]


@dataclass(kw_only=True)
class SignIn:
    """A sign-in in progress, with a device code or in a browser."""

    tenant: str
    scopes: tuple[str, ...]
    expires_at: float
    address: str | None = None
    declined: bool = False
    redeemed: bool = False
    user_code: str = ""
    redirect_uri: str = ""
    challenge: str = ""


@dataclass(kw_only=True)
class Grant:
    """The grant of a refresh token; `public` if its client had no secret."""

    address: str
    tenant: str
    public: bool
    issued_at: float
    used: bool = False
    revoked: bool = False

    def check(self, *, strict_rotation: bool) -> None:
        """Reject a revoked, used or expired token."""
        if self.revoked:
            raise RefusedError(wording.REFRESH_REVOKED)
        if self.used and strict_rotation:
            raise RefusedError(wording.REFRESH_INVALID)
        if time.time() >= self.issued_at + REFRESH_LIFETIME:
            issued = datetime.fromtimestamp(self.issued_at, UTC)
            raise RefusedError(wording.REFRESH_STALE, f"{issued:%Y-%m-%dT%H:%M:%S.0000000Z}")


def read_scopes(text: str, address: str | None = None) -> tuple[str, ...]:
    """Return the requested scopes, or reject those that Microsoft would."""
    if not text:
        raise RefusedError(wording.PARAMETER_MISSING, "scope")
    forms = SCOPES if address is not None and is_personal(address) else SCOPES | WORK_SCOPES
    scopes = tuple(text.split())
    known = forms.keys() | {"offline_access", "openid", "profile", "email"}
    if not {scope.lower() for scope in scopes} <= known:
        raise RefusedError(wording.SCOPE_INVALID, text)
    return scopes


def resources_of(scopes: tuple[str, ...]) -> set[Resource]:
    """Return the resources of scopes; next to an Outlook scope, a bare one means Outlook's."""
    forms = SCOPES | WORK_SCOPES
    whole = {forms[name] for name in map(str.lower, scopes) if "/" in name}
    bare = {forms[name] for name in map(str.lower, scopes) if "/" not in name and name in forms}
    return whole | ({Resource.SMTP} if bare and Resource.SMTP in whole else bare)


def check_account(address: str, tenant: str) -> None:
    """Reject an account outside the tenant."""
    fits = tenant in {"common", "consumers"} if is_personal(address) else tenant != "consumers"
    if not fits:
        raise RefusedError(wording.WRONG_KIND, address, tenant)


def check_verifier(verifier: str, challenge: str) -> None:
    """Reject a client that cannot prove the origin of its challenge (RFC 7636, section 4.6)."""
    if challenge and not verifier:
        raise RefusedError(wording.VERIFIER_MISSING)
    digest = hashlib.sha256(verifier.encode()).digest()
    if challenge and not secrets.compare_digest(_encode(digest), challenge):
        raise RefusedError(wording.VERIFIER_WRONG)


def new_user_code() -> str:
    """Generate a code that a person can type."""
    return "".join(secrets.choice(USER_CODE_LETTERS) for _ in range(9))


def new_secret(prefix: str, size: int) -> str:
    """Generate an unguessable text that looks like Microsoft's."""
    return prefix + secrets.token_urlsafe(size)


def new_access_token(address: str) -> str:
    """Generate an access token: it looks like a JWT for work accounts, and can never be decoded."""
    return new_secret("EwB4A8l6BAAU" if is_personal(address) else "eyJ0eXAiOiJKV1Qi.", 900)


def new_refresh_token(address: str) -> str:
    """Generate a refresh token."""
    return new_secret("M.C507_BAY.0.U.-" if is_personal(address) else "1.AXoA", 300)


def id_token(address: str, client_id: str, claims: Mapping[str, Any] | None) -> str:
    """Generate an unsigned ID token; `claims` replace those of a person."""
    now = int(time.time())
    tenant = PERSONAL_DIRECTORY if is_personal(address) else WORK_DIRECTORY
    payload = {
        "ver": "2.0",
        "iss": f"https://login.microsoftonline.com/{tenant}/v2.0",
        "sub": new_secret("AAAAAAAAAAAAAAAAAAAA", 24),
        "aud": client_id,
        "exp": now + 86400,
        "iat": now,
        "nbf": now,
        "oid": str(uuid.uuid4()),
        "tid": tenant,
    }
    own = {"name": address.partition("@")[0], "preferred_username": address, "email": address}
    header = {"typ": "JWT", "alg": "RS256", "kid": "fake_server"}
    parts = (header, payload | dict(own if claims is None else claims))
    return ".".join((*(_encode(json.dumps(part).encode()) for part in parts), "bm9ib2R5"))


def _encode(content: bytes) -> str:
    """Encode a part of a token."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
