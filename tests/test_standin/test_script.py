"""Misbehaviour: every step that can be spoiled, and for how long."""

from contextlib import suppress
import smtplib
import socket
import time

import pytest

from tests.standin import IMAP_GREETING, POP_GREETING, Script, StandIn, Step, wording

from .client import ALICE, BOB, TOKEN, Wire, connected, encoded, letter, logged_in, xoauth2

# How long a test watches a silent server.
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


# Where a client notices what the server does at a step without a command of its own.
NOTICED = {
    Step.CONNECT: Step.GREETING,
    Step.HANDSHAKE: Step.EHLO_TLS,
    Step.CONTENT: Step.FINAL,
    Step.IDLE: Step.QUIT,
}


def walk(standin: StandIn, wire: Wire, doubt: Step | None = None) -> list[Step]:
    """Hold the whole conversation, impatiently at one step, and return the steps answered."""
    done: list[Step] = []
    if doubt is Step.GREETING:
        wire.wait_at_most(PATIENCE)
    if not wire.read():
        return done
    for step, command in CONVERSATION.items():
        if step is doubt:
            wire.wait_at_most(PATIENCE)
        if step is Step.EHLO_TLS:
            wire.encrypt(standin.client_context())
        wire.send(command)
        if not wire.read():
            break
        done.append(step)
    return done


def check_answers(standin: StandIn, spoiled: Step) -> None:
    """Check that all was well on the first connection until a step, and nothing came after."""
    steps = [Step.GREETING, *CONVERSATION]
    before = steps[: steps.index(NOTICED.get(spoiled, spoiled))]
    answered = [line for speaker, line in standin.sessions[0] if speaker == "S"]
    assert any("ESMTP" in line for line in answered) == (Step.GREETING in before)
    assert (wording.STARTTLS_READY in answered) == (Step.STARTTLS in before)
    assert (wording.AUTHENTICATED in answered) == (Step.AUTH in before)
    assert (wording.SENDER_OK in answered) == (Step.MAIL in before)
    assert (wording.START_INPUT in answered) == (Step.DATA in before)
    assert wording.GOODBYE not in answered


def test_healthy(standin: StandIn) -> None:
    """Without a script all steps are answered."""
    with Wire(standin.port) as wire:
        assert walk(standin, wire) == list(CONVERSATION)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("step", Step)
def test_drop(standin: StandIn, step: Step, reset: bool) -> None:
    """The connection ends at the step, once, and then all is well again."""
    standin.script = Script(drop=step, reset=reset, times=1)
    with suppress(OSError), Wire(standin.port) as wire:
        assert walk(standin, wire) != list(CONVERSATION)
    check_answers(standin, step)
    assert len(standin.received) == (1 if step in {Step.IDLE, Step.QUIT} else 0)
    with Wire(standin.port) as wire:
        assert walk(standin, wire) == list(CONVERSATION)


@pytest.mark.parametrize("step", Step)
def test_stall(standin: StandIn, step: Step) -> None:
    """The server falls silent at the step, and other connections do not notice."""
    standin.script_next(Script(stall=step))
    with Wire(standin.port) as wire:
        with pytest.raises(TimeoutError):
            walk(standin, wire, NOTICED.get(step, step))
        with Wire(standin.port) as other:
            assert walk(standin, other) == list(CONVERSATION)
    check_answers(standin, step)


@pytest.mark.parametrize("step", [Step.CONNECT, Step.HANDSHAKE, Step.GREETING])
def test_stall_in_tls(socket_enabled: None, step: Step) -> None:
    """With TLS from the first byte the server can fall silent too."""
    with StandIn(security="tls") as standin:
        standin.script = Script(stall=step)
        with pytest.raises(OSError, match="timed out"):
            smtplib.SMTP_SSL(
                "127.0.0.1",
                standin.port,
                "client.example",
                timeout=PATIENCE,
                context=standin.client_context(),
            )


def test_silent(standin: StandIn) -> None:
    """A server that never says a word."""
    standin.script = Script(silent=True)
    with Wire(standin.port) as wire:
        wire.wait_at_most(PATIENCE)
        with pytest.raises(TimeoutError):
            wire.read()


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [(IMAP_GREETING, "EHLO BAD Command Error. 12"), (POP_GREETING, "-ERR Protocol error. 14")],
)
def test_other_protocols(standin: StandIn, greeting: str, answer: str) -> None:
    """A server for reading mail does not understand SMTP."""
    standin.script = Script(greeting=greeting)
    with Wire(standin.port) as wire:
        assert wire.read() == [greeting]
        assert wire.ask("EHLO client.example") == answer


@pytest.mark.parametrize("step", CONVERSATION)
def test_reply(standin: StandIn, step: Step) -> None:
    """A reply of the script comes instead of the normal one, and nothing happens."""
    reply = "451 4.7.500 Server busy. Please try again later"
    standin.script = Script(replies={step: reply}, times=1)
    with Wire(standin.port) as wire:
        wire.read()
        for place, command in CONVERSATION.items():
            wire.send(command)
            answer = wire.read()
            if place is step:
                break
            if place is Step.STARTTLS:
                wire.encrypt(standin.client_context())
        assert answer == [reply]
    assert len(standin.received) == (step is Step.QUIT)


def test_a_421_hangs_up(standin: StandIn) -> None:
    """A server that says 421 means it."""
    standin.script = Script(replies={Step.GREETING: "421 4.3.2 Service not active"})
    with Wire(standin.port) as wire:
        assert wire.read() == ["421 4.3.2 Service not active"]
        assert wire.read() == []


def test_a_positive_reply_changes_the_words_only(standin: StandIn) -> None:
    """A message is still taken if its answer is worded differently."""
    standin.script = Script(
        replies={Step.GREETING: "220-first\n220 second", Step.FINAL: "250 2.6.0 <new@id> Queued"}
    )
    with logged_in(standin) as client:
        client.send_message(letter())
    assert standin.received[0].message_id_given == "<new@id>"
    assert standin.sessions[0][:2] == [("S", "220-first"), ("S", "220 second")]


def test_unexpected_challenge(standin: StandIn) -> None:
    """A challenge at the end of AUTH waits for a line before the outcome."""
    standin.script = Script(replies={Step.AUTH: "334 eyJzdGF0dXMiOiI0MDEifQ=="})
    with Wire.secured(standin) as wire:
        assert wire.ask(f"AUTH XOAUTH2 {encoded('x')}").startswith("501 5.5.124 ")
        wire.ask(f"AUTH LOGIN {encoded(ALICE)}")
        assert wire.ask(encoded("wrong")) == "334 eyJzdGF0dXMiOiI0MDEifQ=="
        assert wire.ask("").startswith("535 5.7.139 ")


def test_words_in_the_middle_of_the_content(standin: StandIn) -> None:
    """The server may interrupt a client."""
    standin.script = Script(replies={Step.CONTENT: "421 4.4.2 Connection dropped"})
    with Wire.signed_in(standin) as wire:
        wire.ask(f"MAIL FROM:<{ALICE}>")
        wire.ask(f"RCPT TO:<{BOB}>")
        wire.ask("DATA")
        assert wire.ask("first line") == "421 4.4.2 Connection dropped"


@pytest.mark.parametrize("keep", [False, True])
def test_answer_lost(standin: StandIn, keep: bool) -> None:
    """After the final dot the message has arrived, or not."""
    standin.script = Script(drop=Step.FINAL, keep=keep)
    with logged_in(standin) as client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.send_message(letter())
    assert len(standin.received) == keep
    assert not keep or standin.received[0].message_id_given is None


def test_plain_text_instead_of_a_handshake(standin: StandIn) -> None:
    """A reply at HANDSHAKE spoils TLS."""
    standin.script = Script(replies={Step.HANDSHAKE: "421 4.7.66 TLS 1.0 and 1.1"})
    with pytest.raises(OSError, match=r"(?i)wrong version number"), connected(standin):
        pass


def test_times(standin: StandIn) -> None:
    """A transient fault passes."""
    standin.script = Script(replies={Step.MAIL: "451 4.7.500 Server busy."}, times=2)
    with logged_in(standin) as client:
        codes = [client.mail(ALICE)[0] for _ in range(3)]
    assert codes == [451, 451, 250]
    assert standin.script.times == 0


def test_next_connections(standin: StandIn) -> None:
    """A script may be meant for the next connections only."""
    standin.script_next(Script(greeting="220 next"), connections=2)
    greetings = []
    for _ in range(3):
        with Wire(standin.port) as wire:
            greetings += wire.read()
    assert greetings[:2] == ["220 next", "220 next"]
    assert "Microsoft ESMTP" in greetings[2]


def test_mailbox_wins(standin: StandIn) -> None:
    """From AUTH on the script of the mailbox comes first."""
    standin.script = Script(replies={Step.MAIL: "451 4.0.0 all", Step.RCPT: "451 4.0.0 all"})
    mailbox = standin.mailboxes[ALICE]
    mailbox.script = Script(replies={Step.EHLO: "500 5.0.0 no", Step.MAIL: "250 2.1.0 one"})
    with logged_in(standin) as client:
        assert client.mail(ALICE) == (250, b"2.1.0 one")
        assert client.rcpt(BOB) == (451, b"4.0.0 all")
        standin.script = Script()
        assert client.rcpt(BOB)[0] == 250
    standin.add_mailbox("bea@outlook.com", "pw", script=Script(drop=Step.AUTH))
    with connected(standin) as client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.login("bea@outlook.com", "pw")


def test_refusal_delay(standin: StandIn) -> None:
    """Refusals come late, all else at once."""
    standin.script = Script(refusal_delay=60)
    with Wire(standin.port) as wire:
        wire.read()
        assert wire.ask("EHLO client.example").startswith("250 ")
        wire.wait_at_most(PATIENCE)
        with pytest.raises(TimeoutError):
            wire.ask("NONSENSE")
    standin.script = Script(refusal_delay=PATIENCE)
    with Wire(standin.port) as wire:
        wire.read()
        begun = time.monotonic()
        assert wire.ask("NONSENSE").startswith("500 ")
        assert time.monotonic() - begun >= PATIENCE


def test_drop_and_reset_differ(standin: StandIn) -> None:
    """A client can tell a reset from the end of the stream."""
    standin.script = Script(drop=Step.CONNECT)
    with socket.create_connection(("127.0.0.1", standin.port), 5) as plain:
        assert plain.recv(1) == b""
    standin.script = Script(drop=Step.EHLO, reset=True)
    with Wire(standin.port) as wire:
        wire.read()
        with pytest.raises(ConnectionResetError):
            wire.ask("EHLO client.example")
