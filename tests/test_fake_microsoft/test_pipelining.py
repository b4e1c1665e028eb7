"""Pipelined commands and content in chunks (RFC 2920, RFC 3030), with replies of every timing."""

import pytest

from tests.fake_microsoft import FakeServer, Manner, Script, Step

from .client import ALICE, BOB, Pipeline

HEAD = f"From: {ALICE}\r\n\r\n"
HELLO = f"{HEAD}Hello\r\n"
NOBODY = "550 5.1.1 User unknown"
ENVELOPE = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"


def chunk(content: str, *, last: bool = True) -> str:
    """Return a BDAT command with its octets, for a `send` that adds a line end of its own."""
    return f"BDAT {len(content)}{' LAST' if last else ''}\r\n{content.removesuffix('\r\n')}"


def codes(pipeline: Pipeline, count: int) -> list[str]:
    """Return the codes of the next replies."""
    return [(pipeline.read() or [""])[-1][:3] for _ in range(count)]


@pytest.mark.parametrize("manner", Manner)
def test_one_round_trip(fake_server: FakeServer, manner: Manner) -> None:
    """Envelope and content are taken at once, and everything is answered in order."""
    with Pipeline.signed_in(fake_server) as pipeline:
        fake_server.script.manner = manner
        for _ in range(2):
            pipeline.send(f"RSET\r\n{ENVELOPE}\r\n{chunk(HELLO)}")
            assert codes(pipeline, 4) == ["250"] * 4
    assert [mail.content for mail in fake_server.received] == [HELLO.encode()] * 2
    assert {mail.chunks for mail in fake_server.received} == {1}


def test_a_long_winded_server(fake_server: FakeServer) -> None:
    """Every reply has many long lines, all of one code, and the last one is the usual."""
    fake_server.script = Script(manner=Manner.LONG_WINDED)
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send("NOOP")
        lines = pipeline.read()
    assert len(lines) > 20
    assert max(map(len, lines)) > 1800
    assert {line[:10] for line in lines[:-1]} == {"250-2.0.0 "}
    assert lines[-1] == "250 2.0.0 OK"


def test_many_chunks(fake_server: FakeServer) -> None:
    """The message is what all of them make together."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD, last=False)}")
        pipeline.send(f"{chunk('one' * 70_000 + '\r\n', last=False)}")
        pipeline.send("BDAT 0 LAST")
        assert codes(pipeline, 5) == ["250"] * 5
    assert fake_server.received[0].content == HEAD.encode() + b"one" * 70_000 + b"\r\n"
    assert fake_server.received[0].chunks == 3


def test_nobody_to_take_it(fake_server: FakeServer) -> None:
    """Content after a refused envelope is read all the same, and never taken for commands."""
    fake_server.script = Script(refuse_recipients={BOB: NOBODY})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk('QUIT\r\nQUIT\r\n', last=False)}\r\nRSET")
        assert codes(pipeline, 4) == ["250", "550", "503", "250"]
        pipeline.send(chunk("QUIT\r\n"))
        assert pipeline.read()[0].startswith("503 5.5.2 Need mail command")
    assert fake_server.received == []


def test_a_chunk_that_failed_fails_the_message(fake_server: FakeServer) -> None:
    """What follows it is refused until all begins anew."""
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
def test_haste_is_sent_away(
    fake_server: FakeServer, without: tuple[str, ...], commands: str
) -> None:
    """Who does not wait where he has to is told so and hung up on."""
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
def test_what_is_not_offered_is_not_understood(
    fake_server: FakeServer, keyword: str, command: str, reply: str
) -> None:
    """An extension is missing from the offers, and so is what it brings."""
    fake_server.script = Script(without=(keyword,))
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send("EHLO client.example")
        assert keyword not in [line[4:].partition(" ")[0] for line in pipeline.read()]
        assert pipeline.ask(command).startswith(reply)


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT, Step.FINAL])
def test_a_service_closing_can_be_heard(fake_server: FakeServer, step: Step) -> None:
    """A client that has sent all reads the 421 reply, and hangs up."""
    fake_server.script = Script(replies={step: "421 4.3.2 Service not available"})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD + 'x' * 100_000 + '\r\n')}\r\nNOOP")
        assert ["421 4.3.2 Service not available"] in iter(pipeline.read, [])


@pytest.mark.parametrize("content", ["a\nb\r\n", "a\r\nb\r\n"])
def test_bare_line_feeds(fake_server: FakeServer, content: str) -> None:
    """Only what is said to be binary may have them."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\n{chunk(HEAD + content)}")
        assert codes(pipeline, 3)[-1] == ("550" if content == "a\nb\r\n" else "250")
        binary = ENVELOPE.replace("\r\n", " BODY=BINARYMIME\r\n")
        pipeline.send(f"RSET\r\n{binary}\r\n{chunk(HEAD + content)}")
        assert codes(pipeline, 4) == ["250"] * 4
    assert fake_server.received[-1].body == "BINARYMIME"
