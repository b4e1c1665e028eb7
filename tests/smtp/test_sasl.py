"""A sign-in succeeds wherever possible, and every reply to it is read."""

import asyncio
from base64 import b64encode
import json

import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.secrets import MASK
from custom_components.outlook_smtp.smtp.credentials import BearerToken, Credentials, Password
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.sasl import INITIAL_RESPONSE, SignIn
from tests.conftest import ADDRESS, PASSWORD
from tests.fake_microsoft import FakeServer, Script, Step
from tests.promises import MAX_TEXT

from .helpers import LONG, account_on, commands, pipeline_to, probe_fault
from .test_protocol_log import TOKEN, OneToken

WITH_ANSWER = r"AUTH \S+ \S"
CHALLENGE = "334 " + b64encode(json.dumps({"status": "401", "schemes": "bearer"}).encode()).decode()


@pytest.fixture(params=["LOGIN", "PLAIN", "XOAUTH2"])
def credentials(request: pytest.FixtureRequest, fake_server: FakeServer) -> Credentials:
    """Return credentials for one mechanism, the only one that is offered."""
    fake_server.script = Script(auth_offered=(request.param,))
    fake_server.access_tokens[TOKEN] = ADDRESS
    if request.param == "XOAUTH2":
        return BearerToken(ADDRESS, OneToken())
    return Password(ADDRESS, PASSWORD)


def auth_lines(fake_server: FakeServer) -> list[str]:
    """Return the AUTH commands of the last session."""
    return [line for line in commands(fake_server) if line.startswith("AUTH")]


@pytest.mark.parametrize(
    "reply",
    [
        "500 5.5.6 Authentication exchange line is too long",
        "501 5.5.4 Syntax: AUTH mechanism",
        "502 5.5.1 Command not implemented",
        "504 5.5.4 Command parameter not implemented",
    ],
)
async def test_refused_initial_response_is_sent_after_the_challenge(
    fake_server: FakeServer, credentials: Credentials, reply: str
) -> None:
    """It is sent after the challenge, over the same connection, from then on."""
    fake_server.script.unknown = {WITH_ANSWER: reply}
    account = account_on(fake_server, credentials=credentials)
    [mechanism] = fake_server.script.auth_offered
    await probe(account)
    assert auth_lines(fake_server) == [f"AUTH {mechanism} ***", f"AUTH {mechanism}"]
    await probe(account)
    assert auth_lines(fake_server) == [f"AUTH {mechanism}"]
    assert fake_server.connections == 2


async def test_disconnect_after_a_long_line_is_recognized(
    fake_server: FakeServer, credentials: Credentials
) -> None:
    """The cause is still recognized, and the next attempt succeeds."""
    fake_server.script.unknown = {WITH_ANSWER: "500 Line too long"}
    fake_server.script.max_errors = 1
    account = account_on(fake_server, credentials=credentials)
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    assert caught.value.fault.kind is Kind.TRANSIENT
    await probe(account)


async def test_unsupported_mechanism_is_replaced(fake_server: FakeServer) -> None:
    """A password is sent with the other one; it was neither sent nor refused before."""
    unknown = {"AUTH LOGIN": "504 5.7.4 Unrecognized authentication type"}
    fake_server.script = Script(auth_offered=("LOGIN", "PLAIN"), unknown=unknown)
    await probe(account_on(fake_server))
    assert auth_lines(fake_server) == ["AUTH LOGIN ***", "AUTH PLAIN ***"]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("502 5.5.1 Command not implemented", Problem.UNEXPECTED_REPLY),
        ("504 5.5.4 Unrecognized authentication type", Problem.MECHANISM_NOT_OFFERED),
    ],
)
async def test_no_supported_mechanism_is_reported(
    fake_server: FakeServer, credentials: Credentials, reply: str, problem: Problem
) -> None:
    """The server's reply is reported, and the next attempt starts as usual."""
    fake_server.script.unknown = {"AUTH": reply}
    account = account_on(fake_server, credentials=credentials)
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    fault = caught.value.fault
    assert (fault.kind, fault.problem, fault.reply) == (Kind.SETUP, problem, reply)
    assert not account.unsupported


@pytest.mark.parametrize("credentials", ["XOAUTH2"], indirect=True)
async def test_empty_challenge_is_answered(
    fake_server: FakeServer, credentials: Credentials
) -> None:
    """With an empty line, and the server may still accept."""
    fake_server.script.replies[Step.AUTH] = CHALLENGE
    await probe(account_on(fake_server, credentials=credentials))
    said = commands(fake_server)
    assert said[said.index("AUTH XOAUTH2 ***") + 1] == MASK


@pytest.mark.parametrize(
    "ends", [[], ["501 5.5.2 Cannot decode response"], ["334 Again?"]], ids=str
)
async def test_error_challenge_is_a_refusal(ends: list[str], socket_enabled: None) -> None:
    """It counts if the server's final reply is less specific, or if it disconnects."""
    async with pipeline_to(CHALLENGE, then=ends) as pipeline:
        sign_in = SignIn(pipeline, ["xoauth2"], LONG, set())
        with pytest.raises(SubmissionError) as caught:
            await sign_in.run("xoauth2", b"bm90aGluZw==")
    fault = caught.value.fault
    assert fault.is_refused_identity
    assert fault.reply == '334 {"status": "401", "schemes": "bearer"}'


@pytest.mark.parametrize(
    ("reply", "kind", "problem"),
    [
        ("535 5.7.3 Authentication unsuccessful", Kind.CREDENTIALS, Problem.IDENTITY_REFUSED),
        ("454 4.7.0 Try later", Kind.TRANSIENT, Problem.TEMPORARY_AUTH_FAILURE),
        (
            "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.",
            Kind.ACCOUNT,
            Problem.SMTP_DISABLED_TENANT,
        ),
    ],
)
async def test_final_reply_overrides_the_challenge(
    socket_enabled: None, reply: str, kind: Kind, problem: Problem
) -> None:
    """It is more specific than the challenge."""
    async with pipeline_to(CHALLENGE, then=[reply]) as pipeline:
        with pytest.raises(SubmissionError) as caught:
            await SignIn(pipeline, ["xoauth2"], LONG, set()).run("xoauth2", b"bm90aGluZw==")
    assert (caught.value.fault.kind, caught.value.fault.problem) == (kind, problem)


async def test_undecodable_challenge_is_quoted(socket_enabled: None) -> None:
    """A challenge may be plain text."""
    async with pipeline_to("334 Token expired") as pipeline:
        with pytest.raises(SubmissionError, match="334 Token expired"):
            await SignIn(pipeline, ["xoauth2"], LONG, set()).run("xoauth2", b"bm90aGluZw==")


@pytest.mark.parametrize(
    "reply",
    [
        f"535 5.7.139 Basic authentication is disabled {'x' * 100_000}",
        "\n".join([*(f"535-5.7.139 {'y' * 4000}" for _ in range(40)), "535 5.7.139 is disabled"]),
    ],
    ids=["one line", "many lines"],
)
async def test_long_refusal_is_read_completely(fake_server: FakeServer, reply: str) -> None:
    """It is read to its end, and quoted from its beginning."""
    fake_server.script = Script(replies={Step.AUTH: reply})
    fault = await probe_fault(fake_server)
    assert (fault.code, fault.enhanced) == (535, "5.7.139")
    assert len(fault.text) == MAX_TEXT


async def test_echoed_secret_is_redacted(fake_server: FakeServer) -> None:
    """The secret is redacted wherever the reply is shown."""
    secret = b64encode(f"\0{ADDRESS}\0{PASSWORD}".encode()).decode()
    fake_server.script = Script(
        auth_offered=("PLAIN",), replies={Step.AUTH: f"535 5.7.8 Not {secret}!"}
    )
    assert (await probe_fault(fake_server)).text == f"Not {MASK}!"


async def test_two_sign_ins_at_once_share_nothing(fake_server: FakeServer) -> None:
    """An extension that one account's server does not support may work with another."""
    fake_server.script = Script(unknown={WITH_ANSWER: "500 Line too long"})
    one, other = account_on(fake_server), account_on(fake_server)
    await asyncio.gather(probe(one), probe(other))
    assert one.unsupported == other.unsupported == {INITIAL_RESPONSE}
    assert one.unsupported is not other.unsupported
