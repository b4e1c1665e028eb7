"""The stand-in run by hand."""

from pathlib import Path
import ssl
import sys

import pytest

from tests.standin import CATALOGUE, Script, StandIn, Step
from tests.standin.__main__ import describe, introduce, main, parse_arguments, script_of

from .client import ALICE, letter, logged_in


def arguments(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Set the command line."""
    monkeypatch.setattr(sys, "argv", ["standin", *words])


def test_list(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The catalogue is listed by name."""
    arguments(monkeypatch, "--list")
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [row.name for row in CATALOGUE]


def test_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line becomes a script."""
    row = CATALOGUE[0]
    arguments(monkeypatch, "--row", row.name, "--drop", "mail", "--stall", "quit", "--delay", "5")
    assert script_of(parse_arguments()) == Script(
        replies={row.step: row.reply}, drop=Step.MAIL, stall=Step.QUIT, refusal_delay=5
    )


@pytest.mark.usefixtures("socket_enabled")
def test_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It runs until Ctrl-C, and says where."""
    ca_file = tmp_path / "ca.pem"
    arguments(
        monkeypatch, "--port", "0", "--mailbox", "a@b.example:c:d", "--write-ca", str(ca_file)
    )

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.standin.__main__.time.sleep", interrupt)
    main()
    output = capsys.readouterr().out
    assert "Listening on localhost:" in output
    assert "REQUESTS_CA_BUNDLE=/" in output
    assert "Mailbox: a@b.example with password c:d" in output
    assert ssl.create_default_context(cafile=ca_file).get_ca_certs()


def test_mail_is_readable(standin: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """A message is printed with its envelope, headers, text and attachments."""
    message = letter(text="Hello there.")
    message.add_attachment(b"x", maintype="image", subtype="png", filename="door.png")
    with logged_in(standin) as client:
        client.send_message(message)
    text = describe(standin.received[0])
    for part in (f"from <{ALICE}>", "Subject: Test", "Hello there.", "[attachment: door.png]"):
        assert part in text
    introduce(standin)
    assert f"localhost:{standin.port}" in capsys.readouterr().out
