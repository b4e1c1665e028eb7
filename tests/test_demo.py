"""The demo understands the forms and the log of any Home Assistant release."""

from pathlib import Path

import pytest

from demo.__main__ import require_clean_log
from demo.console import DemoError
from demo.dialogs import pick_values

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
