"""The fake server, run manually."""

from pathlib import Path
import ssl
import sys

import pytest

from tests.fake_microsoft import CATALOGUE, FakeServer, Script, Step
from tests.fake_microsoft.__main__ import (
    describe,
    main,
    parse_arguments,
    print_addresses,
    script_of,
)

from .client import ALICE, logged_in, outgoing


def arguments(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Set the command line."""
    monkeypatch.setattr(sys, "argv", ["fake_server", *words])


def test_catalogue_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The catalogue is listed by name."""
    arguments(monkeypatch, "--list")
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [row.name for row in CATALOGUE]


def test_command_line_becomes_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line becomes a script."""
    row = CATALOGUE[0]
    arguments(monkeypatch, "--row", row.name, "--drop", "mail", "--stall", "quit", "--delay", "5")
    assert script_of(parse_arguments()) == Script(
        replies={row.step: row.reply}, drop=Step.MAIL, stall=Step.QUIT, refusal_delay=5
    )


@pytest.mark.usefixtures("socket_enabled")
def test_server_runs_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It runs until Ctrl-C, and prints its address."""
    ca_file = tmp_path / "ca.pem"
    places = ("--port", "0", "--graph", "0", "--write-ca", str(ca_file))
    arguments(monkeypatch, *places, "--mailbox", "a@b.example:c:d", "--token", "a@b.example:e")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tests.fake_microsoft.__main__.time.sleep", interrupt)
    main()
    output = capsys.readouterr().out
    assert "Listening on localhost:" in output
    assert "REQUESTS_CA_BUNDLE=/" in output
    assert "Mailbox: a@b.example with password c:d" in output
    assert "Microsoft Graph at https://127.0.0.1:" in output
    assert ssl.create_default_context(cafile=ca_file).get_ca_certs()


def test_mail_is_readable(fake_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A message is printed with its envelope, headers, text and attachments."""
    message = outgoing(text="Hello there.")
    message.add_attachment(b"x", maintype="image", subtype="png", filename="door.png")
    with logged_in(fake_server) as client:
        client.send_message(message)
    text = describe(fake_server.received[0])
    for part in (f"from <{ALICE}>", "Subject: Test", "Hello there.", "[attachment: door.png]"):
        assert part in text
    print_addresses(fake_server)
    assert f"localhost:{fake_server.port}" in capsys.readouterr().out
