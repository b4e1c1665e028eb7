"""One request: success, refusal and failure."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from custom_components.outlook_smtp.auth import endpoint
from custom_components.outlook_smtp.auth.application import Application
from custom_components.outlook_smtp.auth.auth_error import AuthError, read_error
from custom_components.outlook_smtp.auth.endpoint import post, read_seconds, read_text
from custom_components.outlook_smtp.delivery.faults import Problem
from tests.fake_microsoft import Identity, Misstep, closed_port, identity_script as script
from tests.fake_microsoft.identity_wording import Refusal

from .conftest import cloud_at

CLIENT_ID = "7b1f6a0c-52f3-4c1e-9d1a-6f0a3c2b8e45"
UNREACHABLE = Problem.IDENTITY_UNREACHABLE
FORM = {"grant_type": "refresh_token", "refresh_token": "M.C5-the-refresh-token", "scope": "openid"}


async def refusal(http: aiohttp.ClientSession, application: Application) -> AuthError:
    """Return the error of a request that fails."""
    with pytest.raises(AuthError) as caught:
        await post(http, application, "token", FORM)
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize(
    ("misstep", "description"),
    [
        (script.GATEWAY_DOWN, "HTTP 503, no JSON object"),
        (script.MALFORMED, "HTTP 200, no JSON object"),
        (Misstep(body="[]"), "HTTP 200, no JSON object"),
        (Misstep(body=f'{{"a":"{"x" * 300_000}"}}'), "HTTP 200, no JSON object"),
        (Misstep(body="\u00ff"), "HTTP 200, no JSON object"),
        (Misstep(body="<a>", status=302, headers={"Location": "/"}), "HTTP 302, no JSON object"),
        (Misstep(body="{}", status=502), "HTTP 502"),
        (Misstep(body='{"error":"invalid_grant"}', status=500), "HTTP 500"),
        (Misstep(body='{"error":"invalid_request"}', status=429), "HTTP 429"),
        (script.SERVER_ERROR, ""),
        (script.BARE_SERVER_ERROR, ""),
        (script.UNAVAILABLE, "AADSTS90033: A transient error has occurred. Please try again."),
        (script.RESET, "ClientOSError"),
    ],
)
async def test_temporary_failures_are_recognized(
    identity: Identity,
    application: Application,
    http: aiohttp.ClientSession,
    misstep: Misstep,
    description: str,
) -> None:
    """Temporary failures are distinguished from permanent ones."""
    identity.script.then("token", misstep)
    error = await refusal(http, application)
    assert error.problem is UNREACHABLE
    assert error.description.startswith(description)
    assert error.retry_after is None


async def test_silence_is_a_timeout(
    identity: Identity,
    application: Application,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that never responds causes a timeout."""
    monkeypatch.setattr(endpoint, "TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    identity.script.then("token", script.HANG)
    assert "Timeout" in (await refusal(http, application)).description


async def test_failed_connection_is_described(http: aiohttp.ClientSession) -> None:
    """A failed connection is described in full, because it quotes nothing."""
    port = closed_port()
    error = await refusal(http, Application(CLIENT_ID, cloud=cloud_at(f"http://127.0.0.1:{port}")))
    assert error.problem is UNREACHABLE
    assert error.description.startswith("ClientConnectorError: Cannot connect to host 127.0.0.1")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("\u00b2", None),
        ("", None),
    ],
)
async def test_retry_after_is_parsed(
    identity: Identity,
    application: Application,
    http: aiohttp.ClientSession,
    header: str,
    seconds: float | None,
) -> None:
    """Microsoft may ask for a delay, and so may a gateway."""
    for body in ("<html>", '{"error":"temporarily_unavailable"}'):
        misstep = Misstep(body=body, status=503, headers={"Retry-After": header})
        identity.script.then("token", misstep)
        assert (await refusal(http, application)).retry_after == seconds


async def test_secrets_are_redacted(
    identity: Identity, application: Application, http: aiohttp.ClientSession
) -> None:
    """Secrets are redacted when a response echoes them."""
    words = f"AADSTS9002313: Invalid 'refresh_token' {FORM['refresh_token']}."
    identity.script.then("token", Refusal("invalid_request", words))
    error = await refusal(http, application)
    assert error.description == "AADSTS9002313: Invalid 'refresh_token' ***."
    assert error.problem is Problem.APPLICATION_REFUSED


async def test_client_secret_is_sent(
    identity: Identity, application: Application, http: aiohttp.ClientSession
) -> None:
    """The secret of a registration is sent with the request."""
    secret = identity.client_secret
    confidential = replace(application, client_secret=secret)
    form = {"grant_type": "authorization_code", "code": "invented"}
    with pytest.raises(AuthError, match="AADSTS70000"):
        await post(http, confidential, "token", form)
    with pytest.raises(AuthError, match="AADSTS7000218"):
        await post(http, application, "token", form)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        *dict.fromkeys(
            ("invalid_grant", "interaction_required", "login_required", "consent_required"),
            Problem.SIGN_IN_REQUIRED,
        ).items(),
        *dict.fromkeys(
            ("authorization_declined", "access_denied"), Problem.SIGN_IN_DECLINED
        ).items(),
        *dict.fromkeys(
            ("expired_token", "code_expired", "bad_verification_code"), Problem.CODE_EXPIRED
        ).items(),
        *dict.fromkeys(("temporarily_unavailable", "server_error"), UNREACHABLE).items(),
        *dict.fromkeys(
            ("invalid_client", "unauthorized_client", "invalid_scope", "invalid_resource"),
            Problem.APPLICATION_REFUSED,
        ).items(),
        ("invalid_request", Problem.APPLICATION_REFUSED),
        ("", Problem.UNEXPECTED_ANSWER),
        ("new_error", Problem.UNEXPECTED_ANSWER),
    ],
)
def test_error_codes_map_to_problems(code: str, problem: Problem) -> None:
    """The protocol's error code determines the remedy."""
    assert read_error({"error": code}).problem is problem


@pytest.mark.parametrize("gap", [" ", "\r\n"])
def test_error_description_keeps_its_number(gap: str) -> None:
    """The error number that people search for is kept, internal trace IDs are removed."""
    tail = gap.join(
        (
            "Trace ID: 91af4011-2822-4038-b029-ddd8c46caf00",
            "Correlation ID: ee3f808b-2662-4eca-ad60-c824a57f2719",
            "Timestamp: 2026-04-15 18:41:56Z",
        )
    )
    words = f"AADSTS700082: The refresh token\x00 has\n expired.{gap}{tail}"
    error = read_error({"error": "invalid_grant", "error_description": words})
    assert error.description == "AADSTS700082: The refresh token has expired."
    assert str(error) == f"sign_in_required: invalid_grant {error.description}"
    assert str(read_error({"error": "slow_down"})) == "unexpected_answer: slow_down HTTP 400"
    assert str(AuthError(Problem.NO_ADDRESS)) == "no_address"
    assert len(read_error({"error": "x", "error_description": "y" * 999}).description) == 300


@pytest.mark.parametrize("value", [None, "", 7, ["x"]])
def test_missing_text_is_an_error(value: Any) -> None:
    """A member that is not text counts as missing, and the error names it."""
    with pytest.raises(AuthError, match="unexpected_answer:  no user_code") as caught:
        read_text({"user_code": value}, "user_code")
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("value", "seconds"), [(7, 7), ("900", 900), (0.5, 0.5), (0, 0)])
def test_seconds_are_parsed(value: Any, seconds: float) -> None:
    """Numbers may be given as text."""
    assert read_seconds({"expires_in": value}, "expires_in") == seconds
    assert read_seconds({}, "expires_in", 5) == 5


@pytest.mark.parametrize("value", [None, "soon", -1, float("nan"), float("inf"), [1]])
def test_invalid_seconds_are_an_error(value: Any) -> None:
    """The error names an invalid duration."""
    with pytest.raises(AuthError, match="no expires_in") as caught:
        read_seconds({"expires_in": value}, "expires_in")
    assert caught.value.__context__ is None
