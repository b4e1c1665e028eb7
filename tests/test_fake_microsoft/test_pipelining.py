"""Pipelined commands and content in chunks (RFC 2920, RFC 3030), with replies of any timing."""

import pytest

from tests.fake_microsoft import FakeServer, Manner, Script, Step

from .client import ALICE, BOB, Pipeline

HEAD = f"From: {ALICE}\r\n\r\n"
HELLO = f"{HEAD}Hello\r\n"
NOBODY = "550 5.1.1 User unknown"
ENVELOPE = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"


def chunk(content: str, *, last: bool = True) -> str:
    """Return a BDAT command with its octets, for a `send` that adds its own line end."""
    return f"BDAT {len(content)}{' LAST' if last else ''}\r\n{content.removesuffix('\r\n')}"


def codes(pipeline: Pipeline, count: int) -> list[str]:
    """Return the codes of the next replies."""
    return [(pipeline.read() or [""])[-1][:3] for _ in range(count)]


@pytest.mark.parametrize("manner", Manner)
def test_message_takes_one_round_trip(fake_server: FakeServer, manner: Manner) -> None:
    """Envelope and content are accepted at once, and every command gets a reply, in order."""
    with Pipeline.signed_in(fake_server) as pipeline:
        fake_server.script.manner = manner
        for _ in range(2):
            pipeline.send(f"RSET\r\n{ENVELOPE}\r\n{chunk(HELLO)}")
            assert codes(pipeline, 4) == ["250"] * 4
    assert [mail.content for mail in fake_server.received] == [HELLO.encode()] * 2
    assert {mail.chunks for mail in fake_server.received} == {1}


def test_replies_can_be_long(fake_server: FakeServer) -> None:
    """Every reply has many long lines with the same code, and the last one is the usual."""
    fake_server.script = Script(manner=Manner.LONG_WINDED)
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send("NOOP")
        lines = pipeline.read()
    assert len(lines) > 20
    assert max(map(len, lines)) > 1800
    assert {line[:10] for line in lines[:-1]} == {"250-2.0.0 "}
    assert lines[-1] == "250 2.0.0 OK"


def test_chunks_are_concatenated(fake_server: FakeServer) -> None:
    """The message is the concatenation of all chunks."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD, last=False)}")
        pipeline.send(f"{chunk('one' * 70_000 + '\r\n', last=False)}")
        pipeline.send("BDAT 0 LAST")
        assert codes(pipeline, 5) == ["250"] * 5
    assert fake_server.received[0].content == HEAD.encode() + b"one" * 70_000 + b"\r\n"
    assert fake_server.received[0].chunks == 3


def test_content_without_recipients_is_read(fake_server: FakeServer) -> None:
    """Content after a refused envelope is still read, and never treated as commands."""
    fake_server.script = Script(refuse_recipients={BOB: NOBODY})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk('QUIT\r\nQUIT\r\n', last=False)}\r\nRSET")
        assert codes(pipeline, 4) == ["250", "550", "503", "250"]
        pipeline.send(chunk("QUIT\r\n"))
        assert pipeline.read()[0].startswith("503 5.5.2 Need mail command")
    assert fake_server.received == []


def test_failed_chunk_fails_the_message(fake_server: FakeServer) -> None:
    """Later chunks are refused until a new message begins."""
    fake_server.script = Script(size=20)
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HELLO, last=False)}")
        pipeline.send(chunk(HELLO))
        assert codes(pipeline, 4) == ["250", "250", "552", "503"]
        assert pipeline.ask("DATA").startswith("503")
        assert pipeline.ask("RSET").startswith("250")
    assert fake_server.received == []


@pytest.mark.parametrize(
    ("without", "commands"),
    [
        (("PIPELINING",), ENVELOPE),
        ((), "NOOP\r\nNOOP"),
        ((), f"{ENVELOPE}\r\nDATA\r\n{HELLO}"),
    ],
    ids=["not offered", "last in a group", "content before it is asked for"],
)
def test_impatient_client_is_dismissed(
    fake_server: FakeServer, without: tuple[str, ...], commands: str
) -> None:
    """A client that does not wait where it must gets an error and is disconnected."""
    fake_server.script = Script(without=without)
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(commands)
        replies = iter(pipeline.read, [])
        assert any("Improper use of SMTP command pipelining" in reply[0] for reply in replies)
    assert fake_server.received == []


@pytest.mark.parametrize(
    ("keyword", "command", "reply"),
    [
        ("CHUNKING", "BDAT 7 LAST", "500 5.3.3 Unrecognized command"),
        ("CHUNKING", f"MAIL FROM:<{ALICE}> BODY=BINARYMIME", "501 5.5.4"),
        ("8BITMIME", f"MAIL FROM:<{ALICE}> BODY=8BITMIME", "501 5.5.4"),
        ("SMTPUTF8", f"MAIL FROM:<{ALICE}> SMTPUTF8", "501 5.5.4"),
        ("SIZE", f"MAIL FROM:<{ALICE}> SIZE=7", "501 5.5.4"),
    ],
)
def test_extension_that_is_not_offered_does_not_work(
    fake_server: FakeServer, keyword: str, command: str, reply: str
) -> None:
    """An extension that is not offered does not work."""
    fake_server.script = Script(without=(keyword,))
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send("EHLO client.example")
        assert keyword not in [line[4:].partition(" ")[0] for line in pipeline.read()]
        assert pipeline.ask(command).startswith(reply)


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT, Step.FINAL])
def test_service_closing_can_be_read(fake_server: FakeServer, step: Step) -> None:
    """A client that has sent everything reads the 421 reply, and disconnects."""
    fake_server.script = Script(replies={step: "421 4.3.2 Service not available"})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD + 'x' * 100_000 + '\r\n')}\r\nNOOP")
        assert ["421 4.3.2 Service not available"] in iter(pipeline.read, [])


@pytest.mark.parametrize("content", ["a\nb\r\n", "a\r\nb\r\n"])
def test_bare_line_feeds_need_binarymime(fake_server: FakeServer, content: str) -> None:
    """Only content declared as binary may have them."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD + content)}")
        assert codes(pipeline, 3)[-1] == ("550" if content == "a\nb\r\n" else "250")
        binary = ENVELOPE.replace("\r\n", " BODY=BINARYMIME\r\n")
        pipeline.send(f"RSET\r\n{binary}\r\n{chunk(HEAD + content)}")
        assert codes(pipeline, 4) == ["250"] * 4
    assert fake_server.received[-1].body == "BINARYMIME"
