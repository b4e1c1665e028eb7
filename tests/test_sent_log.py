"""The sent log counts the recipients of a day, and comes back from what was stored of it."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.outlook_smtp.sent_log import GRAIN, PERIOD, RollingCounter

NOW = datetime(2026, 3, 1, 12, 9, 59, tzinfo=UTC)  # The last second of a grain.


def test_recipients_are_counted_for_a_day() -> None:
    """They count for 24 hours at least, and for ten minutes more at most."""
    counter = RollingCounter()
    counter.add(NOW, 3)
    counter.add(NOW + timedelta(hours=12), 2)
    assert counter.count(NOW) == 5
    assert counter.count(NOW + PERIOD) == 5
    assert counter.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 2
    assert counter.count(NOW + timedelta(days=2)) == 0


def test_clock_that_was_far_ahead_is_not_counted_for_years() -> None:
    """What it has counted in the future counts from the time at which it was set right."""
    counter = RollingCounter()
    counter.add(NOW + timedelta(days=9_000), 3)
    assert counter.count(NOW) == 3
    assert counter.count(NOW + PERIOD) == 3
    assert counter.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 0


def test_counter_does_not_grow_with_the_mail() -> None:
    """What is counted within ten minutes is one number, and old numbers are forgotten."""
    counter = RollingCounter()
    for second in range(60):
        counter.add(NOW - timedelta(seconds=second), 1)
    assert len(counter.as_dict()["counts"]) == 1
    counter.count(NOW + timedelta(days=2))
    assert counter.as_dict() == {"counts": {}}


def test_counter_comes_back_from_its_stored_form() -> None:
    """It is stored as JSON, and counts on."""
    counter = RollingCounter()
    counter.add(NOW, 3)
    stored = json.loads(json.dumps(counter.as_dict()))
    counter = RollingCounter.from_dict(stored)
    counter.add(NOW, 1)
    assert counter.count(NOW) == 4


@pytest.mark.parametrize(
    "stored",
    [{}, {"counts": None}, {"counts": [1]}, {"counts": {"noon": 1}}, {"counts": {"1": None}}],
)
def test_what_is_not_a_counter_counts_as_nothing(stored: dict[str, Any]) -> None:
    """What another version or a person has stored does no harm."""
    assert RollingCounter.from_dict(stored).count(NOW) == 0
