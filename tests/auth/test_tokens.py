"""Tokens, and the sign-in name that they include."""

import base64
import json
from typing import Any

import pytest

from custom_components.outlook_smtp.auth.auth_error import AuthError
from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.auth.tokens import Token, read_address
from custom_components.outlook_smtp.delivery.faults import Problem

from .conftest import Clock

ANSWER = {
    "token_type": "Bearer",
    "scope": "https://outlook.office.com/SMTP.Send",
    "expires_in": 3599,
    "access_token": "EwB4 not.a.jwt",
    "refresh_token": "M.C5",
}


def problem_of(answer: dict[str, Any], refresh_token: str = "") -> Problem:
    """Return the problem of a response."""
    with pytest.raises(AuthError) as caught:
        Token.from_answer(answer, refresh_token)
    assert caught.value.__context__ is None
    return caught.value.problem


def id_token(claims: Any) -> str:
    """Create an ID token."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    return ".".join((*(part.rstrip(b"=").decode() for part in encoded), "c2ln"))


def test_token_is_parsed_and_stored(clock: Clock) -> None:
    """A token is parsed, stored and restored, and never shown."""
    token = Token.from_answer(ANSWER)
    assert token == Token("EwB4 not.a.jwt", "M.C5", clock.now, clock.now + 3599)
    assert Token.from_dict(json.loads(json.dumps(token.as_dict()))) == token
    assert Token.from_dict({**token.as_dict(), "from_a_later_version": 1}) == token
    assert "EwB4" not in repr(token)
    assert "M.C5" not in repr(token)


@pytest.mark.parametrize(
    ("lifetime", "margin"), [(3599, 300), (600, 300), (200, 100), ("60", 30), (0, 0)]
)
def test_renewal_is_due_before_expiry(clock: Clock, lifetime: float | str, margin: float) -> None:
    """A token is renewed five minutes before it expires, or after half of a short lifetime."""
    token = Token.from_answer({**ANSWER, "expires_in": lifetime})
    assert token.renew_at == token.expires_at - margin


@pytest.mark.parametrize(
    "scope",
    [
        "https://outlook.office.com/SMTP.Send",
        "https://outlook.office365.com/SMTP.Send",
        "openid profile email https://outlook.office365.com/SMTP.Send",
        "openid SMTP.Send",
        "smtp.send",
    ],
)
def test_scopes_are_recognized_with_any_prefix(scope: str) -> None:
    """The permission is recognized by the last segment, whatever precedes it."""
    assert Token.from_answer({**ANSWER, "scope": scope}).access_token


def test_resource(clock: Clock) -> None:
    """A token knows what it was asked for; what earlier versions have stored is for SMTP."""
    answer = {**ANSWER, "scope": "https://graph.microsoft.com/Mail.Send"}
    token = Token.from_answer(answer, resource=Resource.GRAPH)
    stored = json.loads(json.dumps(token.as_dict()))
    assert stored["resource"] == "graph"
    assert Token.from_dict(stored) == token
    earlier = {key: stored[key] for key in stored if key != "resource"}
    assert Token.from_dict(earlier).resource is Resource.SMTP
    assert problem_of(answer) is Problem.NO_SEND_PERMISSION


def test_missing_scope_was_granted() -> None:
    """Without a scope, the requested one was granted (RFC 6749, section 5.1)."""
    answer = {name: value for name, value in ANSWER.items() if name != "scope"}
    assert Token.from_answer(answer).access_token


@pytest.mark.parametrize(
    "scope", ["", "openid profile", "https://x/SMTP.Send.All", "SMTP.Send/x", None, 7]
)
def test_token_without_permission_is_rejected(scope: Any) -> None:
    """Without the permission, a token is useless."""
    assert problem_of({**ANSWER, "scope": scope}) is Problem.NO_SEND_PERMISSION


@pytest.mark.parametrize("refresh_token", [None, ""])
def test_refresh_token_is_required(refresh_token: Any) -> None:
    """Without a new refresh token, there must be an old one."""
    answer = {**ANSWER, "refresh_token": refresh_token}
    assert problem_of(answer) is Problem.NO_REFRESH_TOKEN
    assert Token.from_answer(answer, "M.C4").refresh_token == "M.C4"
    assert Token.from_answer(ANSWER, "M.C4").refresh_token == "M.C5"


@pytest.mark.parametrize("flaw", [{"access_token": ""}, {"expires_in": None}, {"expires_in": "x"}])
def test_incomplete_response_is_rejected(flaw: dict[str, Any]) -> None:
    """A response without its main parts is invalid."""
    assert problem_of({**ANSWER, **flaw}) is Problem.UNEXPECTED_ANSWER


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "Me@outlook.com", "email": "other@outlook.com"},
        {"preferred_username": "+49 30 1234567", "email": "Me@outlook.com"},
        {"preferred_username": ["x@outlook.com"], "email": "Me@outlook.com"},
        {"email": "Me@outlook.com", "exp": 1, "aud": "somebody else", "sub": 7},
    ],
)
def test_sign_in_name_is_preferred(claims: dict[str, Any]) -> None:
    """The sign-in name is preferred over the address; other claims do not matter."""
    assert read_address({"id_token": id_token(claims)}) == "Me@outlook.com"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"id_token": None},
        {"id_token": 7},
        {"id_token": ""},
        {"id_token": "EwB4"},
        {"id_token": "a.b.c"},
        {"id_token": id_token([])},
        {"id_token": id_token({})},
        {"id_token": id_token({"preferred_username": "me", "email": ""})},
    ],
)
def test_missing_name_is_an_error(answer: dict[str, Any]) -> None:
    """Without a name, nothing else is used."""
    with pytest.raises(AuthError) as caught:
        read_address(answer)
    assert caught.value.problem is Problem.NO_ADDRESS
    assert caught.value.__context__ is None
