"""The demo reads the forms and the log of any Home Assistant, whatever its release."""

from pathlib import Path

import pytest

from scripts._demo.console import DemoError
from scripts._demo.dialogs import pick_values
from scripts._demo.home import Home, read_complaints

OURS = "ERROR (MainThread) [custom_components.outlook_smtp.mailer] Cannot send\nTraceback: …"
OTHERS = "ERROR (MainThread) [homeassistant.components.camera] No picture"
FINE = "INFO (MainThread) [custom_components.outlook_smtp.health] Email works again"
BROKEN = "Traceback (most recent call last):\n  custom_components/outlook_smtp/mailer.py, line 1"


@pytest.mark.parametrize(
    "time",
    [
        "2026-10-28 03:15:39.619",
        "2026-11-28 03:15:39.619+00:00",
        "2026-11-28 03:15:39.619-0330",
        "2027-01-01T03:15:39,619Z",
    ],
)
def test_complaints_are_found_with_and_without_an_offset(time: str) -> None:
    """Errors of the integration count, and those of others do not."""
    log = "\n".join([BROKEN, *(f"{time} {record}" for record in (OTHERS, OURS, FINE))])
    assert read_complaints(log) == [BROKEN, f"{time} {OURS}"]
    assert read_complaints("") == []


def test_log_that_cannot_be_read_ends_in_a_sentence(tmp_path: Path) -> None:
    """A log in an unknown form, or none at all, is an error and not a clean log."""
    with pytest.raises(DemoError, match="It begins with: Nov 28 ERROR"):
        read_complaints(f"Nov 28 {OURS}")
    with pytest.raises(DemoError, match=r"Cannot read .*hass\.log: No such file or directory\."):
        Home(tmp_path, 8123, tmp_path).complaints()


def test_form_gets_the_values_that_it_asks_for() -> None:
    """A release may ask for less than another one, but not for what nobody knows."""
    fields = [{"name": "file_path", "required": True}, {"name": "size", "required": False}]
    assert pick_values(fields, {"name": "Door", "file_path": "/door.jpg"}) == {
        "file_path": "/door.jpg"
    }
    with_default = {"name": "rate", "required": True, "default": 1}
    assert pick_values([with_default], {}) == {}
    with pytest.raises(DemoError, match="requires file_path,"):
        pick_values(fields, {"name": "Door"})
