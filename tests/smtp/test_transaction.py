"""What a server has decided within a round trip stands, however the connection ends."""

import pytest

from custom_components.outlook_smtp.delivery.content import PIECE
from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.connection import StageTimer, connect
from custom_components.outlook_smtp.smtp.pipeline import Pipeline
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import ANNA, BERT, CONTENT, account_on, session_to, submit_over

MAIL_OK = "250 2.1.0 OK"
RCPT_OK = "250 2.1.5 Recipient OK"
ACCEPTED = "250 2.0.0 OK"
NO_SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
FIRST_RCPT = "503 5.5.2 Need mail command"
TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"
UNKNOWN = "550 5.1.1 User unknown"
SERVICE_CLOSING = "421 4.3.2 Service not available"


async def submit(
    fake_server: FakeServer, *replies: str, content: bytes = CONTENT, after: int = 1
) -> Outcome:
    """Submit a message to two recipients on a connection that ends after the replies."""
    async with session_to(fake_server, *replies, after=after) as session:
        return await submit_over(session, ANNA, BERT, content=content)


@pytest.mark.parametrize(
    "end",
    [
        [],
        [FIRST_RCPT],
        [FIRST_RCPT, FIRST_RCPT],
        [FIRST_RCPT, FIRST_RCPT, TOO_MANY_ERRORS],
        [TOO_MANY_ERRORS],
    ],
    ids=len,
)
async def test_refused_sender_is_the_reason(fake_server: FakeServer, end: list[str]) -> None:
    """The first reason is reported, whatever follows."""
    with pytest.raises(SubmissionError) as caught:
        await submit(fake_server, NO_SENDER, *end)
    assert caught.value.fault.problem is Problem.SENDER_NOT_ALLOWED
    assert caught.value.fault.kind is Kind.MESSAGE


@pytest.mark.parametrize(
    "end", [[], [SERVICE_CLOSING], ["354 Start mail input"], ["hello?"]], ids=str
)
async def test_refused_recipients_are_reported(fake_server: FakeServer, end: list[str]) -> None:
    """No recipient gets it, and each reason is reported."""
    outcome = await submit(fake_server, MAIL_OK, UNKNOWN, UNKNOWN, *end)
    assert outcome.accepted == ()
    assert list(outcome.refused) == [ANNA, BERT]


@pytest.mark.parametrize("end", [[], [SERVICE_CLOSING]], ids=len)
async def test_some_refused_recipients_are_settled(fake_server: FakeServer, end: list[str]) -> None:
    """They are settled, and those without a final reply are left for another attempt."""
    outcome = await submit(fake_server, MAIL_OK, UNKNOWN, *end)
    assert (outcome.accepted, outcome.left, outcome.lost) == ((), (BERT,), None)
    assert list(outcome.refused) == [ANNA]
    outcome = await submit(fake_server, MAIL_OK, RCPT_OK, UNKNOWN, SERVICE_CLOSING)
    assert (outcome.left, outcome.lost) == ((ANNA,), None)


@pytest.mark.parametrize("busy", ["451 4.7.500 Server busy", "452 4.5.3 Too many recipients"])
async def test_reply_about_the_server_settles_no_recipient(
    fake_server: FakeServer, busy: str
) -> None:
    """The end of the connection is reported as such."""
    with pytest.raises(SubmissionError, match=SERVICE_CLOSING):
        await submit(fake_server, MAIL_OK, busy, SERVICE_CLOSING)


async def test_lost_reply_leaves_the_other_recipient_open(fake_server: FakeServer) -> None:
    """Only the other recipient may have got the message."""
    outcome = await submit(fake_server, MAIL_OK, UNKNOWN, RCPT_OK)
    assert (outcome.accepted, outcome.left) == ((), (BERT,))
    assert outcome.lost
    assert outcome.lost.problem is Problem.ANSWER_LOST
    assert outcome.obstacle is outcome.lost


@pytest.mark.parametrize("after", [1, PIECE, 2 * PIECE])
async def test_refused_content_is_permanent(fake_server: FakeServer, after: int) -> None:
    """It is refused permanently, even if the server disconnects in between."""
    with pytest.raises(SubmissionError) as caught:
        await submit(
            fake_server, MAIL_OK, MAIL_OK, MAIL_OK, TOO_LARGE, content=b"x" * 8 * PIECE, after=after
        )
    assert caught.value.fault.problem is Problem.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("after", [1, 2 * PIECE])
async def test_service_closing_explains_a_disconnect(fake_server: FakeServer, after: int) -> None:
    """It is the last reply, though more was expected."""
    with pytest.raises(SubmissionError) as caught:
        await submit(fake_server, MAIL_OK, SERVICE_CLOSING, content=b"x" * 8 * PIECE, after=after)
    assert caught.value.fault.code == 421
    assert caught.value.fault.kind is Kind.TRANSIENT


@pytest.mark.parametrize("end", [[], [SERVICE_CLOSING], [ACCEPTED], [UNKNOWN]], ids=str)
async def test_acceptance_before_a_disconnect_counts(
    fake_server: FakeServer, end: list[str]
) -> None:
    """It is not sent again, and the connection is not reused."""
    async with session_to(fake_server, MAIL_OK, MAIL_OK, UNKNOWN, ACCEPTED, *end) as session:
        outcome = await submit_over(session, ANNA, BERT)
        await until(lambda: not session.is_open)
    assert outcome.accepted == (ANNA,)


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        (["500 5.3.3 Unrecognized command", MAIL_OK, MAIL_OK], Problem.UNEXPECTED_REPLY),
        (["354 Start mail input", MAIL_OK, MAIL_OK, MAIL_OK], Problem.UNEXPECTED_REPLY),
        ([MAIL_OK, "354 Start mail input", MAIL_OK, MAIL_OK, MAIL_OK], Problem.UNEXPECTED_REPLY),
        ([MAIL_OK, MAIL_OK, UNKNOWN, "354 Start mail input", MAIL_OK], Problem.UNEXPECTED_REPLY),
        ([MAIL_OK, MAIL_OK, UNKNOWN, "hello?"], Problem.UNEXPECTED_REPLY),
        ([MAIL_OK, MAIL_OK, MAIL_OK, UNKNOWN, "hello?"], Problem.ANSWER_LOST),
        ([MAIL_OK, MAIL_OK, MAIL_OK, UNKNOWN, RCPT_OK], Problem.ANSWER_LOST),
        ([MAIL_OK, MAIL_OK, MAIL_OK, MAIL_OK, RCPT_OK], Problem.ANSWER_LOST),
        ([MAIL_OK, MAIL_OK, MAIL_OK, MAIL_OK, RCPT_OK, ACCEPTED], Problem.ANSWER_LOST),
    ],
    ids=str,
)
async def test_reply_to_another_command_is_not_trusted(
    fake_server: FakeServer, replies: list[str], problem: Problem
) -> None:
    """It answers another command, and so may all later ones: none is trusted."""
    async with session_to(fake_server, *replies) as session:
        session.needs_reset = True
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA, BERT)
        assert caught.value.fault.problem is problem
        assert not session.is_open


async def test_uniform_replies_are_trusted_in_lockstep(fake_server: FakeServer) -> None:
    """In lockstep, which is used at the second attempt, its replies are trusted."""
    session = await Session.open(account_on(fake_server))
    fake_server.script = Script(replies={Step.FINAL: "250 2.1.0 OK"})
    with pytest.raises(SubmissionError, match=Problem.ANSWER_LOST):
        await submit_over(session, ANNA)
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, ANNA, lockstep=True)
    assert outcome.accepted == (ANNA,)


async def test_reply_before_a_command_is_ignored(fake_server: FakeServer) -> None:
    """In lockstep, a reply before a command answers nothing."""
    async with session_to(fake_server, MAIL_OK, RCPT_OK, ACCEPTED) as session:
        with pytest.raises(SubmissionError, match=Problem.UNEXPECTED_REPLY):
            await submit_over(session, ANNA, BERT, lockstep=True)


async def test_unusable_recipients_send_nothing(fake_server: FakeServer) -> None:
    """A recipient that cannot be named is refused without a command."""
    async with session_to(fake_server) as session:
        outcome = await submit_over(session, "no\nbody")
        assert session.is_open
    assert list(outcome.refused) == ["no\nbody"]


async def test_closed_connection_sends_nothing(fake_server: FakeServer) -> None:
    """Nothing can be sent on it anymore, even before the system has noticed."""
    async with session_to(fake_server) as session:
        session.pipeline.close()
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await submit_over(session, ANNA, lockstep=True)


async def test_connection_lost_before_the_takeover_is_reported(fake_server: FakeServer) -> None:
    """The connection is reported as lost."""
    account = account_on(fake_server)
    client = await connect(account.server, account.tls_context, account.timeout, StageTimer())
    assert client.transport
    client.transport.close()
    with pytest.raises(ConnectionError):
        Pipeline.take_over(client)
