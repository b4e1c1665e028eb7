"""Faults: every step that can be spoiled, and for how long."""

from contextlib import suppress
import smtplib
import socket
import time

import pytest

from tests.fake_microsoft import IMAP_GREETING, POP_GREETING, FakeServer, Script, Step, wording

from .client import ALICE, BOB, TOKEN, Pipeline, connected, encoded, logged_in, outgoing, xoauth2

# How long a test observes a silent server.
PATIENCE = 0.1
CONVERSATION = {
    Step.EHLO: "EHLO client.example",
    Step.STARTTLS: "STARTTLS",
    Step.EHLO_TLS: "EHLO client.example",
    Step.AUTH: f"AUTH XOAUTH2 {xoauth2(ALICE, TOKEN)}",
    Step.MAIL: f"MAIL FROM:<{ALICE}>",
    Step.RCPT: f"RCPT TO:<{BOB}>",
    Step.DATA: "DATA",
    Step.FINAL: f"From: {ALICE}\r\n\r\nHi\r\n.",
    Step.QUIT: "QUIT",
}


# Where a client notices the server's behavior at a step without its own command.
NOTICED = {
    Step.CONNECT: Step.GREETING,
    Step.HANDSHAKE: Step.EHLO_TLS,
    Step.CONTENT: Step.FINAL,
    Step.IDLE: Step.QUIT,
}


def walk(fake_server: FakeServer, pipeline: Pipeline, doubt: Step | None = None) -> list[Step]:
    """Run the conversation, with a short timeout at one step, and return the answered steps."""
    done: list[Step] = []
    if doubt is Step.GREETING:
        pipeline.wait_at_most(PATIENCE)
    if not pipeline.read():
        return done
    for step, command in CONVERSATION.items():
        if step is doubt:
            pipeline.wait_at_most(PATIENCE)
        if step is Step.EHLO_TLS:
            pipeline.encrypt(fake_server.client_context())
        pipeline.send(command)
        if not pipeline.read():
            break
        done.append(step)
    return done


def check_answers(fake_server: FakeServer, spoiled: Step) -> None:
    """Check that the first connection worked up to a step, and nothing came after it."""
    steps = [Step.GREETING, *CONVERSATION]
    before = steps[: steps.index(NOTICED.get(spoiled, spoiled))]
    answered = [line for speaker, line in fake_server.sessions[0] if speaker == "S"]
    assert any("ESMTP" in line for line in answered) == (Step.GREETING in before)
    assert (wording.STARTTLS_READY in answered) == (Step.STARTTLS in before)
    assert (wording.AUTHENTICATED in answered) == (Step.AUTH in before)
    assert (wording.SENDER_OK in answered) == (Step.MAIL in before)
    assert (wording.START_INPUT in answered) == (Step.DATA in before)
    assert wording.GOODBYE not in answered


def test_server_is_healthy_without_a_script(fake_server: FakeServer) -> None:
    """Without a script, all steps are answered."""
    with Pipeline(fake_server.port) as pipeline:
        assert walk(fake_server, pipeline) == list(CONVERSATION)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("step", Step)
def test_step_can_be_dropped(fake_server: FakeServer, step: Step, reset: bool) -> None:
    """The connection ends at the step, once, and then everything works again."""
    fake_server.script = Script(drop=step, reset=reset, times=1)
    with suppress(OSError), Pipeline(fake_server.port) as pipeline:
        assert walk(fake_server, pipeline) != list(CONVERSATION)
    check_answers(fake_server, step)
    assert len(fake_server.received) == (1 if step in {Step.IDLE, Step.QUIT} else 0)
    with Pipeline(fake_server.port) as pipeline:
        assert walk(fake_server, pipeline) == list(CONVERSATION)


@pytest.mark.parametrize("step", Step)
def test_step_can_be_stalled(fake_server: FakeServer, step: Step) -> None:
    """The server stalls at the step, and other connections do not notice."""
    fake_server.script_next(Script(stall=step))
    with Pipeline(fake_server.port) as pipeline:
        with pytest.raises(TimeoutError):
            walk(fake_server, pipeline, NOTICED.get(step, step))
        with Pipeline(fake_server.port) as other:
            assert walk(fake_server, other) == list(CONVERSATION)
    check_answers(fake_server, step)


@pytest.mark.parametrize("step", [Step.CONNECT, Step.HANDSHAKE, Step.GREETING])
def test_implicit_tls_can_be_stalled(socket_enabled: None, step: Step) -> None:
    """With implicit TLS, the server can stall, too."""
    with FakeServer(security="tls") as fake_server:
        fake_server.script = Script(stall=step)
        with pytest.raises(OSError, match="timed out"):
            smtplib.SMTP_SSL(
                "127.0.0.1",
                fake_server.port,
                "client.example",
                timeout=PATIENCE,
                context=fake_server.client_context(),
            )


def test_server_can_be_silent(fake_server: FakeServer) -> None:
    """A server that never sends anything."""
    fake_server.script = Script(silent=True)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.wait_at_most(PATIENCE)
        with pytest.raises(TimeoutError):
            pipeline.read()


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [(IMAP_GREETING, "EHLO BAD Command Error. 12"), (POP_GREETING, "-ERR Protocol error. 14")],
)
def test_server_can_use_another_protocol(
    fake_server: FakeServer, greeting: str, answer: str
) -> None:
    """An IMAP or POP server does not understand SMTP."""
    fake_server.script = Script(greeting=greeting)
    with Pipeline(fake_server.port) as pipeline:
        assert pipeline.read() == [greeting]
        assert pipeline.ask("EHLO client.example") == answer


@pytest.mark.parametrize("step", CONVERSATION)
def test_reply_can_be_replaced(fake_server: FakeServer, step: Step) -> None:
    """The script's reply replaces the normal one, and nothing happens."""
    reply = "451 4.7.500 Server busy. Please try again later"
    fake_server.script = Script(replies={step: reply}, times=1)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        for place, command in CONVERSATION.items():
            pipeline.send(command)
            answer = pipeline.read()
            if place is step:
                break
            if place is Step.STARTTLS:
                pipeline.encrypt(fake_server.client_context())
        assert answer == [reply]
    assert len(fake_server.received) == (step is Step.QUIT)


def test_reply_421_disconnects(fake_server: FakeServer) -> None:
    """A server that sends 421 disconnects."""
    fake_server.script = Script(replies={Step.GREETING: "421 4.3.2 Service not active"})
    with Pipeline(fake_server.port) as pipeline:
        assert pipeline.read() == ["421 4.3.2 Service not active"]
        assert pipeline.read() == []


def test_positive_reply_only_changes_the_text(fake_server: FakeServer) -> None:
    """A message is still accepted if its reply has another text."""
    fake_server.script = Script(
        replies={Step.GREETING: "220-first\n220 second", Step.FINAL: "250 2.6.0 <new@id> Queued"}
    )
    with logged_in(fake_server) as client:
        client.send_message(outgoing())
    assert fake_server.received[0].message_id_given == "<new@id>"
    assert fake_server.sessions[0][:2] == [("S", "220-first"), ("S", "220 second")]


def test_challenge_can_be_added(fake_server: FakeServer) -> None:
    """A challenge at the end of AUTH waits for a line before the result."""
    fake_server.script = Script(replies={Step.AUTH: "334 eyJzdGF0dXMiOiI0MDEifQ=="})
    with Pipeline.secured(fake_server) as pipeline:
        assert pipeline.ask(f"AUTH XOAUTH2 {encoded('x')}").startswith("501 5.5.124 ")
        pipeline.ask(f"AUTH LOGIN {encoded(ALICE)}")
        assert pipeline.ask(encoded("wrong")) == "334 eyJzdGF0dXMiOiI0MDEifQ=="
        assert pipeline.ask("").startswith("535 5.7.139 ")


def test_content_can_be_interrupted(fake_server: FakeServer) -> None:
    """The server may interrupt a client."""
    fake_server.script = Script(replies={Step.CONTENT: "421 4.4.2 Connection dropped"})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.ask(f"MAIL FROM:<{ALICE}>")
        pipeline.ask(f"RCPT TO:<{BOB}>")
        pipeline.ask("DATA")
        assert pipeline.ask("first line") == "421 4.4.2 Connection dropped"


@pytest.mark.parametrize("keep", [False, True])
def test_final_reply_can_be_lost(fake_server: FakeServer, keep: bool) -> None:
    """After the final dot, the message has arrived, or not."""
    fake_server.script = Script(drop=Step.FINAL, keep=keep)
    with logged_in(fake_server) as client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.send_message(outgoing())
    assert len(fake_server.received) == keep
    assert not keep or fake_server.received[0].message_id_given is None


def test_handshake_can_be_plain_text(fake_server: FakeServer) -> None:
    """A reply at HANDSHAKE breaks TLS."""
    fake_server.script = Script(replies={Step.HANDSHAKE: "421 4.7.66 TLS 1.0 and 1.1"})
    with pytest.raises(OSError, match=r"(?i)wrong version number"), connected(fake_server):
        pass


def test_fault_can_be_temporary(fake_server: FakeServer) -> None:
    """A temporary fault ends."""
    fake_server.script = Script(replies={Step.MAIL: "451 4.7.500 Server busy."}, times=2)
    with logged_in(fake_server) as client:
        codes = [client.mail(ALICE)[0] for _ in range(3)]
    assert codes == [451, 451, 250]
    assert fake_server.script.times == 0


def test_script_can_apply_to_the_next_connections(fake_server: FakeServer) -> None:
    """A script may apply to the next connections only."""
    fake_server.script_next(Script(greeting="220 next"), connections=2)
    greetings = []
    for _ in range(3):
        with Pipeline(fake_server.port) as pipeline:
            greetings += pipeline.read()
    assert greetings[:2] == ["220 next", "220 next"]
    assert "Microsoft ESMTP" in greetings[2]


def test_script_of_the_mailbox_takes_precedence(fake_server: FakeServer) -> None:
    """From AUTH on, the mailbox's script takes precedence."""
    fake_server.script = Script(replies={Step.MAIL: "451 4.0.0 all", Step.RCPT: "451 4.0.0 all"})
    mailbox = fake_server.mailboxes[ALICE]
    mailbox.script = Script(replies={Step.EHLO: "500 5.0.0 no", Step.MAIL: "250 2.1.0 one"})
    with logged_in(fake_server) as client:
        assert client.mail(ALICE) == (250, b"2.1.0 one")
        assert client.rcpt(BOB) == (451, b"4.0.0 all")
        fake_server.script = Script()
        assert client.rcpt(BOB)[0] == 250
    fake_server.add_mailbox("bea@outlook.com", "pw", script=Script(drop=Step.AUTH))
    with connected(fake_server) as client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.login("bea@outlook.com", "pw")


def test_refusals_are_delayed(fake_server: FakeServer) -> None:
    """Refusals are delayed, all other replies are not."""
    fake_server.script = Script(refusal_delay=60)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        assert pipeline.ask("EHLO client.example").startswith("250 ")
        pipeline.wait_at_most(PATIENCE)
        with pytest.raises(TimeoutError):
            pipeline.ask("NONSENSE")
    fake_server.script = Script(refusal_delay=PATIENCE)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        begun = time.monotonic()
        assert pipeline.ask("NONSENSE").startswith("500 ")
        assert time.monotonic() - begun >= PATIENCE


def test_drop_and_reset_are_distinguishable(fake_server: FakeServer) -> None:
    """A client can distinguish a reset from the end of the stream."""
    fake_server.script = Script(drop=Step.CONNECT)
    with socket.create_connection(("127.0.0.1", fake_server.port), 5) as plain:
        assert plain.recv(1) == b""
    fake_server.script = Script(drop=Step.EHLO, reset=True)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        with pytest.raises(ConnectionResetError):
            pipeline.ask("EHLO client.example")
