"""What a server has decided in the middle of a flight holds, however the line ends afterwards."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from custom_components.outlook_smtp.smtp.connection import Watch, connect
from custom_components.outlook_smtp.smtp.content import PIECE, Content
from custom_components.outlook_smtp.smtp.dialogue import Dialogue
from custom_components.outlook_smtp.smtp.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.submission import Outcome
from custom_components.outlook_smtp.smtp.transaction import Transaction
from custom_components.outlook_smtp.smtp.wire import Wire
from tests.conftest import until
from tests.standin import Script, StandIn, Step

from .helpers import ANNA, BERT, CONTENT, HOST, LONG, account_on, envelope_to

FLIGHTS = {"pipelining": "", "chunking": ""}
TAKEN = "250 2.1.0 OK"
TAKEN_TO = "250 2.1.5 Recipient OK"
ACCEPTED = "250 2.0.0 OK"
NO_SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
FIRST_RCPT = "503 5.5.2 Need mail command"
TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"
UNKNOWN = "550 5.1.1 User unknown"
FAREWELL = "421 4.3.2 Service not available"


@asynccontextmanager
async def line_to(
    replies: Iterable[str], *, after: int, then: Iterable[str] = ()
) -> AsyncIterator[Wire]:
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
        wire = Wire(transport, Dialogue())
        transport.set_protocol(wire)
        try:
            yield wire
        finally:
            wire.close()


def transaction_over(
    wire: Wire,
    standin: StandIn,
    *recipients: str,
    content: bytes = CONTENT,
    extensions: dict[str, str] = FLIGHTS,
) -> Transaction:
    """Return a transaction, in flights where the server has the extensions for them."""
    account = account_on(standin, timeout=LONG)
    return Transaction(wire, account, extensions, envelope_to(*recipients), Content.of(content))


async def hand_in(
    standin: StandIn, *replies: str, content: bytes = CONTENT, after: int = 1
) -> Outcome:
    """Submit a message to two recipients on a line that ends after the replies."""
    async with line_to(replies, after=after) as wire:
        transaction = transaction_over(wire, standin, ANNA, BERT, content=content)
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
async def test_a_refused_sender(standin: StandIn, end: list[str]) -> None:
    """The first reason is told, whatever follows of it."""
    with pytest.raises(SubmissionError) as caught:
        await hand_in(standin, NO_SENDER, *end)
    assert caught.value.fault.problem is Problem.SENDER_NOT_ALLOWED
    assert caught.value.fault.kind is Kind.MESSAGE


@pytest.mark.parametrize("end", [[], [FAREWELL], ["354 Start mail input"], ["hello?"]], ids=str)
async def test_refused_recipients(standin: StandIn, end: list[str]) -> None:
    """Nobody gets it, and each reason is told."""
    outcome = await hand_in(standin, TAKEN, UNKNOWN, UNKNOWN, *end)
    assert outcome.accepted == ()
    assert [refusal.recipient for refusal in outcome.refused] == [ANNA, BERT]


@pytest.mark.parametrize("end", [[], [FAREWELL]], ids=len)
async def test_some_refused_recipients(standin: StandIn, end: list[str]) -> None:
    """They are settled, and whoever was not heard of, or not for good, is left for another try."""
    outcome = await hand_in(standin, TAKEN, UNKNOWN, *end)
    assert (outcome.accepted, outcome.left, outcome.lost) == ((), (BERT,), None)
    assert [refusal.recipient for refusal in outcome.refused] == [ANNA]
    outcome = await hand_in(standin, TAKEN, TAKEN_TO, UNKNOWN, FAREWELL)
    assert (outcome.left, outcome.lost) == ((ANNA,), None)


@pytest.mark.parametrize("busy", ["451 4.7.500 Server busy", "452 4.5.3 Too many recipients"])
async def test_what_a_recipient_hears_of_the_server_settles_nothing(
    standin: StandIn, busy: str
) -> None:
    """The end of the line is told as what it is."""
    with pytest.raises(SubmissionError, match=FAREWELL):
        await hand_in(standin, TAKEN, busy, FAREWELL)


async def test_a_refused_recipient_and_a_lost_answer(standin: StandIn) -> None:
    """Only the other one may have got the message."""
    outcome = await hand_in(standin, TAKEN, UNKNOWN, TAKEN_TO)
    assert (outcome.accepted, outcome.left) == ((), (BERT,))
    assert outcome.lost
    assert outcome.lost.problem is Problem.ANSWER_LOST
    assert outcome.obstacle is outcome.lost


@pytest.mark.parametrize("after", [1, PIECE, 2 * PIECE])
async def test_refused_content(standin: StandIn, after: int) -> None:
    """It is refused for good, and not the line's fault, where the server leaves in the middle."""
    with pytest.raises(SubmissionError) as caught:
        await hand_in(
            standin, TAKEN, TAKEN, TAKEN, TOO_LARGE, content=b"x" * 8 * PIECE, after=after
        )
    assert caught.value.fault.problem is Problem.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("after", [1, 2 * PIECE])
async def test_a_farewell_explains_a_broken_line(standin: StandIn, after: int) -> None:
    """It is the last that was heard, though more was to be said."""
    with pytest.raises(SubmissionError) as caught:
        await hand_in(standin, TAKEN, FAREWELL, content=b"x" * 8 * PIECE, after=after)
    assert caught.value.fault.code == 421
    assert caught.value.fault.kind is Kind.TRANSIENT


@pytest.mark.parametrize("end", [[], [FAREWELL], [ACCEPTED], [UNKNOWN]], ids=str)
async def test_accepted_before_the_line_breaks(standin: StandIn, end: list[str]) -> None:
    """It is not sent again, and the line is used for no other message."""
    async with line_to([TAKEN, TAKEN, UNKNOWN, ACCEPTED, *end], after=1) as wire:
        outcome = await transaction_over(wire, standin, ANNA, BERT).run(reset=False)
        await until(lambda: not wire.is_in_step)
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
    standin: StandIn, replies: list[str], problem: Problem
) -> None:
    """It is an answer to another one, and so may be every answer after it: none is believed."""
    async with line_to(replies, after=1) as wire:
        transaction = transaction_over(wire, standin, ANNA, BERT)
        with pytest.raises(SubmissionError) as caught:
            await transaction.run(reset=True)
        assert caught.value.fault.problem is problem
        assert not wire.is_in_step


async def test_a_server_that_says_the_same_to_everything(standin: StandIn) -> None:
    """It is believed where nothing was said in advance, which is so at the second try."""
    session = await Session.open(account_on(standin))
    standin.script = Script(replies={Step.FINAL: "250 2.1.0 OK"})
    with pytest.raises(SubmissionError, match=Problem.ANSWER_LOST):
        await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    async with await Session.open(account_on(standin)) as session:
        outcome = await session.submit(envelope_to(ANNA), Content.of(CONTENT), careful=True)
    assert outcome.accepted == (ANNA,)


async def test_an_answer_before_the_question(standin: StandIn) -> None:
    """One by one, what comes before anything is asked for answers nothing."""
    async with line_to([TAKEN, TAKEN_TO, ACCEPTED], after=1) as wire:
        transaction = transaction_over(wire, standin, ANNA, BERT, extensions={})
        with pytest.raises(SubmissionError, match=Problem.UNEXPECTED_REPLY):
            await transaction.run(reset=False)


async def test_nothing_is_sent_for_nobody(standin: StandIn) -> None:
    """Whoever cannot even be named is refused without a word to the server."""
    async with line_to([], after=1) as wire:
        outcome = await transaction_over(wire, standin, "no\nbody").run(reset=False)
        assert wire.is_in_step
    assert [refusal.recipient for refusal in outcome.refused] == ["no\nbody"]


async def test_a_line_that_was_cut(standin: StandIn) -> None:
    """Nothing can be said on it any more, not even before the system has noticed."""
    async with line_to([], after=1) as wire:
        wire.close()
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await transaction_over(wire, standin, ANNA, extensions={}).run(reset=False)


async def test_a_line_that_breaks_before_it_is_taken_over(standin: StandIn) -> None:
    """It is the connection that is lost."""
    account = account_on(standin)
    client = await connect(account.server, account.tls_context, account.timeout, Watch())
    assert client.transport
    client.transport.close()
    with pytest.raises(ConnectionError):
        Wire.take_over(client)
