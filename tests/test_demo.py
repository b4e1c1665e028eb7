"""The demo understands the forms and the log of any Home Assistant release."""

from pathlib import Path
import sys

import pytest

from demo.__main__ import parse_arguments, require_clean_log
from demo.console import DemoError
from demo.dialogs import pick_values
from demo.fakes import Fakes

TIME = "2026-11-28 03:15:39.619+00:00"


def test_bad_log_is_a_readable_error(tmp_path: Path) -> None:
    """A log in an unknown format, or none at all, is an error and not a clean log."""
    log = tmp_path / "hass.log"
    with pytest.raises(DemoError, match=r"Cannot read .*hass\.log\. .*No such file"):
        require_clean_log(log)
    log.write_text("Nov 28 ERROR (MainThread) [custom_components.outlook_smtp.mailer] No")
    with pytest.raises(DemoError, match="It begins with: Nov 28 ERROR"):
        require_clean_log(log)
    log.write_text(f"{TIME} ERROR (MainThread) [custom_components.outlook_smtp.mailer] Cannot send")
    with pytest.raises(DemoError, match=r"log complains:\n\n.* Cannot send"):
        require_clean_log(log)
    log.write_text(f"{TIME} INFO (MainThread) [custom_components.outlook_smtp.health] Works again")
    require_clean_log(log)


def test_form_gets_the_required_values() -> None:
    """A release may ask for fewer values, but not for unknown ones."""
    fields = [{"name": "file_path", "required": True}, {"name": "size", "required": False}]
    assert pick_values(fields, {"name": "Door", "file_path": "/door.jpg"}) == {
        "file_path": "/door.jpg"
    }
    with_default = {"name": "rate", "required": True, "default": 1}
    assert pick_values([with_default], {}) == {}
    with pytest.raises(DemoError, match="requires file_path,"):
        pick_values(fields, {"name": "Door"})


def test_graph_is_shown_after_a_sign_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The route is chosen by an option, which needs another one."""
    monkeypatch.setattr(sys, "argv", ["demo", "--once", "--sign-in", "--route", "graph"])
    assert parse_arguments().route == "graph"
    monkeypatch.setattr(sys, "argv", ["demo", "--sign-in"])
    assert parse_arguments().route == "smtp"
    monkeypatch.setattr(sys, "argv", ["demo", "--route", "graph"])
    with pytest.raises(SystemExit):
        parse_arguments()
    assert "--route graph needs --sign-in" in capsys.readouterr().err


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("graph", [False, True])
def test_fakes_of_a_route(*, graph: bool) -> None:
    """SMTP is switched off only where Microsoft Graph receives the email."""
    with Fakes.running(0, sign_in=True, graph=graph) as fakes:
        assert fakes.identity
        refusals = " ".join(fakes.server.script.replies.values())
        assert ("disabled for the Mailbox" in refusals) is graph
        assert fakes.receiver is (fakes.graph if graph else fakes.server)
