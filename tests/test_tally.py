"""The tally counts the recipients of a day, and comes back from what was stored of it."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.outlook_smtp.tally import GRAIN, PERIOD, Tally

NOW = datetime(2026, 3, 1, 12, 9, 59, tzinfo=UTC)  # The last second of a grain.


def test_recipients_are_counted_for_a_day() -> None:
    """They count for 24 hours at least, and for ten minutes more at most."""
    tally = Tally()
    tally.add(NOW, 3)
    tally.add(NOW + timedelta(hours=12), 2)
    assert tally.count(NOW) == 5
    assert tally.count(NOW + PERIOD) == 5
    assert tally.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 2
    assert tally.count(NOW + timedelta(days=2)) == 0


def test_clock_that_was_far_ahead_is_not_counted_for_years() -> None:
    """What it has counted in the future counts from the time at which it was set right."""
    tally = Tally()
    tally.add(NOW + timedelta(days=9_000), 3)
    assert tally.count(NOW) == 3
    assert tally.count(NOW + PERIOD) == 3
    assert tally.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 0


def test_tally_does_not_grow_with_the_mail() -> None:
    """What is counted within ten minutes is one number, and old numbers are forgotten."""
    tally = Tally()
    for second in range(60):
        tally.add(NOW - timedelta(seconds=second), 1)
    assert len(tally.as_dict()["counts"]) == 1
    tally.count(NOW + timedelta(days=2))
    assert tally.as_dict() == {"counts": {}}


def test_tally_comes_back_from_its_stored_form() -> None:
    """It is stored as JSON, and counts on."""
    tally = Tally()
    tally.add(NOW, 3)
    stored = json.loads(json.dumps(tally.as_dict()))
    tally = Tally.from_dict(stored)
    tally.add(NOW, 1)
    assert tally.count(NOW) == 4


@pytest.mark.parametrize(
    "stored",
    [{}, {"counts": None}, {"counts": [1]}, {"counts": {"noon": 1}}, {"counts": {"1": None}}],
)
def test_what_is_not_a_tally_counts_as_nothing(stored: dict[str, Any]) -> None:
    """What another version or a person has stored does no harm."""
    assert Tally.from_dict(stored).count(NOW) == 0
