"""What the server offers and does not know, and how it loses its patience."""

import pytest

from tests.fake_microsoft import FakeServer, Script

from .client import ALICE, BOB, Pipeline, encoded

ENVELOPE = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"
NOBODY = "550 5.1.1 User unknown"


def offers(pipeline: Pipeline) -> list[str]:
    """Return the extensions that are offered."""
    pipeline.send("EHLO client.example")
    return [line[4:].partition(" ")[0] for line in pipeline.read()]


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
    fake_server: FakeServer, keyword: str, command: str, reply: str
) -> None:
    """A proxy passes the offers of the server behind it on, and what goes with them not."""
    fake_server.script = Script(pretends=(keyword,))
    with Pipeline.signed_in(fake_server) as pipeline:
        assert keyword in offers(pipeline)
        assert pipeline.ask(command).startswith(reply)


def test_pretended_pipelining(fake_server: FakeServer) -> None:
    """Who does not wait is told so and hung up on, though it is offered."""
    fake_server.script = Script(pretends=("PIPELINING",))
    with Pipeline.signed_in(fake_server) as pipeline:
        assert "PIPELINING" in offers(pipeline)
        pipeline.send(ENVELOPE)
        assert pipeline.read()[0].startswith("503 5.5.0 Improper use")
        assert pipeline.read() == []


def test_the_content_of_an_unknown_command_is_taken_for_commands(fake_server: FakeServer) -> None:
    """Nothing that belongs to it is read."""
    fake_server.script = Script(unknown={"BDAT": "502 5.5.1 Not implemented"})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\nBDAT 6 LAST\r\nNOOP")
        codes = [pipeline.read()[-1][:3] for _ in range(4)]
    assert codes == ["250", "250", "502", "250"]
    assert fake_server.received == []


def test_commands_are_unknown_in_a_form(fake_server: FakeServer) -> None:
    """The mechanism alone is fine where an answer with it is too much."""
    fake_server.script = Script(unknown={r"AUTH \S+ \S": "500 Line too long"})
    with Pipeline.secured(fake_server) as pipeline:
        assert pipeline.ask(f"AUTH LOGIN {encoded(ALICE)}") == "500 Line too long"
        assert pipeline.ask("AUTH LOGIN").startswith("334 ")


def test_too_many_errors(fake_server: FakeServer) -> None:
    """After the last that is borne comes a 421 reply, unasked, and the end."""
    fake_server.script = Script(max_errors=2, refuse_recipients={BOB: NOBODY})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{ALICE}>")
        replies = [reply[-1] for reply in iter(pipeline.read, [])]
    assert replies[1:3] == [NOBODY, NOBODY]
    assert replies[3].startswith("421 4.7.0 Too many errors")
    assert len(replies) == 4
