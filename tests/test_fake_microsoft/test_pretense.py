"""Extensions that the server offers but does not support, and how it limits errors."""

import pytest

from tests.fake_microsoft import FakeServer, Script

from .client import ALICE, BOB, Pipeline, encoded

ENVELOPE = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>"
NOBODY = "550 5.1.1 User unknown"


def offers(pipeline: Pipeline) -> list[str]:
    """Return the offered extensions."""
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
def test_pretended_extension_is_offered_but_does_not_work(
    fake_server: FakeServer, keyword: str, command: str, reply: str
) -> None:
    """A proxy passes on the extensions of the server behind it, but not their commands."""
    fake_server.script = Script(pretends=(keyword,))
    with Pipeline.signed_in(fake_server) as pipeline:
        assert keyword in offers(pipeline)
        assert pipeline.ask(command).startswith(reply)


def test_pretended_pipelining_dismisses_the_client(fake_server: FakeServer) -> None:
    """A client that does not wait gets an error and is disconnected, though it is offered."""
    fake_server.script = Script(pretends=("PIPELINING",))
    with Pipeline.signed_in(fake_server) as pipeline:
        assert "PIPELINING" in offers(pipeline)
        pipeline.send(ENVELOPE)
        assert pipeline.read()[0].startswith("503 5.5.0 Improper use")
        assert pipeline.read() == []


def test_content_of_an_unknown_command_is_read_as_commands(fake_server: FakeServer) -> None:
    """Its content is not read."""
    fake_server.script = Script(unknown={"BDAT": "502 5.5.1 Not implemented"})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\nBDAT 6 LAST\r\nNOOP")
        codes = [pipeline.read()[-1][:3] for _ in range(4)]
    assert codes == ["250", "250", "502", "250"]
    assert fake_server.received == []


def test_commands_can_be_unknown_in_one_form(fake_server: FakeServer) -> None:
    """The mechanism alone is accepted where an initial response is not."""
    fake_server.script = Script(unknown={r"AUTH \S+ \S": "500 Line too long"})
    with Pipeline.secured(fake_server) as pipeline:
        assert pipeline.ask(f"AUTH LOGIN {encoded(ALICE)}") == "500 Line too long"
        assert pipeline.ask("AUTH LOGIN").startswith("334 ")


def test_too_many_errors_end_the_session(fake_server: FakeServer) -> None:
    """After the last tolerated error comes an unsolicited 421 reply, and the end."""
    fake_server.script = Script(max_errors=2, refuse_recipients={BOB: NOBODY})
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"{ENVELOPE}\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<{ALICE}>")
        replies = [reply[-1] for reply in iter(pipeline.read, [])]
    assert replies[1:3] == [NOBODY, NOBODY]
    assert replies[3].startswith("421 4.7.0 Too many errors")
    assert len(replies) == 4
