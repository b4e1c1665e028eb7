"""The fields of a call that say when to send an email, and for how long it is of use."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final

from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..const import ATTR_DEDUPLICATE, ATTR_EXPIRES_AFTER, ATTR_SEND_AT
from ..errors import input_error

LONGEST: Final = timedelta(days=7)  # As long as failed messages are kept.
FARTHEST: Final = timedelta(days=366)


def duration(value: Any) -> float:
    """Return a duration in seconds, from a number of seconds or what a duration selector gives.

    Raises `vol.Invalid` if it is none, or not between a second and a week.
    """
    if isinstance(value, bool):
        raise vol.Invalid("not a duration")
    if isinstance(value, bool):
        raise vol.Invalid("not a duration")
    try:
        period: timedelta = cv.time_period(value)
    except (OverflowError, ValueError) as error:
        raise vol.Invalid("not a duration") from error
    if not timedelta(seconds=1) <= period <= LONGEST:
        raise vol.Invalid("too short or too long")
    return period.total_seconds()


def duration_or_off(value: Any) -> float:
    """Return a duration in seconds, or 0 to turn something off."""
    return 0.0 if value in (0, "0", False) else duration(value)


def point_in_time(value: Any) -> datetime:
    """Return a time of day: a date and time, or the next time that a clock shows that time.

    Without a time zone, it is in Home Assistant's. One that has passed is kept: it means now.

    Raises `vol.Invalid` if it is none, or more than a year ahead.
    """
    try:
        found = _next(value) or _read_datetime(value)
        found = found.replace(tzinfo=found.tzinfo or dt_util.get_default_time_zone())
        is_near = found <= dt_util.utcnow() + FARTHEST
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise vol.Invalid("not a time") from error
    if not is_near:
        raise vol.Invalid("too far ahead")
    return found


def read_timing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an outgoing message that say when it is sent, from those of an action.

    Raises `ServiceValidationError` with the name of an invalid field.
    """
    timing: dict[str, Any] = {}
    for field, (read, key) in _FIELDS.items():
        if field in fields:
            try:
                timing[field] = read(fields[field])
            except vol.Invalid as error:
                raise input_error(key, field, str(fields[field])) from error
    return timing


_FIELDS: Final = {
    ATTR_SEND_AT: (point_in_time, "invalid_time"),
    ATTR_EXPIRES_AFTER: (duration, "invalid_duration"),
    ATTR_DEDUPLICATE: (duration_or_off, "invalid_duration"),
}


def _next(value: Any) -> datetime | None:
    """Return when a clock next shows a time, or None if a value is not only a time."""
    clock = value if isinstance(value, time) else dt_util.parse_time(str(value))
    if clock is None:
        return None
    now = dt_util.now()
    found = datetime.combine(now, clock, now.tzinfo)
    return found if found > now else datetime.combine(now + timedelta(days=1), clock, now.tzinfo)


def _read_datetime(value: Any) -> datetime:
    """Return a date and time; raise `ValueError` if it is none."""
    if isinstance(value, datetime):
        return value
    if (found := dt_util.parse_datetime(str(value))) is None:
        raise ValueError("not a time")
    return found
