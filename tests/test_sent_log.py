"""The rolling counter counts the recipients of a day, and can be stored and restored."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.outlook_smtp.sent_log import GRAIN, PERIOD, RollingCounter

NOW = datetime(2026, 3, 1, 12, 9, 59, tzinfo=UTC)  # The last second of a time slot.


def test_recipients_are_counted_for_a_day() -> None:
    """They count for at least 24 hours, and at most ten minutes more."""
    counter = RollingCounter()
    counter.add(NOW, 3)
    counter.add(NOW + timedelta(hours=12), 2)
    assert counter.count(NOW) == 5
    assert counter.count(NOW + PERIOD) == 5
    assert counter.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 2
    assert counter.count(NOW + timedelta(days=2)) == 0


def test_counts_in_the_future_do_not_last_for_years() -> None:
    """What was counted in the future counts from the time the clock was corrected."""
    counter = RollingCounter()
    counter.add(NOW + timedelta(days=9_000), 3)
    assert counter.count(NOW) == 3
    assert counter.count(NOW + PERIOD) == 3
    assert counter.count(NOW + PERIOD + timedelta(seconds=GRAIN)) == 0


def test_counter_does_not_grow_with_the_mail() -> None:
    """Counts within ten minutes share a number, and old numbers are dropped."""
    counter = RollingCounter()
    for second in range(60):
        counter.add(NOW - timedelta(seconds=second), 1)
    assert len(counter.as_dict()["counts"]) == 1
    counter.count(NOW + timedelta(days=2))
    assert counter.as_dict() == {"counts": {}}


def test_counter_can_be_stored_and_restored() -> None:
    """It is stored as JSON, and keeps counting."""
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
def test_invalid_data_is_ignored(stored: dict[str, Any]) -> None:
    """Data from another version or edited by hand does no harm."""
    assert RollingCounter.from_dict(stored).count(NOW) == 0
