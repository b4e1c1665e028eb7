"""What a server has decided within a round trip holds, however the line ends afterwards."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from custom_components.outlook_smtp.delivery.content import PIECE, Content
from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.connection import Watch, connect
from custom_components.outlook_smtp.smtp.pipeline import Pipeline
from custom_components.outlook_smtp.smtp.protocol_log import ProtocolLog
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.transaction import Transaction
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import ANNA, BERT, CONTENT, HOST, LONG, account_on, envelope_to

PIPELINING = {"pipelining": "", "chunking": ""}
TAKEN = "250 2.1.0 OK"
TAKEN_TO = "250 2.1.5 Recipient OK"
ACCEPTED = "250 2.0.0 OK"
NO_SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
FIRST_RCPT = "503 5.5.2 Need mail command"
TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"
UNKNOWN = "550 5.1.1 User unknown"
SERVICE_CLOSING = "421 4.3.2 Service not available"


@asynccontextmanager
async def line_to(
    replies: Iterable[str], *, after: int, then: Iterable[str] = ()
) -> AsyncIterator[Pipeline]:
    """Lend a line to a server that reads so many bytes, says all its replies and hangs up.

    What it says `then` answers the next lines, one by one.
    """

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(after)
        writer.write("".join(f"{reply}\r\n" for reply in replies).encode())
        if then:
            await reader.readline()
        for reply in then:
            await reader.readline()
            writer.write(f"{reply}\r\n".encode())
        writer.write_eof()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(speak, HOST) as server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, port)
        pipeline = Pipeline(transport, ProtocolLog())
        transport.set_protocol(pipeline)
        try:
            yield pipeline
        finally:
            pipeline.close()


def transaction_over(
    pipeline: Pipeline,
    fake_server: FakeServer,
    *recipients: str,
    content: bytes = CONTENT,
    extensions: dict[str, str] = PIPELINING,
) -> Transaction:
    """Return a transaction, in round trips where the server has the extensions for them."""
    account = account_on(fake_server, timeout=LONG)
    return Transaction(pipeline, account, extensions, envelope_to(*recipients), Content.of(content))


async def submit(
    fake_server: FakeServer, *replies: str, content: bytes = CONTENT, after: int = 1
) -> Outcome:
    """Submit a message to two recipients on a line that ends after the replies."""
    async with line_to(replies, after=after) as pipeline:
        transaction = transaction_over(pipeline, fake_server, ANNA, BERT, content=content)
        return await transaction.run(reset=False)


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
async def test_a_refused_sender(fake_server: FakeServer, end: list[str]) -> None:
    """The first reason is told, whatever follows of it."""
    with pytest.raises(SubmissionError) as caught:
        await submit(fake_server, NO_SENDER, *end)
    assert caught.value.fault.problem is Problem.SENDER_NOT_ALLOWED
    assert caught.value.fault.kind is Kind.MESSAGE


@pytest.mark.parametrize(
    "end", [[], [SERVICE_CLOSING], ["354 Start mail input"], ["hello?"]], ids=str
)
async def test_refused_recipients(fake_server: FakeServer, end: list[str]) -> None:
    """Nobody gets it, and each reason is told."""
    outcome = await submit(fake_server, TAKEN, UNKNOWN, UNKNOWN, *end)
    assert outcome.accepted == ()
    assert list(outcome.refused) == [ANNA, BERT]


@pytest.mark.parametrize("end", [[], [SERVICE_CLOSING]], ids=len)
async def test_some_refused_recipients(fake_server: FakeServer, end: list[str]) -> None:
    """They are settled, and whoever was not heard of, or not for good, is left for another try."""
    outcome = await submit(fake_server, TAKEN, UNKNOWN, *end)
    assert (outcome.accepted, outcome.left, outcome.lost) == ((), (BERT,), None)
    assert list(outcome.refused) == [ANNA]
    outcome = await submit(fake_server, TAKEN, TAKEN_TO, UNKNOWN, SERVICE_CLOSING)
    assert (outcome.left, outcome.lost) == ((ANNA,), None)


@pytest.mark.parametrize("busy", ["451 4.7.500 Server busy", "452 4.5.3 Too many recipients"])
async def test_what_a_recipient_hears_of_the_server_settles_nothing(
    fake_server: FakeServer, busy: str
) -> None:
    """The end of the line is told as what it is."""
    with pytest.raises(SubmissionError, match=SERVICE_CLOSING):
        await submit(fake_server, TAKEN, busy, SERVICE_CLOSING)


async def test_a_refused_recipient_and_a_lost_answer(fake_server: FakeServer) -> None:
    """Only the other one may have got the message."""
    outcome = await submit(fake_server, TAKEN, UNKNOWN, TAKEN_TO)
    assert (outcome.accepted, outcome.left) == ((), (BERT,))
    assert outcome.lost
    assert outcome.lost.problem is Problem.ANSWER_LOST
    assert outcome.obstacle is outcome.lost


@pytest.mark.parametrize("after", [1, PIECE, 2 * PIECE])
async def test_refused_content(fake_server: FakeServer, after: int) -> None:
    """It is refused for good, and not the line's fault, where the server leaves in the middle."""
    with pytest.raises(SubmissionError) as caught:
        await submit(
            fake_server, TAKEN, TAKEN, TAKEN, TOO_LARGE, content=b"x" * 8 * PIECE, after=after
        )
    assert caught.value.fault.problem is Problem.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("after", [1, 2 * PIECE])
async def test_a_service_closing_explains_a_broken_line(
    fake_server: FakeServer, after: int
) -> None:
    """It is the last that was heard, though more was to be said."""
    with pytest.raises(SubmissionError) as caught:
        await submit(fake_server, TAKEN, SERVICE_CLOSING, content=b"x" * 8 * PIECE, after=after)
    assert caught.value.fault.code == 421
    assert caught.value.fault.kind is Kind.TRANSIENT


@pytest.mark.parametrize("end", [[], [SERVICE_CLOSING], [ACCEPTED], [UNKNOWN]], ids=str)
async def test_accepted_before_the_line_breaks(fake_server: FakeServer, end: list[str]) -> None:
    """It is not sent again, and the line is used for no other message."""
    async with line_to([TAKEN, TAKEN, UNKNOWN, ACCEPTED, *end], after=1) as pipeline:
        outcome = await transaction_over(pipeline, fake_server, ANNA, BERT).run(reset=False)
        await until(lambda: not pipeline.is_synchronized)
    assert outcome.accepted == (ANNA,)


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        (["500 5.3.3 Unrecognized command", TAKEN, TAKEN], Problem.UNEXPECTED_REPLY),
        (["354 Start mail input", TAKEN, TAKEN, TAKEN], Problem.UNEXPECTED_REPLY),
        ([TAKEN, "354 Start mail input", TAKEN, TAKEN, TAKEN], Problem.UNEXPECTED_REPLY),
        ([TAKEN, TAKEN, UNKNOWN, "354 Start mail input", TAKEN], Problem.UNEXPECTED_REPLY),
        ([TAKEN, TAKEN, UNKNOWN, "hello?"], Problem.UNEXPECTED_REPLY),
        ([TAKEN, TAKEN, TAKEN, UNKNOWN, "hello?"], Problem.ANSWER_LOST),
        ([TAKEN, TAKEN, TAKEN, UNKNOWN, TAKEN_TO], Problem.ANSWER_LOST),
        ([TAKEN, TAKEN, TAKEN, TAKEN, TAKEN_TO], Problem.ANSWER_LOST),
        ([TAKEN, TAKEN, TAKEN, TAKEN, TAKEN_TO, ACCEPTED], Problem.ANSWER_LOST),
    ],
    ids=str,
)
async def test_what_is_no_answer_to_the_command(
    fake_server: FakeServer, replies: list[str], problem: Problem
) -> None:
    """It is an answer to another one, and so may be every answer after it: none is believed."""
    async with line_to(replies, after=1) as pipeline:
        transaction = transaction_over(pipeline, fake_server, ANNA, BERT)
        with pytest.raises(SubmissionError) as caught:
            await transaction.run(reset=True)
        assert caught.value.fault.problem is problem
        assert not pipeline.is_synchronized


async def test_a_server_that_says_the_same_to_everything(fake_server: FakeServer) -> None:
    """It is believed where nothing was said in advance, which is so at the second try."""
    session = await Session.open(account_on(fake_server))
    fake_server.script = Script(replies={Step.FINAL: "250 2.1.0 OK"})
    with pytest.raises(SubmissionError, match=Problem.ANSWER_LOST):
        await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await session.submit(envelope_to(ANNA), Content.of(CONTENT), lockstep=True)
    assert outcome.accepted == (ANNA,)


async def test_an_answer_before_the_question(fake_server: FakeServer) -> None:
    """One by one, what comes before anything is asked for answers nothing."""
    async with line_to([TAKEN, TAKEN_TO, ACCEPTED], after=1) as pipeline:
        transaction = transaction_over(pipeline, fake_server, ANNA, BERT, extensions={})
        with pytest.raises(SubmissionError, match=Problem.UNEXPECTED_REPLY):
            await transaction.run(reset=False)


async def test_nothing_is_sent_for_nobody(fake_server: FakeServer) -> None:
    """Whoever cannot even be named is refused without a word to the server."""
    async with line_to([], after=1) as pipeline:
        outcome = await transaction_over(pipeline, fake_server, "no\nbody").run(reset=False)
        assert pipeline.is_synchronized
    assert list(outcome.refused) == ["no\nbody"]


async def test_a_line_that_was_cut(fake_server: FakeServer) -> None:
    """Nothing can be said on it any more, not even before the system has noticed."""
    async with line_to([], after=1) as pipeline:
        pipeline.close()
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await transaction_over(pipeline, fake_server, ANNA, extensions={}).run(reset=False)


async def test_a_line_that_breaks_before_it_is_taken_over(fake_server: FakeServer) -> None:
    """It is the connection that is lost."""
    account = account_on(fake_server)
    client = await connect(account.server, account.tls_context, account.timeout, Watch())
    assert client.transport
    client.transport.close()
    with pytest.raises(ConnectionError):
        Pipeline.take_over(client)
