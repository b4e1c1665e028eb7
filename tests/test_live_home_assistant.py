"""The log of any Home Assistant release can be searched for errors."""

import pytest

from .live_home_assistant import complaints

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
    assert complaints(log) == [BROKEN, f"{time} {OURS}"]
    assert complaints("") == []


def test_log_that_cannot_be_read_is_not_a_clean_one() -> None:
    """A log in an unknown format is an error."""
    with pytest.raises(ValueError, match="It begins with: Nov 28 ERROR"):
        complaints(f"Nov 28 {OURS}")
