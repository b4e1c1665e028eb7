"""A message is submitted to everybody who can get it, and its fate is told as it is."""

import asyncio
from io import BytesIO
import re
from typing import Any

import pytest

from custom_components.outlook_smtp.smtp import session as session_module
from custom_components.outlook_smtp.smtp.account import Account
from custom_components.outlook_smtp.smtp.content import PIECE, Content
from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.sasl import SignIn
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.submission import Outcome
from custom_components.outlook_smtp.smtp.wire import Wire
from tests.conftest import ADDRESS
from tests.standin import Script, StandIn, Step

from .helpers import (
    ANNA,
    BERT,
    CARL,
    CONTENT,
    SHORT,
    UNKNOWN,
    account_on,
    commands,
    envelope_to,
    grow_impatient,
    nothing_left_open,
    probe_fault,
    send,
    send_fault,
)

WAYS = {
    "chunking": (),
    "pipelining": ("CHUNKING",),
    "chunking_one_by_one": ("PIPELINING",),
    "one_by_one": ("CHUNKING", "PIPELINING"),
}
LIMIT = "452 4.5.3 Too many recipients"


@pytest.fixture(autouse=True, params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the server offer more or less, whatever its script: the outcome is the same."""
    extends = Script.extends
    without = WAYS[request.param]
    monkeypatch.setattr(
        Script,
        "extends",
        lambda script, keyword: keyword not in without and extends(script, keyword),
    )
    return str(request.param)


def problems(outcome: Outcome) -> dict[str, Problem]:
    """Return why each recipient was refused."""
    return {refusal.recipient: refusal.fault.problem for refusal in outcome.refused}


async def test_accepted(standin: StandIn) -> None:
    """The outcome names everybody, the server's words and the Message-ID that it gave."""
    outcome = await send(standin, ANNA, BERT)
    (mail,) = standin.received
    assert (mail.sender, mail.recipients, mail.content) == (ADDRESS, (ANNA, BERT), CONTENT)
    assert outcome.accepted == (ANNA, BERT)
    assert outcome.refused == ()
    assert outcome.message_id == mail.message_id_given
    assert re.fullmatch(r"2\.0\.0 OK <\S+>", outcome.reply)


async def test_no_message_id_given(standin: StandIn) -> None:
    """Other servers give no Message-ID."""
    standin.script = Script(replies={Step.FINAL: "250 2.0.0 Queued as <4711>"})
    assert (await send(standin)).message_id is None


async def test_the_conversation(standin: StandIn, way: str) -> None:
    """The size is told in advance, one sign-in serves all messages, and leave is taken."""
    async with await Session.open(account_on(standin)) as session:
        await session.submit(envelope_to(ANNA), Content.of(CONTENT))
        await session.submit(envelope_to(BERT), Content.of(CONTENT))
    await nothing_left_open(standin)
    said = commands(standin)
    transfer = f"BDAT {len(CONTENT)} LAST" if "chunking" in way else "DATA"
    assert said[said.index("STARTTLS") :] == [
        "STARTTLS",
        "EHLO [127.0.0.1]",
        "AUTH LOGIN ***",
        "***",
        f"MAIL FROM:<{ADDRESS}> SIZE={len(CONTENT)} BODY=8BITMIME",
        f"RCPT TO:<{ANNA}>",
        transfer,
        f"({len(CONTENT)} bytes of content)",
        f"MAIL FROM:<{ADDRESS}> SIZE={len(CONTENT)} BODY=8BITMIME",
        f"RCPT TO:<{BERT}>",
        transfer,
        f"({len(CONTENT)} bytes of content)",
        "QUIT",
    ]


async def test_flights(standin: StandIn, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more answers are awaited than the server's extensions ask for."""
    flights: list[tuple[bytes, ...]] = []
    say = Wire.say

    def note(wire: Wire, *lines: bytes, content: bytes = b"") -> None:
        flights.append(tuple(line.partition(b" ")[0] for line in lines))
        say(wire, *lines, content=content)

    async with await Session.open(account_on(standin)) as session:
        monkeypatch.setattr(Wire, "say", note)
        await session.submit(envelope_to(ANNA, BERT), Content.of(CONTENT))
    assert (
        flights
        == {
            "chunking": [(b"MAIL", b"RCPT", b"RCPT", b"BDAT"), (b"QUIT",)],
            "pipelining": [(b"MAIL", b"RCPT", b"RCPT", b"DATA"), (b"QUIT",)],
            "chunking_one_by_one": [(b"MAIL",), (b"RCPT",), (b"RCPT",), (b"BDAT",), (b"QUIT",)],
            "one_by_one": [(b"MAIL",), (b"RCPT",), (b"RCPT",), (b"DATA",), (b"QUIT",)],
        }[way]
    )


@pytest.mark.parametrize(
    "more",
    [b".\r\n..\r\n.end\r\n.\r\n", b"y" * (3 * PIECE) + b"\r\n"],
    ids=["dots", "pieces"],
)
async def test_content_arrives_as_it_is(standin: StandIn, more: bytes) -> None:
    """A line of a single dot does not end the message, however long that is."""
    async with await Session.open(account_on(standin)) as session:
        await session.submit(envelope_to(ANNA), Content.of(CONTENT + more))
    assert standin.received[0].content == CONTENT + more


@pytest.mark.parametrize("after_cut", range(-1, 4))
async def test_a_dot_beside_a_cut(standin: StandIn, after_cut: int) -> None:
    """A dot begins a line wherever that is cut: behind it, before it, in or before its line end."""
    place = PIECE + after_cut
    content = CONTENT.ljust(place - 2, b"x") + b"\r\n.\r\n"
    assert content.index(b"\r\n.\r\n", len(CONTENT)) + 2 == place
    async with await Session.open(account_on(standin)) as session:
        await session.submit(envelope_to(ANNA), Content.of(content))
        await session.submit(envelope_to(BERT), Content.of(CONTENT))
    assert [mail.content for mail in standin.received] == [content, CONTENT]


async def test_a_last_line_without_an_end(standin: StandIn, way: str) -> None:
    """By DATA the last line gets the end that it needs; by BDAT all stays as it is."""
    async with await Session.open(account_on(standin)) as session:
        await session.submit(envelope_to(ANNA), Content.of(CONTENT + b"no end"))
    end = b"no end" if "chunking" in way else b"no end\r\n"
    assert standin.received[0].content == CONTENT + end


async def test_what_is_refused_is_not_sent_to_its_end(standin: StandIn, way: str) -> None:
    """A large message to nobody is broken off, and the session is good for the next one."""
    standin.script = Script(refuse_recipients={ANNA: UNKNOWN})
    content = CONTENT + b"z" * (40 * PIECE) + b"\r\n"
    async with await Session.open(account_on(standin)) as session:
        outcome = await session.submit(envelope_to(ANNA), Content.of(content))
        assert problems(outcome) == {ANNA: Problem.RECIPIENT_REFUSED}
        assert (await session.submit(envelope_to(BERT), Content.of(CONTENT))).accepted == (BERT,)
    said = commands(standin)
    assert sum(line.startswith("BDAT") for line in said) < 40
    if "chunking" not in way:
        asked = ["DATA"] if way == "pipelining" else []
        assert [line[:4] for line in said[said.index("***") + 1 :]] == (
            ["MAIL", "RCPT", *asked, "RSET", "MAIL", "RCPT", "DATA", f"({len(CONTENT)} ", "QUIT"]
        )
    assert [mail.recipients for mail in standin.received] == [(BERT,)]


async def test_content_that_cannot_be_read(standin: StandIn) -> None:
    """A file that ends too early is no fault of the server, and half a message is none."""
    content = Content(BytesIO(CONTENT), len(CONTENT) + PIECE)
    async with await Session.open(account_on(standin)) as session:
        with pytest.raises(OSError, match="shorter"):
            await session.submit(envelope_to(ANNA), content)
    await nothing_left_open(standin)
    assert standin.received == []


@pytest.mark.parametrize(
    ("extensions", "limit"),
    [
        (("SIZE 36700160",), 36700160),
        (("SIZE 0",), None),
        (("SIZE ²",), None),
        (("SIZE",), None),
        ((), None),
    ],
)
async def test_size_limit(standin: StandIn, extensions: tuple[str, ...], limit: int | None) -> None:
    """The server's size limit is known where it tells one, and the size is told where it asks."""
    lines = ("250-x Hello", *(f"250-{line}" for line in extensions), "250 AUTH LOGIN")
    standin.script = Script(replies={Step.EHLO_TLS: "\n".join(lines)})
    async with await Session.open(account_on(standin)) as session:
        assert session.server_info.size_limit == limit
        await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert any(f"> SIZE={len(CONTENT)}" in line for line in commands(standin)) is bool(extensions)


async def test_too_large(standin: StandIn) -> None:
    """A message over the limit is refused before it is transferred."""
    standin.script = Script(size=10)
    fault = await send_fault(standin)
    assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE)
    assert standin.received == []


async def test_addresses_beyond_ascii(standin: StandIn) -> None:
    """Addresses in other scripts travel as UTF-8 where the server knows how."""
    async with await Session.open(account_on(standin)) as session:
        outcome = await session.submit(
            envelope_to("änne@example.com", utf8=True), Content.of(CONTENT)
        )
    assert outcome.accepted == standin.received[0].recipients == ("änne@example.com",)
    assert any(line.endswith(" BODY=8BITMIME SMTPUTF8") for line in commands(standin))


async def test_addresses_beyond_ascii_not_supported(standin: StandIn) -> None:
    """Where the server does not know how, the message fails before anything is said."""
    standin.script = Script(replies={Step.EHLO_TLS: "250-x Hello\n250 AUTH LOGIN"})
    async with await Session.open(account_on(standin)) as session:
        with pytest.raises(SubmissionError) as caught:
            await session.submit(envelope_to("änne@example.com", utf8=True), Content.of(CONTENT))
    assert caught.value.fault == Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
    assert "MAIL" not in " ".join(commands(standin))


async def test_support_is_not_forgotten(standin: StandIn) -> None:
    """A lost connection is not mistaken for a server without UTF-8."""
    async with await Session.open(account_on(standin)) as session:
        await session.close()
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await session.submit(envelope_to("änne@example.com", utf8=True), Content.of(CONTENT))


@pytest.mark.parametrize(
    "address", ["änne@example.com", "a@example.com>\r\nRCPT TO:<b@example.com", "a b@example.com"]
)
async def test_unspeakable_addresses(standin: StandIn, address: str) -> None:
    """An address that cannot be said is refused here, and reaches the server in no part."""
    outcome = await send(standin, address, BERT)
    assert outcome.accepted == standin.received[0].recipients == (BERT,)
    assert problems(outcome) == {address: Problem.RECIPIENT_REFUSED}
    async with await Session.open(account_on(standin)) as session:
        with pytest.raises(SubmissionError) as caught:
            await session.submit(envelope_to(ANNA, sender=address), Content.of(CONTENT))
        assert caught.value.fault == Fault(Kind.MESSAGE, Problem.MESSAGE_REFUSED)
        assert (await session.submit(envelope_to(ANNA), Content.of(CONTENT))).accepted == (ANNA,)


async def test_partial_refusal(standin: StandIn) -> None:
    """A bad recipient does not keep the message from the others."""
    standin.script = Script(refuse_recipients={BERT: UNKNOWN})
    outcome = await send(standin, ANNA, BERT, CARL)
    assert outcome.accepted == standin.received[0].recipients == (ANNA, CARL)
    (refusal,) = outcome.refused
    assert (refusal.recipient, refusal.fault.reply) == (BERT, UNKNOWN)


async def test_all_refused(standin: StandIn) -> None:
    """Nothing is transferred for nobody, and the connection is good for the next message."""
    standin.script = Script(refuse_recipients={ANNA: UNKNOWN, BERT: "451 4.7.500 Server busy."})
    async with await Session.open(account_on(standin)) as session:
        outcome = await session.submit(envelope_to(ANNA, BERT), Content.of(CONTENT))
        assert outcome.accepted == ()
        assert problems(outcome) == {
            ANNA: Problem.RECIPIENT_REFUSED,
            BERT: Problem.SERVER_BUSY,
        }
        assert (await session.submit(envelope_to(CARL), Content.of(CONTENT))).accepted == (CARL,)
    assert [mail.recipients for mail in standin.received] == [(CARL,)]


@pytest.mark.parametrize("step", [Step.MAIL, Step.DATA, Step.FINAL])
async def test_the_next_message_starts_anew(standin: StandIn, step: Step) -> None:
    """A refused message leaves nothing behind that would spoil the next one."""
    standin.script = Script(replies={step: "554 5.6.0 Not this one"}, times=1)
    async with await Session.open(account_on(standin)) as session:
        with pytest.raises(SubmissionError, match="Not this one"):
            await session.submit(envelope_to(ANNA), Content.of(CONTENT))
        assert (await session.submit(envelope_to(BERT), Content.of(CONTENT))).accepted == (BERT,)
    assert [mail.recipients for mail in standin.received] == [(BERT,)]


async def test_too_many_recipients_at_once(standin: StandIn) -> None:
    """Recipients over the server's limit are left for a transaction of their own."""
    standin.script = Script(limit_recipients=2, refuse_recipients={BERT: UNKNOWN})
    outcome = await send(standin, ANNA, BERT, CARL, "d@x.org", "e@x.org")
    assert outcome.accepted == standin.received[0].recipients == (ANNA, CARL)
    assert problems(outcome) == {BERT: Problem.RECIPIENT_REFUSED}
    assert outcome.left == ("d@x.org", "e@x.org")


async def test_one_recipient_too_many(standin: StandIn) -> None:
    """A recipient who is too many even alone is refused for now."""
    standin.script = Script(refuse_recipients={ANNA: LIMIT})
    outcome = await send(standin, ANNA)
    assert (outcome.accepted, outcome.left) == ((), ())
    assert [refusal.fault.kind for refusal in outcome.refused] == [Kind.TRANSIENT]


async def test_the_account_is_refused_as_a_recipient(standin: StandIn) -> None:
    """A refusal of the account is no refusal of the recipient whom it answers."""
    standin.script = Script(refuse_recipients={ANNA: UNKNOWN, BERT: "550 5.1.90 daily limit"})
    fault = await send_fault(standin, ANNA, BERT)
    assert (fault.kind, fault.problem) == (Kind.QUOTA, Problem.DAILY_LIMIT)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step.MAIL, Problem.CONNECTION_LOST),
        (Step.RCPT, Problem.CONNECTION_LOST),
        (Step.DATA, Problem.ANSWER_LOST),
        (Step.CONTENT, Problem.ANSWER_LOST),
        (Step.FINAL, Problem.ANSWER_LOST),
    ],
)
async def test_dropped(
    standin: StandIn, step: Step, problem: Problem, reset: bool, way: str
) -> None:
    """Once all is sent nobody can tell whether the message has arrived."""
    standin.script = Script(drop=step, reset=reset)
    fault = await send_fault(standin)
    if step is Step.DATA and "chunking" not in way:
        problem = Problem.CONNECTION_LOST
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, problem)
    assert standin.received == []


@pytest.mark.parametrize("spoil", [{"drop": Step.FINAL}, {"stall": Step.FINAL}], ids=str)
async def test_arrived_without_an_answer(standin: StandIn, spoil: dict[str, Any]) -> None:
    """An answer that is lost may be one of acceptance."""
    standin.script = Script(keep=True, **spoil)
    fault = await send_fault(standin, final_timeout=SHORT)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.ANSWER_LOST)
    assert len(standin.received) == 1


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT])
async def test_silence(standin: StandIn, step: Step) -> None:
    """A server that falls silent is given up."""
    standin.script = Script(stall=step)
    async with await Session.open(account_on(standin)) as session:
        grow_impatient(session)
        with pytest.raises(SubmissionError) as caught:
            await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    fault = caught.value.fault
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.TIMEOUT)
    await nothing_left_open(standin)


@pytest.mark.parametrize("step", [Step.MAIL, Step.FINAL])
async def test_cancelled(standin: StandIn, step: Step) -> None:
    """After a submission was given up half-way, its late answer cannot be taken for another's."""
    standin.script = Script(stall=step)
    async with await Session.open(account_on(standin)) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await session.submit(envelope_to(ANNA), Content.of(CONTENT))
        await nothing_left_open(standin)
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await session.submit(envelope_to(BERT), Content.of(CONTENT))


@pytest.mark.parametrize("farewell", [None, "421 4.4.2 Connection dropped due to SocketError"])
async def test_hung_up_on_while_idle(standin: StandIn, farewell: str | None) -> None:
    """A session that the server closed in the meantime says so and can still be closed."""
    async with await Session.open(account_on(standin)) as session:
        await asyncio.to_thread(standin.hang_up, farewell)
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    await nothing_left_open(standin)


@pytest.mark.parametrize(
    "script",
    [
        Script(drop=Step.QUIT),
        Script(stall=Step.QUIT),
        Script(replies={Step.QUIT: "500 5.3.3 Unrecognized command"}),
    ],
    ids=["dropped", "silence", "refused"],
)
async def test_no_farewell(
    standin: StandIn, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was accepted stays accepted, whatever the server answers to QUIT."""
    monkeypatch.setattr(session_module, "QUIT_TIMEOUT", SHORT)
    standin.script = script
    assert (await send(standin)).accepted == (ANNA,)
    await nothing_left_open(standin)


async def test_cancelled_while_closing(standin: StandIn) -> None:
    """Closing cannot be given up half-way."""
    standin.script = Script(stall=Step.QUIT)
    session = await Session.open(account_on(standin))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await session.close()
    await nothing_left_open(standin)


async def test_lost_right_after_signing_in(standin: StandIn) -> None:
    """A connection that breaks before the first message is no session."""

    class Unlucky:
        """Credentials whose connection breaks once they were accepted."""

        async def authenticate(self, sign_in: SignIn) -> None:
            """Lose the connection."""
            sign_in._wire.close()

    fault = await probe_fault(standin, credentials=Unlucky())
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.CONNECTION_LOST)


async def test_two_accounts_share_nothing(standin: StandIn) -> None:
    """Each session has a connection of its own."""
    accounts: list[Account] = [account_on(standin), account_on(standin)]
    sessions = await asyncio.gather(*map(Session.open, accounts))
    assert standin.open_connections == 2
    await sessions[0].close()
    assert (await sessions[1].submit(envelope_to(ANNA), Content.of(CONTENT))).accepted == (ANNA,)
    await sessions[1].close()
