"""A server sends too much, too long, twice, or without an end."""

import asyncio
from dataclasses import replace
from functools import partial
import time
from typing import Any, BinaryIO

from hypothesis import example, given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.auth.auth_error import read_error
from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Fault, Problem, Stage, SubmissionError
from custom_components.outlook_smtp.delivery.route import URGENT_PATIENCE
from custom_components.outlook_smtp.delivery.secrets import Secrets
from custom_components.outlook_smtp.message.outgoing import Priority
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import QueuedMessage
from custom_components.outlook_smtp.routes import _create_tls_context
from custom_components.outlook_smtp.smtp import pipeline
from custom_components.outlook_smtp.smtp.pipeline import Pipeline
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.protocol_log import ProtocolLog
from custom_components.outlook_smtp.smtp.replies import clean, read_reply
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.settings import Server
from tests.conftest import PASSWORD, until
from tests.fake_microsoft import Certificate, FakeServer, Script, Step
from tests.helpers import mailer_of, outgoing
from tests.outbox.helpers import add
from tests.outbox.worker_helpers import all_done, numbers, running, unpaced, worker_on
from tests.promises import MAX_READ, MAX_REPLY, MAX_TEXT
from tests.smtp.helpers import (
    ANNA,
    BERT,
    CONTENT,
    account_on,
    commands,
    envelope_to,
    nothing_left_open,
    probe_fault,
    session_to,
    submit_over,
)

STALL = 0.02  # Seconds of processor time that a reply of 256 KB may take.
WORDS = [
    "@",
    "<",
    "[Hostname=",
    "[BeginDiagnosticData]",
    "[A.OUTLOOK.COM ",
    "Actual verdict is ",
    "5.7.1 ",
    " ",
    "\t",
    "a.",
    "\u00e4",
    "\udcff",
    PASSWORD[:-1],
]
TOKEN = "".join(f"{number:x}" for number in range(1000, 1700))
SECRETS = Secrets(PASSWORD, TOKEN)
SECRETS.mask("ready")
TWICE = ("250 2.1.0 Sender OK", "250 2.1.5 Recipient OK", "550 5.1.1 User unknown", "250 OK")


class NullTransport(asyncio.Transport):
    """A transport without a connection."""

    def is_closing(self) -> bool:
        """Report that it is open."""
        return False

    def abort(self) -> None:
        """Do nothing."""


def heard(data: bytes) -> Fault | None:
    """Return how a reply is read, on its whole path from the connection."""
    pipeline = Pipeline(NullTransport(), ProtocolLog(SECRETS))
    pipeline._awaited = 1
    pipeline.data_received(data)
    if not pipeline._replies:
        return None
    [reply] = pipeline._replies
    clean(reply.text)
    return read_reply(Stage.DATA, reply.code, reply.text)


def spent(data: bytes) -> float:
    """Return how long a reply blocks the event loop, in seconds of processor time."""
    started = time.thread_time()
    heard(data)
    return time.thread_time() - started


@st.composite
def long_replies(draw: st.DrawFn) -> bytes:
    """Return a reply of 256 KB: a few words, repeated and mixed, on one line or several."""
    words = draw(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), min_size=1, max_size=6))
    start = draw(st.sampled_from(["250 2.0.0 <", "554 5.2.0 ", "535 "]))
    unit = "".join(words).replace("\r", "").replace("\n", "").encode("utf-8", "surrogatepass")
    size = MAX_REPLY - 64
    if draw(st.booleans()):
        return start.encode() + (unit or b"x") * (size // len(unit or b"x")) + b"\r\n"
    line = f"{start[:3]}-".encode() + unit + b"\r\n"
    return line * (size // len(line)) + start.encode() + b"\r\n"


@settings(max_examples=30)
@given(long_replies())
@example(b"250 2.0.0 <" + b"@" * (MAX_REPLY - 64) + b"\r\n")
@example(b"554 5.2.0 " + b"[Hostname=" * 26_000 + b"\r\n")
@example(b"250-\r\n" * 43_000 + b"250 \r\n")
def test_reply_of_256_kb_is_parsed_in_milliseconds(reply: bytes) -> None:
    """Whatever it consists of, Home Assistant does not notice it."""
    assert spent(reply) <= STALL or min(spent(reply) for _ in range(5)) <= STALL


def test_parsed_text_is_limited() -> None:
    """Of a text, 8 KB are parsed, including the last line, and 512 characters are kept."""
    pipeline = Pipeline(NullTransport(), ProtocolLog())
    pipeline._awaited = 1
    pipeline.data_received(b"550-5.7.0 x\r\n" * 10_000 + b"550 5.1.90 The last line\r\n")
    [reply] = pipeline._replies
    assert len(reply.text) <= MAX_READ
    assert reply.text.endswith("\n5.1.90 The last line")
    fault = read_reply(Stage.DATA, 550, f"5.2.0 {'y' * 100_000}")
    assert len(fault.text) == MAX_TEXT
    words = f"{'z' * 9000} Trace ID: 1"
    assert len(read_error({"error": " " * 300_000, "error_description": words}).description) < 400


def test_nothing_is_read_after_the_end() -> None:
    """Data that arrives after the end is not even read."""
    pipeline = Pipeline(NullTransport(), ProtocolLog())
    for data in (b"hello?\r\n", b"250 2.0.0 OK\r\n"):
        pipeline._awaited = 1
        pipeline.data_received(data)
    assert not pipeline.has_reply


@pytest.mark.parametrize("words", [" ", "Trace ID", "Timestamp:", "\x00", "\n"])
def test_responses_of_microsoft_are_parsed_in_milliseconds(words: str) -> None:
    """Those of the identity platform, too."""
    answer = {"error": words * 50_000, "error_description": words * 50_000}
    times = []
    for _ in range(3):
        started = time.thread_time()
        read_error(answer)
        times.append(time.thread_time() - started)
    assert min(times) <= STALL


async def test_endless_ehlo_is_parsed_in_milliseconds(fake_server: FakeServer) -> None:
    """What aiosmtplib accepts, 32 KB, is cut before it is parsed."""
    offers = "\n".join("250-a" for _ in range(4000))
    fake_server.script = Script(replies={Step.EHLO_TLS: f"250-x\n250-AUTH LOGIN\n{offers}\n250 b"})
    async with await Session.open(account_on(fake_server)) as session:
        assert len(session.server_info.extensions) < 10
    fake_server.script = Script(
        replies={Step.EHLO_TLS: f"250-x\n250-AUTH LOGIN\n250 X {'y' * 8000}"}
    )
    async with await Session.open(account_on(fake_server)) as session:
        assert len(session.server_info.extensions["x"]) <= MAX_TEXT


# One reply too many


@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")], ids=str)
@pytest.mark.parametrize("enhanced", ["ENHANCEDSTATUSCODES", ""])
@pytest.mark.parametrize("lockstep", [False, True])
async def test_message_with_duplicate_replies_is_not_sent(
    fake_server: FakeServer, without: tuple[str, ...], enhanced: str, lockstep: bool
) -> None:
    """The message is refused in the end, and never reported as accepted."""
    offers = [each for each in ("PIPELINING", "CHUNKING") if each not in without]
    lines = ["x Hello", "AUTH LOGIN", "SIZE 1000000", *offers, *filter(None, [enhanced]), "HELP"]
    ehlo = "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
    plain = {} if enhanced else {Step.MAIL: "250 OK", Step.RCPT: "250 OK"}
    fake_server.script = Script(
        twice=True,
        without=without,
        replies={Step.EHLO_TLS: ehlo, Step.FINAL: "554 5.2.0 Not this one", **plain},
    )
    route = SmtpRoute(account_on(fake_server))
    with pytest.raises(SubmissionError) as caught:
        await route.submit(envelope_to(ANNA), Content.of(CONTENT), may_have_arrived=lockstep)
    assert caught.value.fault.kind == "transient"
    await route.close()
    assert not fake_server.received


@pytest.mark.parametrize(
    "replies",
    [
        ["250 OK", "250 OK", "250 OK"],
        ["250 2.1.0 OK", "250 2.1.0 OK", "250 2.1.5 OK"],
        ["250 2.1.0 OK", "250 2.1.5 OK", "250 2.1.5 OK", "554 5.2.0 No"],
        ["235 2.7.0 Welcome", "250 OK", "250 OK"],
    ],
    ids=len,
)
async def test_ambiguous_positive_reply_is_no_acceptance(
    fake_server: FakeServer, replies: list[str]
) -> None:
    """In a round trip, the positive reply to the content must be recognizable as one."""
    async with session_to(fake_server, *replies) as session:
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA)
        assert caught.value.fault.kind == "transient"


@pytest.mark.parametrize(
    "replies",
    [
        ["250 2.1.0 OK", "550 5.1.1 No", "550 5.1.1 No", "250 2.1.5 OK"],
        ["250 2.1.0 OK", "550 5.1.1 No", "550 5.1.1 No", "250 2.0.0 OK"],
        ["554 5.2.0 Of the last message", "250 2.1.0 OK", "250 2.1.5 OK", "250 2.1.5 OK"],
        ["250 2.1.0 OK", "250 2.1.0 OK", "250 2.1.5 OK", "550 5.1.1 No", "250 2.0.0 OK"],
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "extensions", [("pipelining", "chunking", "enhancedstatuscodes"), ("pipelining",)]
)
async def test_ambiguous_refusal_refuses_no_recipient(
    fake_server: FakeServer, replies: list[str], extensions: tuple[str, ...]
) -> None:
    """A message is not failed because of another command's reply."""
    async with session_to(fake_server, *replies, extensions=extensions) as session:
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA, BERT)
        assert caught.value.fault.kind == "transient"
        assert not session.is_open


async def test_message_is_retried_in_lockstep(fake_server: FakeServer, queue: Queue) -> None:
    """Over a new connection, with a reply to each command before the next."""
    fake_server.script_next(Script(twice=True, replies={Step.FINAL: "554 5.2.0 No"}))
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        await add(queue, 1)
        await all_done(queue)
        assert not fake_server.received
        await worker.flush()
        await all_done(queue)
    assert numbers(fake_server) == [1]
    assert fake_server.connections == 2
    assert "DATA" in commands(fake_server)


@pytest.mark.parametrize("step", [Step.EHLO, Step.EHLO_TLS, Step.AUTH])
async def test_unsolicited_reply_before_the_first_message_ends_the_session(
    fake_server: FakeServer, step: Step
) -> None:
    """Whatever was answered twice, nothing is submitted over that connection."""
    words = {
        Step.EHLO: "250-x Hello\n250 STARTTLS",
        Step.EHLO_TLS: "250-x Hello\n250 AUTH LOGIN",
        Step.AUTH: "235 2.7.0 Welcome",
    }[step]
    fake_server.script = Script(replies={step: f"{words}\n{words}"})
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.problem) == ("transient", Problem.UNEXPECTED_REPLY)
    assert "MAIL" not in " ".join(commands(fake_server))


# A final reply that never ends


def is_handed_in(fake_server: FakeServer) -> bool:
    """Return whether a complete message has reached the server."""
    said = commands(fake_server) if fake_server.sessions else []
    return any(line.endswith("bytes of content)") for line in said)


@pytest.mark.parametrize("endless", [{"stall": Step.FINAL}, {"replies": {Step.FINAL: "250-Wait"}}])
async def test_urgent_message_interrupts_an_endless_reply(
    fake_server: FakeServer, queue: Queue, endless: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent over a new connection, and the other one is retried behind it."""
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.5)
    fake_server.script_next(Script(keep=True, **endless))
    async with running(worker_on(fake_server, queue, schedule=unpaced(), timeout=60.0)) as worker:
        stuck = await add(queue, 1)
        await until(lambda: is_handed_in(fake_server))
        await add(queue, 2)
        worker.interrupt()
        worker.interrupt()
        await until(lambda: not queue.waiting)
    assert numbers(fake_server)[-2:] == [2, 1]
    assert stuck.lost_answers == 1
    assert fake_server.connections == 2


async def test_flush_interrupts_an_endless_reply(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even for a single message; a connection that is still being made is not interrupted."""
    assert URGENT_PATIENCE == 5.0
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.5)
    fake_server.script_next(Script(stall=Step.FINAL))
    async with running(worker_on(fake_server, queue, schedule=unpaced(), timeout=60.0)) as worker:
        await worker.flush()
        queued = await add(queue, 1)
        await until(lambda: is_handed_in(fake_server))
        await worker.flush()
        await until(lambda: not queue.waiting)
    assert (numbers(fake_server), queued.lost_answers, fake_server.connections) == ([1], 1, 2)


async def test_urgency_while_the_connection_is_made_holds_to_the_end(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply that never ends comes only afterwards."""
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.5)
    fake_server.script_next(Script(stall=Step.FINAL))
    async with running(worker_on(fake_server, queue, schedule=unpaced(), timeout=60.0)) as worker:
        await add(queue, 1)
        await until(lambda: fake_server.connections)
        await worker.flush()
        await until(lambda: not queue.waiting)
    assert (numbers(fake_server), fake_server.connections) == ([1], 2)


async def test_urgency_while_the_message_is_read_holds_to_the_end(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that the urgent one waits for has not even reached the connection."""
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.5)
    fake_server.script_next(Script(stall=Step.FINAL))
    opens = queue.open_content
    async with running(worker_on(fake_server, queue, schedule=unpaced(), timeout=60.0)) as worker:

        async def open_content(queued: QueuedMessage) -> BinaryIO | None:
            """Open the file of a message; the first time, somebody flushes the outbox meanwhile."""
            file = await opens(queued)
            if not fake_server.connections:
                await worker.flush()
            return file

        monkeypatch.setattr(queue, "open_content", open_content)
        await add(queue, 1)
        await until(lambda: not queue.waiting)
    assert (numbers(fake_server), fake_server.connections) == ([1], 2)


async def test_an_urgent_email_interrupts(
    account: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of priority high and highest, and no others."""
    interrupted: list[Priority | None] = []
    for priority in (None, *Priority):
        note = partial(interrupted.append, priority)
        monkeypatch.setattr(mailer_of(account).worker, "interrupt", note)
        await mailer_of(account).send(replace(outgoing(), priority=priority))
    assert interrupted == [Priority.HIGHEST, Priority.HIGH]


# A certificate of yesterday


async def test_common_name_is_no_host_name(fake_server: FakeServer) -> None:
    """As in browsers, a certificate must have the host as a host name."""
    account = account_on(
        fake_server, server=Server("localhost", fake_server.port), tls_context=_create_tls_context()
    )
    await probe(account)
    fake_server.show(Certificate.COMMON_NAME_ONLY)
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    await nothing_left_open(fake_server)
    assert caught.value.fault.problem is Problem.CERTIFICATE_WRONG_HOST
