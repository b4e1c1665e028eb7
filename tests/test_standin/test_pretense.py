"""What the server offers and does not know, and how it loses its patience."""

import pytest

from tests.standin import Script, StandIn

from .client import ALICE, BOB, Wire, encoded

FLIGHT = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"
NOBODY = "550 5.1.1 User unknown"


def offers(wire: Wire) -> list[str]:
    """Return the extensions that are offered."""
    wire.send("EHLO client.example")
    return [line[4:].partition(" ")[0] for line in wire.read()]


@pytest.mark.parametrize(
    ("keyword", "command", "reply"),
    [
        ("CHUNKING", "BDAT 7 LAST", "500 5.3.3 Unrecognized command"),
        ("8BITMIME", f"MAIL FROM:<{ALICE}> BODY=8BITMIME", "501 5.5.4"),
        ("SMTPUTF8", f"MAIL FROM:<{ALICE}> SMTPUTF8", "501 5.5.4"),
        ("SIZE", f"MAIL FROM:<{ALICE}> SIZE=7", "501 5.5.4"),
    ],
)
def test_what_is_pretended_is_offered_and_not_understood(
    standin: StandIn, keyword: str, command: str, reply: str
) -> None:
    """A proxy passes the offers of the server behind it on, and what goes with them not."""
    standin.script = Script(pretends=(keyword,))
    with Wire.signed_in(standin) as wire:
        assert keyword in offers(wire)
        assert wire.ask(command).startswith(reply)


def test_pretended_pipelining(standin: StandIn) -> None:
    """Who does not wait is told so and hung up on, though it is offered."""
    standin.script = Script(pretends=("PIPELINING",))
    with Wire.signed_in(standin) as wire:
        assert "PIPELINING" in offers(wire)
        wire.send(FLIGHT)
        assert wire.read()[0].startswith("503 5.5.0 Improper use")
        assert wire.read() == []


def test_the_content_of_an_unknown_command_is_taken_for_commands(standin: StandIn) -> None:
    """Nothing that belongs to it is read."""
    standin.script = Script(unknown={"BDAT": "502 5.5.1 Not implemented"})
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\nBDAT 6 LAST\r\nNOOP")
        codes = [wire.read()[-1][:3] for _ in range(4)]
    assert codes == ["250", "250", "502", "250"]
    assert standin.received == []


def test_commands_are_unknown_in_a_form(standin: StandIn) -> None:
    """The mechanism alone is fine where an answer with it is too much."""
    standin.script = Script(unknown={r"AUTH \S+ \S": "500 Line too long"})
    with Wire.secured(standin) as wire:
        assert wire.ask(f"AUTH LOGIN {encoded(ALICE)}") == "500 Line too long"
        assert wire.ask("AUTH LOGIN").startswith("334 ")


def test_too_many_errors(standin: StandIn) -> None:
    """After the last that is borne comes a farewell, unasked, and the end."""
    standin.script = Script(max_errors=2, refuse_recipients={BOB: NOBODY})
    with Wire.signed_in(standin) as wire:
        wire.send(f"{FLIGHT}\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{ALICE}>")
        replies = [reply[-1] for reply in iter(wire.read, [])]
    assert replies[1:3] == [NOBODY, NOBODY]
    assert replies[3].startswith("421 4.7.0 Too many errors")
    assert len(replies) == 4
