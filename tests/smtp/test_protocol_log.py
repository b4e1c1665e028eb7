"""The SMTP conversation is logged at debug level, without secrets and content."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
import logging

import pytest

from custom_components.outlook_smtp.delivery.faults import SubmissionError
from custom_components.outlook_smtp.smtp import protocol_log
from custom_components.outlook_smtp.smtp.credentials import BearerToken, Credentials, Password
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeServer, Script, Step
from tests.promises import MAX_TEXT

from .helpers import (
    ANNA,
    BERT,
    CONTENT,
    LONG,
    SHORT,
    account_on,
    nothing_left_open,
    probe_fault,
    send,
    submit_over,
)

LOGGER = protocol_log.__name__
SECRET = "geheim-äöü-€"
TOKEN = "EwBIA8l6BAAUs5-an-access-token-that-nobody-may-see"

type Logged = Callable[[], list[str]]


class OneToken:
    """Has one access token, and no other."""

    secrets = ()

    async def get(self) -> str:
        """Return it."""
        return TOKEN

    async def replace(self, refused: str) -> None:
        """Offer no replacement."""
        assert refused == TOKEN


def forms(*secrets: str) -> Iterator[str]:
    """Return every form in which secrets are sent, and their revealing parts."""
    for secret in secrets:
        sasl = f"user={ADDRESS}\x01auth=Bearer {secret}\x01\x01"
        for form in (secret, sasl, f"\0{ADDRESS}\0{secret}"):
            encoded = b64encode(form.encode()).decode()
            yield from (form, encoded, encoded[:24])


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Listen at debug level; return the protocol log without connection numbers."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, LOGGER)

    def lines() -> list[str]:
        assert not [form for form in forms(SECRET, TOKEN) if form in caplog.text]
        assert b64encode(ADDRESS.encode()).decode() not in caplog.text
        records = [record for record in caplog.records if record.name == LOGGER]
        return [record.getMessage().partition(", ")[2] for record in records]

    return lines


@pytest.fixture(params=["LOGIN", "PLAIN", "XOAUTH2"])
def credentials(request: pytest.FixtureRequest, fake_server: FakeServer) -> Credentials:
    """Return credentials for one mechanism, the only one that is offered."""
    fake_server.script = Script(auth_offered=(request.param,))
    fake_server.mailboxes[ADDRESS].password = SECRET
    fake_server.access_tokens[TOKEN] = ADDRESS
    if request.param == "XOAUTH2":
        return BearerToken(ADDRESS, OneToken())
    return Password(ADDRESS, SECRET)


async def test_protocol_log_is_complete(fake_server: FakeServer, logged: Logged) -> None:
    """Both sides are quoted, from the greeting to QUIT; for the content, there is its size."""
    await send(fake_server, ANNA, BERT)
    lines = logged()
    assert lines[0].startswith("server: 220 ")
    assert [line for line in lines if line.startswith("client: ")] == [
        "client: EHLO [127.0.0.1]",
        "client: STARTTLS",
        "client: EHLO [127.0.0.1]",
        "client: AUTH LOGIN ***",
        "client: ***",
        f"client: MAIL FROM:<{ADDRESS}> SIZE={len(CONTENT)} BODY=8BITMIME",
        f"client: RCPT TO:<{ANNA}>",
        f"client: RCPT TO:<{BERT}>",
        f"client: BDAT {len(CONTENT)} LAST",
        "client: QUIT",
    ]
    assert "server: SIZE 157286400" in lines
    assert any(line.startswith("server: 235 ") for line in lines)
    assert "It works" not in "".join(lines)


async def test_protocol_logs_are_numbered(
    fake_server: FakeServer, logged: Logged, caplog: pytest.LogCaptureFixture
) -> None:
    """Each connection has its own number."""
    await probe(account_on(fake_server))
    await probe(account_on(fake_server))
    logged()
    said = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert len({line.partition(",")[0] for line in said}) == 2


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(replies={Step.AUTH: "535 5.7.139 Authentication unsuccessful"}),
        Script(replies={Step.AUTH: "421 4.3.2 Service not active"}),
        Script(drop=Step.AUTH),
        Script(stall=Step.AUTH),
    ],
    ids=["accepted", "refused", "421", "dropped", "silence"],
)
async def test_no_secret_is_logged(
    fake_server: FakeServer, credentials: Credentials, logged: Logged, script: Script
) -> None:
    """However the sign-in ends, the log shows the mechanism, and no more."""
    script.auth_offered = fake_server.script.auth_offered
    fake_server.script = script
    timeout = SHORT if script.stall else LONG
    with suppress(SubmissionError):  # The fake server offers PLAIN, but does not know it.
        await probe(account_on(fake_server, credentials=credentials, timeout=timeout))
    await nothing_left_open(fake_server)
    (mechanism,) = script.auth_offered
    assert f"client: AUTH {mechanism} ***" in logged()


@pytest.mark.parametrize("credentials", ["LOGIN", "XOAUTH2"], indirect=True)
async def test_echoed_secrets_are_redacted(
    fake_server: FakeServer, credentials: Credentials, logged: Logged
) -> None:
    """A server that quotes unknown input reveals nothing."""
    (mechanism,) = fake_server.script.auth_offered
    said = {
        "LOGIN": SECRET,
        "XOAUTH2": f"user={ADDRESS}\x01auth=Bearer {TOKEN}\x01\x01",
    }[mechanism]
    quoted = b64encode(said.encode()).decode()
    fake_server.script.replies[Step.AUTH] = f"501 5.5.4 What is {quoted}?"
    await probe_fault(fake_server, credentials=credentials)
    assert "server: 501 5.5.4 What is ***?" in logged()


async def test_errors_are_logged(fake_server: FakeServer, logged: Logged) -> None:
    """A refusal, a lost connection and an untrusted certificate are in the protocol log."""
    fake_server.script = Script(replies={Step.FINAL: "554 5.2.0 Not this"})
    with pytest.raises(SubmissionError):
        await send(fake_server)
    assert "server: 554 5.2.0 Not this" in logged()
    fake_server.script = Script(drop=Step.MAIL)
    with pytest.raises(SubmissionError):
        await send(fake_server)
    assert any("server: (ConnectionResetError: " in line for line in logged())


async def test_line_is_shortened_and_stays_one_line(
    fake_server: FakeServer, logged: Logged
) -> None:
    """A server's text can neither flood the log nor forge a line in it."""
    fake_server.script = Script(replies={Step.MAIL: "550 5.1.8 \x1b[31m" + "x" * 700})
    with pytest.raises(SubmissionError):
        async with await Session.open(account_on(fake_server)) as session:
            await submit_over(session, ANNA)
    (refusal,) = [line for line in logged() if "5.1.8" in line]
    assert len(refusal) == len("server: ") + MAX_TEXT
    assert "\x1b" not in refusal


async def test_nothing_is_logged_without_debug(
    fake_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """At other levels, there is no protocol log."""
    caplog.set_level(logging.INFO, LOGGER)
    await send(fake_server)
    assert [record for record in caplog.records if record.name == LOGGER] == []


async def test_debug_enabled_during_a_sign_in_shows_no_secret(
    fake_server: FakeServer, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response to a challenge is redacted, even if the log was off at the challenge."""
    fake_server.mailboxes[ADDRESS].password = SECRET
    logging.getLogger(LOGGER).setLevel(logging.INFO)  # And `caplog` puts it back.
    read_reply = protocol_log.ProtocolLog.log_received

    def turn_on(self: protocol_log.ProtocolLog, answer: str) -> None:
        read_reply(self, answer)
        if answer.startswith("334"):
            logging.getLogger(LOGGER).setLevel(logging.DEBUG)

    monkeypatch.setattr(protocol_log.ProtocolLog, "log_received", turn_on)
    await probe(account_on(fake_server, credentials=Password(ADDRESS, SECRET)))
    assert "client: ***" in logged()
