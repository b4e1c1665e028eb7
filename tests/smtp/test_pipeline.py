"""Replies are parsed and matched to their commands, however they arrive."""

from contextlib import nullcontext
import re

from aiosmtplib import SMTPResponseException
from hypothesis import HealthCheck, example, given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.pipeline import Reply, ReplyParser
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Manner, Script, Step
from tests.promises import MAX_REPLY

from .helpers import (
    ANNA,
    BERT,
    CARL,
    CONTENT,
    account_on,
    nothing_left_open,
    submit_over,
)

LINES = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Z")), max_size=3000)
REPLIES = st.builds(
    Reply, st.integers(200, 599), st.lists(LINES, min_size=1, max_size=5).map("\n".join)
)
# The parts of a reply (RFC 5321, section 4.2), complete and in fragments.
REPLY_LINE = re.compile(rb"(?P<code>[0-9]{3})(?:(?P<more>[ -])(?P<text>[^\n]*?))?\r*")
SHREDS = [b"2", b"250", b"250 ", b"354-", b" ", b"-", b"\r", b"\n", b"\r\n", b"x", b"\xc2\xb2"]
ANSWERS = {
    "taken": None,
    "unknown": "550 5.1.1 User unknown",
    "busy": "451 4.7.500 Server busy.",
    "too many": "452 4.5.3 Too many recipients",
}
ENDS = {
    "accepted": None,
    "refused": "554 5.6.0 Not this one",
    "later": "432 4.3.2 Concurrent connections limit exceeded.",
}


def spoken(reply: Reply, line_end: bytes) -> bytes:
    """Return a reply as a server sends it."""
    *lines, last = [line.encode() for line in reply.text.split("\n")]
    code = str(reply.code).encode()
    return b"".join(
        [*(code + b"-" + line + line_end for line in lines), code + b" " + last + line_end]
    )


@settings(max_examples=50)
@given(
    st.lists(REPLIES, max_size=6), st.sampled_from([b"\r\n", b"\n"]), st.lists(st.integers(1, 900))
)
def test_fragmentation_does_not_change_replies(
    replies: list[Reply], line_end: bytes, cuts: list[int]
) -> None:
    """The result is the same in one piece and byte by byte."""
    data = b"".join(spoken(reply, line_end) for reply in replies)
    for sizes in (cuts, [1] * len(data), []):
        parser, heard, start = ReplyParser(), list[Reply](), 0
        for size in sizes:
            heard += parser.feed(data[start : start + size])
            start += size
        heard += parser.feed(data[start:])
        assert heard == replies
        assert parser.is_empty


def understood(data: bytes) -> tuple[list[Reply], bytes | None]:
    """Return the replies before the first malformed line, and that line."""
    replies: list[Reply] = []
    texts: list[str] = []
    for line in data.split(b"\n")[:-1]:
        if not (parts := REPLY_LINE.fullmatch(line)):
            return replies, line
        texts.append((parts["text"] or b"").decode().strip())
        if parts["more"] != b"-":
            replies.append(Reply(int(parts["code"]), "\n".join(texts)))
            texts = []
    return replies, None


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SHREDS), max_size=30).map(b"".join))
@example(b"250 a\r\n25\r\n250 b\r\n")
def test_noise_is_not_a_reply(noise: bytes) -> None:
    """Input is parsed as replies up to the first line that breaks the rules."""
    parser = ReplyParser()
    replies: list[Reply] = []
    expected, broken = understood(noise)
    with pytest.raises(SMTPResponseException) if broken is not None else nullcontext():
        for reply in parser.feed(noise):
            replies.append(reply)  # noqa: PERF402 - Those before the error count too.
    assert replies == expected


def test_incomplete_reply_is_not_a_reply() -> None:
    """Without its last line, there is no reply, and no line is complete either."""
    parser = ReplyParser()
    assert list(parser.feed(b"250-2.1.0 ")) == []
    assert not parser.is_empty
    assert list(parser.feed(b"Sender\r\n")) == []
    assert not parser.is_empty
    assert list(parser.feed(b"250 OK\r\n250")) == [Reply(250, "2.1.0 Sender\nOK")]


@pytest.mark.parametrize(
    "endless", [b"2" * 1000, b"250-and so on\r\n" * 100], ids=["line", "lines"]
)
def test_endless_reply_is_rejected(endless: bytes) -> None:
    """No server fills the memory."""
    parser = ReplyParser()
    for _ in range(MAX_REPLY // len(endless)):
        assert list(parser.feed(endless)) == []
    with pytest.raises(SMTPResponseException, match="Malformed"):
        list(parser.feed(endless * (MAX_REPLY // len(endless))))


def receive_byte_by_byte(session: Session) -> None:
    """Let every byte arrive alone, however the system packs those that the server sent alone."""
    read_reply = session.pipeline.data_received

    def receive_bytes(data: bytes) -> None:
        for place in range(len(data)):
            read_reply(data[place : place + 1])

    session.pipeline.data_received = receive_bytes  # type: ignore[method-assign]


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6),
    sender=st.sampled_from([None, None, None, "451 4.7.500 Server busy."]),
    end=st.sampled_from(sorted(ENDS)),
    manner=st.sampled_from(Manner),
    without=st.sets(st.sampled_from(["PIPELINING", "CHUNKING", "8BITMIME", "SIZE"])),
)
async def test_outcome_does_not_depend_on_the_extensions(  # noqa: PLR0917 - hypothesis fills them in.
    fake_server: FakeServer,
    answers: list[str],
    sender: str | None,
    end: str,
    manner: Manner,
    without: set[str],
) -> None:
    """The recipients depend only on the replies, and the next message is not affected."""
    names = [f"{number}-{answer.split()[0]}@example.com" for number, answer in enumerate(answers)]
    by_answer = {
        answer: tuple(name for name, given in zip(names, answers, strict=True) if given == answer)
        for answer in ANSWERS
    }
    script = Script(manner=manner, without=tuple(without))
    refuse = {
        name: words
        for name, answer in zip(names, answers, strict=True)
        if (words := ANSWERS[answer])
    }
    fake_server.script = script
    fake_server.received.clear()
    async with await Session.open(account_on(fake_server)) as session:
        if manner is Manner.BYTE_BY_BYTE:
            receive_byte_by_byte(session)
        script.refuse_recipients = refuse
        if sender:
            script.replies[Step.MAIL] = sender
        elif ENDS[end] and by_answer["taken"]:
            script.replies[Step.FINAL] = str(ENDS[end])
        if script.replies:
            with pytest.raises(SubmissionError) as caught:
                await submit_over(session, *names)
            expected = Kind.MESSAGE if end == "refused" and not sender else Kind.TRANSIENT
            assert caught.value.fault.kind is expected
            assert fake_server.received == []
        else:
            outcome = await submit_over(session, *names)
            assert outcome.accepted == by_answer["taken"]
            assert [mail.recipients for mail in fake_server.received] == [
                group for group in (outcome.accepted,) if group
            ]
            left = by_answer["too many"] if outcome.accepted else ()
            assert outcome.left == left
            assert set(outcome.refused) == set(names).difference(outcome.accepted, left)
        script.refuse_recipients, script.replies = {}, {}
        assert session.is_usable
        assert (await submit_over(session, ANNA)).accepted == (ANNA,)
    assert fake_server.received[-1].content == CONTENT


@pytest.mark.parametrize("manner", Manner)
@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")], ids=str)
@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT, Step.FINAL])
async def test_service_closing_ends_a_round_trip(
    fake_server: FakeServer, step: Step, without: tuple[str, ...], manner: Manner
) -> None:
    """It is the reply to any command, gives the reason, and ends the session."""
    fake_server.script = Script(
        manner=manner, without=without, replies={step: "421 4.4.1 Connection timed out"}
    )
    session = await Session.open(account_on(fake_server))
    with pytest.raises(SubmissionError) as caught:
        await submit_over(session, ANNA, BERT)
    assert (caught.value.fault.problem, caught.value.fault.code) == (Problem.TIMEOUT, 421)
    assert caught.value.submitting
    assert not session.is_usable
    await nothing_left_open(fake_server)
    assert fake_server.received == []


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        ({Step.MAIL: "hello?"}, Problem.UNEXPECTED_REPLY),
        ({Step.MAIL: "354 go ahead"}, Problem.UNEXPECTED_REPLY),
        ({Step.FINAL: "hello?"}, Problem.ANSWER_LOST),
    ],
    ids=str,
)
async def test_malformed_reply_ends_the_session(
    fake_server: FakeServer, replies: dict[Step, str], problem: Problem
) -> None:
    """It is not trusted anymore."""
    fake_server.script = Script(replies=replies)
    session = await Session.open(account_on(fake_server))
    with pytest.raises(SubmissionError) as caught:
        await submit_over(session, ANNA)
    assert (caught.value.fault.kind, caught.value.fault.problem) == (Kind.TRANSIENT, problem)
    assert not session.is_usable
    await nothing_left_open(fake_server)


async def test_unsolicited_reply_ends_the_session(fake_server: FakeServer) -> None:
    """An unsolicited reply is never matched to a command: the session is not used again."""
    fake_server.script = Script(replies={Step.IDLE: "250 2.0.0 And another one"})
    session = await Session.open(account_on(fake_server))
    await submit_over(session, CARL)
    await until(lambda: not session.is_open)
    with pytest.raises(SubmissionError, match=Problem.CONNECTION_LOST):
        await submit_over(session, CARL)
    await session.close()


async def test_unsolicited_reply_in_a_round_trip_is_noticed(fake_server: FakeServer) -> None:
    """With DATA, it is noticed before any content is sent."""
    fake_server.script = Script(without=("CHUNKING",))
    session = await Session.open(account_on(fake_server))
    await submit_over(session, CARL)
    fake_server.script.replies[Step.MAIL] = "250 2.1.0 Sender OK\n250 2.1.0 Sender OK"
    with pytest.raises(SubmissionError, match=Problem.UNEXPECTED_REPLY):
        await submit_over(session, ANNA, BERT)
    assert not session.is_usable
    await nothing_left_open(fake_server)
    assert [mail.recipients for mail in fake_server.received] == [(CARL,)]
