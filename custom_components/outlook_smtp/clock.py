"""Convert between the clocks, and detect changes of the system clock."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from math import inf
import time
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

POLL_INTERVAL: Final = timedelta(seconds=1)
JUMP: Final = 2.0  # Seconds; gradual clock adjustment gains less than this in an hour.


def time_of(due: float) -> str | None:
    """Convert a monotonic time to a time of day, or return None if it is infinite."""
    if due == inf:
        return None
    wait = max(due - time.monotonic(), 0.0)
    return (dt_util.utcnow() + timedelta(seconds=round(wait))).isoformat()


class ClockWatch:
    """Compares the time of day with the monotonic clock until they diverge."""

    def __init__(self, hass: HomeAssistant, on_jump: Callable[[], Awaitable[None]]) -> None:
        """Set up, without watching yet.

        Args:
            hass: Home Assistant.
            on_jump: Called once, when the clock has jumped.

        """
        self._hass = hass
        self._on_jump = on_jump
        self._offset = 0.0
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Start watching, unless already started."""
        if self._cancel is None:
            self._offset = _offset()
            self._cancel = async_track_time_interval(
                self._hass, self._async_compare, POLL_INTERVAL, cancel_on_shutdown=True
            )

    @callback
    def stop(self) -> None:
        """Stop watching."""
        if self._cancel:
            self._cancel()
            self._cancel = None

    async def _async_compare(self, _: datetime) -> None:
        """Compare the clocks."""
        if self._cancel and abs(_offset() - self._offset) >= JUMP:
            self.stop()
            await self._on_jump()


def _offset() -> float:
    """Return the offset between the clocks."""
    return time.time() - time.monotonic()
