"""Commands in flights and content in chunks (RFC 2920, RFC 3030), and replies in every manner."""

import pytest

from tests.standin import Manner, Script, StandIn, Step

from .client import ALICE, BOB, Wire

HEAD = f"From: {ALICE}\r\n\r\n"
HELLO = f"{HEAD}Hello\r\n"
NOBODY = "550 5.1.1 User unknown"
FLIGHT = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"


def chunk(content: str, *, last: bool = True) -> str:
    """Return a BDAT command with its octets, for a `send` that adds a line end of its own."""
    return f"BDAT {len(content)}{' LAST' if last else ''}\r\n{content.removesuffix('\r\n')}"


def codes(wire: Wire, count: int) -> list[str]:
    """Return the codes of the next replies."""
    return [(wire.read() or [""])[-1][:3] for _ in range(count)]


@pytest.mark.parametrize("manner", Manner)
def test_one_flight(standin: StandIn, manner: Manner) -> None:
    """Envelope and content are taken at once, and everything is answered in order."""
    with Wire.signed_in(standin) as wire:
        standin.script.manner = manner
        for _ in range(2):
            wire.send(f"RSET\r\n{FLIGHT}\r\n{chunk(HELLO)}")
            assert codes(wire, 4) == ["250"] * 4
    assert [mail.content for mail in standin.received] == [HELLO.encode()] * 2
    assert {mail.chunks for mail in standin.received} == {1}


def test_a_long_winded_server(standin: StandIn) -> None:
    """Every reply has many long lines, all of one code, and the last one is the usual."""
    standin.script = Script(manner=Manner.LONG_WINDED)
    with Wire.signed_in(standin) as wire:
        wire.send("NOOP")
        lines = wire.read()
    assert len(lines) > 20
    assert max(map(len, lines)) > 1800
    assert {line[:10] for line in lines[:-1]} == {"250-2.0.0 "}
    assert lines[-1] == "250 2.0.0 OK"


def test_many_chunks(standin: StandIn) -> None:
    """The message is what all of them make together."""
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\n{chunk(HEAD, last=False)}")
        wire.send(f"{chunk('one' * 70_000 + '\r\n', last=False)}")
        wire.send("BDAT 0 LAST")
        assert codes(wire, 5) == ["250"] * 5
    assert standin.received[0].content == HEAD.encode() + b"one" * 70_000 + b"\r\n"
    assert standin.received[0].chunks == 3


def test_nobody_to_take_it(standin: StandIn) -> None:
    """Content after a refused envelope is read all the same, and never taken for commands."""
    standin.script = Script(refuse_recipients={BOB: NOBODY})
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\n{chunk('QUIT\r\nQUIT\r\n', last=False)}\r\nRSET")
        assert codes(wire, 4) == ["250", "550", "503", "250"]
        wire.send(chunk("QUIT\r\n"))
        assert wire.read()[0].startswith("503 5.5.2 Need mail command")
    assert standin.received == []


def test_a_chunk_that_failed_fails_the_message(standin: StandIn) -> None:
    """What follows it is refused until all begins anew."""
    standin.script = Script(size=20)
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\n{chunk(HELLO, last=False)}")
        wire.send(chunk(HELLO))
        assert codes(wire, 4) == ["250", "250", "552", "503"]
        assert wire.ask("DATA").startswith("503")
        assert wire.ask("RSET").startswith("250")
    assert standin.received == []


@pytest.mark.parametrize(
    ("without", "flight"),
    [
        (("PIPELINING",), FLIGHT),
        ((), "NOOP\r\nNOOP"),
        ((), f"{FLIGHT}\r\nDATA\r\n{HELLO}"),
    ],
    ids=["not offered", "last in a group", "content before it is asked for"],
)
def test_haste_is_sent_away(standin: StandIn, without: tuple[str, ...], flight: str) -> None:
    """Who does not wait where he has to is told so and hung up on."""
    standin.script = Script(without=without)
    with Wire.signed_in(standin) as wire:
        wire.send(flight)
        replies = iter(wire.read, [])
        assert any("Improper use of SMTP command pipelining" in reply[0] for reply in replies)
    assert standin.received == []


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
    standin: StandIn, keyword: str, command: str, reply: str
) -> None:
    """An extension is missing from the offers, and so is what it brings."""
    standin.script = Script(without=(keyword,))
    with Wire.signed_in(standin) as wire:
        wire.send("EHLO client.example")
        assert keyword not in [line[4:].partition(" ")[0] for line in wire.read()]
        assert wire.ask(command).startswith(reply)


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT, Step.FINAL])
def test_a_farewell_can_be_heard(standin: StandIn, step: Step) -> None:
    """A client that has sent all reads the farewell, and hangs up."""
    standin.script = Script(replies={step: "421 4.3.2 Service not available"})
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\n{chunk(HEAD + 'x' * 100_000 + '\r\n')}\r\nNOOP")
        assert ["421 4.3.2 Service not available"] in iter(wire.read, [])


@pytest.mark.parametrize("content", ["a\nb\r\n", "a\r\nb\r\n"])
def test_bare_line_feeds(standin: StandIn, content: str) -> None:
    """Only what is said to be binary may have them."""
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\n{chunk(HEAD + content)}")
        assert codes(wire, 3)[-1] == ("550" if content == "a\nb\r\n" else "250")
        binary = FLIGHT.replace("\r\n", " BODY=BINARYMIME\r\n")
        wire.send(f"RSET\r\n{binary}\r\n{chunk(HEAD + content)}")
        assert codes(wire, 4) == ["250"] * 4
    assert standin.received[-1].body == "BINARYMIME"
