"""A message is submitted to all possible recipients, and its fate is reported correctly."""

import asyncio
from io import BytesIO
import re
from typing import Any

import pytest

from custom_components.outlook_smtp.delivery.content import PIECE, Content
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp import session as session_module
from custom_components.outlook_smtp.smtp.pipeline import Pipeline
from custom_components.outlook_smtp.smtp.sasl import SignIn
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.settings import Account
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import (
    ANNA,
    BERT,
    CARL,
    CONTENT,
    SHORT,
    UNKNOWN,
    account_on,
    commands,
    nothing_left_open,
    probe_fault,
    send,
    send_fault,
    shorten_timeouts,
    submit_over,
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
    """Let the server offer more or fewer extensions: the outcome is the same."""
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
    return {name: fault.problem for name, fault in outcome.refused.items()}


async def test_accepted_message_has_a_complete_outcome(fake_server: FakeServer) -> None:
    """The outcome has all recipients, the server's reply and its Message-ID."""
    outcome = await send(fake_server, ANNA, BERT)
    (mail,) = fake_server.received
    assert (mail.sender, mail.recipients, mail.content) == (ADDRESS, (ANNA, BERT), CONTENT)
    assert outcome.accepted == (ANNA, BERT)
    assert outcome.refused == {}
    assert outcome.message_id == mail.message_id_given
    assert re.fullmatch(r"2\.0\.0 OK <\S+>", outcome.reply)


async def test_missing_message_id_is_none(fake_server: FakeServer) -> None:
    """Other servers give no Message-ID."""
    fake_server.script = Script(replies={Step.FINAL: "250 2.0.0 Queued as <4711>"})
    assert (await send(fake_server)).message_id is None


async def test_conversation_is_as_expected(fake_server: FakeServer, way: str) -> None:
    """The size is announced, one sign-in is enough for all messages, and QUIT is sent."""
    async with await Session.open(account_on(fake_server)) as session:
        await submit_over(session, ANNA)
        await submit_over(session, BERT)
    await nothing_left_open(fake_server)
    said = commands(fake_server)
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


async def test_round_trips(
    fake_server: FakeServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more answers are awaited than the server's extensions ask for."""
    round_trips: list[tuple[bytes, ...]] = []
    send_commands = Pipeline.send_commands

    def note(pipeline: Pipeline, *lines: bytes, content: bytes = b"") -> None:
        round_trips.append(tuple(line.partition(b" ")[0] for line in lines))
        send_commands(pipeline, *lines, content=content)

    async with await Session.open(account_on(fake_server)) as session:
        monkeypatch.setattr(Pipeline, "send_commands", note)
        await submit_over(session, ANNA, BERT)
    assert (
        round_trips
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
async def test_content_arrives_unchanged(fake_server: FakeServer, more: bytes) -> None:
    """A line of a single dot does not end the message, however long that is."""
    async with await Session.open(account_on(fake_server)) as session:
        await submit_over(session, ANNA, content=CONTENT + more)
    assert fake_server.received[0].content == CONTENT + more


@pytest.mark.parametrize("after_cut", range(-1, 4))
async def test_dots_at_piece_boundaries_are_doubled(
    fake_server: FakeServer, after_cut: int
) -> None:
    """A dot begins a line wherever the content is cut: around it, or in or before its line end."""
    place = PIECE + after_cut
    content = CONTENT.ljust(place - 2, b"x") + b"\r\n.\r\n"
    assert content.index(b"\r\n.\r\n", len(CONTENT)) + 2 == place
    async with await Session.open(account_on(fake_server)) as session:
        await submit_over(session, ANNA, content=content)
        await submit_over(session, BERT)
    assert [mail.content for mail in fake_server.received] == [content, CONTENT]


async def test_last_line_without_an_end_is_completed(fake_server: FakeServer, way: str) -> None:
    """DATA adds the missing line end; BDAT leaves the content unchanged."""
    async with await Session.open(account_on(fake_server)) as session:
        await submit_over(session, ANNA, content=CONTENT + b"no end")
    end = b"no end" if "chunking" in way else b"no end\r\n"
    assert fake_server.received[0].content == CONTENT + end


async def test_refused_content_is_not_sent_completely(fake_server: FakeServer, way: str) -> None:
    """A large message without recipients is aborted, and the session stays usable."""
    fake_server.script = Script(refuse_recipients={ANNA: UNKNOWN})
    content = CONTENT + b"z" * (40 * PIECE) + b"\r\n"
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, ANNA, content=content)
        assert problems(outcome) == {ANNA: Problem.RECIPIENT_REFUSED}
        assert (await submit_over(session, BERT)).accepted == (BERT,)
    said = commands(fake_server)
    assert sum(line.startswith("BDAT") for line in said) < 40
    if "chunking" not in way:
        asked = ["DATA"] if way == "pipelining" else []
        assert [line[:4] for line in said[said.index("***") + 1 :]] == (
            ["MAIL", "RCPT", *asked, "RSET", "MAIL", "RCPT", "DATA", f"({len(CONTENT)} ", "QUIT"]
        )
    assert [mail.recipients for mail in fake_server.received] == [(BERT,)]


async def test_truncated_content_is_not_sent(fake_server: FakeServer) -> None:
    """A truncated file is not the server's fault, and half a message is not sent."""
    content = Content(BytesIO(CONTENT), len(CONTENT) + PIECE)
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(OSError, match="shorter"):
            await submit_over(session, ANNA, content=content)
    await nothing_left_open(fake_server)
    assert fake_server.received == []


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
async def test_size_limit_is_known(
    fake_server: FakeServer, extensions: tuple[str, ...], limit: int | None
) -> None:
    """The server's size limit is known if it is announced, and the size is sent if it is."""
    lines = ("250-x Hello", *(f"250-{line}" for line in extensions), "250 AUTH LOGIN")
    fake_server.script = Script(replies={Step.EHLO_TLS: "\n".join(lines)})
    async with await Session.open(account_on(fake_server)) as session:
        assert session.server_info.size_limit == limit
        await submit_over(session, ANNA)
    assert any(f"> SIZE={len(CONTENT)}" in line for line in commands(fake_server)) is bool(
        extensions
    )


async def test_oversized_message_is_rejected(fake_server: FakeServer) -> None:
    """A message over the limit is rejected before it is transferred."""
    fake_server.script = Script(size=10)
    fault = await send_fault(fake_server)
    assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE)
    assert fake_server.received == []


async def test_non_ascii_addresses_are_sent(fake_server: FakeServer) -> None:
    """Non-ASCII addresses are sent as UTF-8 if the server supports it."""
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, "änne@example.com", utf8=True)
    assert outcome.accepted == fake_server.received[0].recipients == ("änne@example.com",)
    assert any(line.endswith(" BODY=8BITMIME SMTPUTF8") for line in commands(fake_server))


async def test_non_ascii_addresses_need_smtputf8(fake_server: FakeServer) -> None:
    """Otherwise, the message fails before anything is sent."""
    fake_server.script = Script(replies={Step.EHLO_TLS: "250-x Hello\n250 AUTH LOGIN"})
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, "änne@example.com", utf8=True)
    assert caught.value.fault == Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
    assert "MAIL" not in " ".join(commands(fake_server))


async def test_lost_connection_does_not_drop_an_extension(fake_server: FakeServer) -> None:
    """A lost connection is not mistaken for a server without UTF-8."""
    async with await Session.open(account_on(fake_server)) as session:
        await session.close()
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await submit_over(session, "änne@example.com", utf8=True)


@pytest.mark.parametrize(
    "address", ["änne@example.com", "a@example.com>\r\nRCPT TO:<b@example.com", "a b@example.com"]
)
async def test_unusable_addresses_are_rejected(fake_server: FakeServer, address: str) -> None:
    """An address that does not fit a command is rejected here, and no part of it is sent."""
    outcome = await send(fake_server, address, BERT)
    assert outcome.accepted == fake_server.received[0].recipients == (BERT,)
    assert problems(outcome) == {address: Problem.RECIPIENT_REFUSED}
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA, sender=address)
        assert caught.value.fault == Fault(Kind.MESSAGE, Problem.MESSAGE_REFUSED)
        assert (await submit_over(session, ANNA)).accepted == (ANNA,)


async def test_refused_recipient_does_not_affect_others(fake_server: FakeServer) -> None:
    """The other recipients get the message."""
    fake_server.script = Script(refuse_recipients={BERT: UNKNOWN})
    outcome = await send(fake_server, ANNA, BERT, CARL)
    assert outcome.accepted == fake_server.received[0].recipients == (ANNA, CARL)
    assert {name: fault.reply for name, fault in outcome.refused.items()} == {BERT: UNKNOWN}


async def test_message_refused_for_all_is_not_transferred(fake_server: FakeServer) -> None:
    """Nothing is transferred, and the connection stays usable for the next message."""
    fake_server.script = Script(refuse_recipients={ANNA: UNKNOWN, BERT: "451 4.7.500 Server busy."})
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, ANNA, BERT)
        assert outcome.accepted == ()
        assert problems(outcome) == {
            ANNA: Problem.RECIPIENT_REFUSED,
            BERT: Problem.SERVER_BUSY,
        }
        assert (await submit_over(session, CARL)).accepted == (CARL,)
    assert [mail.recipients for mail in fake_server.received] == [(CARL,)]


@pytest.mark.parametrize("step", [Step.MAIL, Step.DATA, Step.FINAL])
async def test_refused_message_does_not_affect_the_next(
    fake_server: FakeServer, step: Step
) -> None:
    """A refused message leaves nothing behind that affects the next one."""
    fake_server.script = Script(replies={step: "554 5.6.0 Not this one"}, times=1)
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(SubmissionError, match="Not this one"):
            await submit_over(session, ANNA)
        assert (await submit_over(session, BERT)).accepted == (BERT,)
    assert [mail.recipients for mail in fake_server.received] == [(BERT,)]


async def test_excess_recipients_get_a_separate_transaction(fake_server: FakeServer) -> None:
    """Recipients over the server's limit get a separate transaction."""
    fake_server.script = Script(limit_recipients=2, refuse_recipients={BERT: UNKNOWN})
    outcome = await send(fake_server, ANNA, BERT, CARL, "d@x.org", "e@x.org")
    assert outcome.accepted == fake_server.received[0].recipients == (ANNA, CARL)
    assert problems(outcome) == {BERT: Problem.RECIPIENT_REFUSED}
    assert outcome.left == ("d@x.org", "e@x.org")


async def test_refused_single_recipient_is_deferred(fake_server: FakeServer) -> None:
    """A recipient that is too many even alone is deferred."""
    fake_server.script = Script(refuse_recipients={ANNA: LIMIT})
    outcome = await send(fake_server, ANNA)
    assert (outcome.accepted, outcome.left) == ((), ())
    assert [fault.kind for fault in outcome.refused.values()] == [Kind.TRANSIENT]


async def test_refusal_of_the_account_refuses_no_recipient(fake_server: FakeServer) -> None:
    """A refusal of the account is not a refusal of the recipient in whose reply it comes."""
    fake_server.script = Script(refuse_recipients={ANNA: UNKNOWN, BERT: "550 5.1.90 daily limit"})
    fault = await send_fault(fake_server, ANNA, BERT)
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
async def test_disconnect_after_the_content_is_ambiguous(
    fake_server: FakeServer, step: Step, problem: Problem, reset: bool, way: str
) -> None:
    """Once everything is sent, it is unknown whether the message has arrived."""
    fake_server.script = Script(drop=step, reset=reset)
    fault = await send_fault(fake_server)
    if step is Step.DATA and "chunking" not in way:
        problem = Problem.CONNECTION_LOST
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, problem)
    assert fake_server.received == []


@pytest.mark.parametrize("spoil", [{"drop": Step.FINAL}, {"stall": Step.FINAL}], ids=str)
async def test_lost_reply_may_be_positive(fake_server: FakeServer, spoil: dict[str, Any]) -> None:
    """A lost reply may have been positive."""
    fake_server.script = Script(keep=True, **spoil)
    fault = await send_fault(fake_server, final_timeout=SHORT)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.ANSWER_LOST)
    assert len(fake_server.received) == 1


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT])
async def test_silence_is_a_timeout(fake_server: FakeServer, step: Step) -> None:
    """A server that stops responding is given up."""
    fake_server.script = Script(stall=step)
    async with await Session.open(account_on(fake_server)) as session:
        shorten_timeouts(session)
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA)
    fault = caught.value.fault
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.TIMEOUT)
    await nothing_left_open(fake_server)


@pytest.mark.parametrize("step", [Step.MAIL, Step.FINAL])
async def test_reply_to_a_canceled_submission_is_ignored(
    fake_server: FakeServer, step: Step
) -> None:
    """After a canceled submission, its late reply is not matched to another command."""
    fake_server.script = Script(stall=step)
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await submit_over(session, ANNA)
        await nothing_left_open(fake_server)
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await submit_over(session, BERT)


@pytest.mark.parametrize("last_reply", [None, "421 4.4.2 Connection dropped due to SocketError"])
async def test_session_closed_while_idle_reports_it(
    fake_server: FakeServer, last_reply: str | None
) -> None:
    """A session closed by the server in the meantime reports that and can still be closed."""
    async with await Session.open(account_on(fake_server)) as session:
        await asyncio.to_thread(fake_server.hang_up, last_reply)
        with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
            await submit_over(session, ANNA)
    await nothing_left_open(fake_server)


@pytest.mark.parametrize(
    "script",
    [
        Script(drop=Step.QUIT),
        Script(stall=Step.QUIT),
        Script(replies={Step.QUIT: "500 5.3.3 Unrecognized command"}),
    ],
    ids=["dropped", "silence", "refused"],
)
async def test_failed_quit_does_not_affect_a_message(
    fake_server: FakeServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was accepted stays accepted, whatever the reply to QUIT."""
    monkeypatch.setattr(session_module, "QUIT_TIMEOUT", SHORT)
    fake_server.script = script
    assert (await send(fake_server)).accepted == (ANNA,)
    await nothing_left_open(fake_server)


async def test_closing_cannot_be_canceled_halfway(fake_server: FakeServer) -> None:
    """Closing cannot be canceled halfway."""
    fake_server.script = Script(stall=Step.QUIT)
    session = await Session.open(account_on(fake_server))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await session.close()
    await nothing_left_open(fake_server)


async def test_connection_lost_after_the_sign_in_is_a_fault(fake_server: FakeServer) -> None:
    """A connection that breaks before the first message is no session."""

    class LosesConnection:
        """Credentials whose connection breaks once they were accepted."""

        secrets = ()

        async def authenticate(self, sign_in: SignIn) -> None:
            """Lose the connection."""
            sign_in._pipeline.close()

    fault = await probe_fault(fake_server, credentials=LosesConnection())
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.CONNECTION_LOST)


async def test_two_accounts_share_nothing(fake_server: FakeServer) -> None:
    """Each session has its own connection."""
    accounts: list[Account] = [account_on(fake_server), account_on(fake_server)]
    sessions = await asyncio.gather(*map(Session.open, accounts))
    assert fake_server.open_connections == 2
    await sessions[0].close()
    assert (await submit_over(sessions[1], ANNA)).accepted == (ANNA,)
    await sessions[1].close()
