"""Notices when the clock of this machine is set."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
import time
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

LOOK_EVERY: Final = timedelta(seconds=1)
JUMP: Final = 2.0  # Seconds; a clock that is only adjusted does not gain as much for an hour.


class ClockWatch:
    """Compares the time of day with the clock that never jumps, until they part."""

    def __init__(self, hass: HomeAssistant, on_jump: Callable[[], Awaitable[None]]) -> None:
        """Wait for `start`.

        Args:
            hass: Home Assistant.
            on_jump: Is called once when the clock has jumped.

        """
        self._hass = hass
        self._on_jump = on_jump
        self._offset = 0.0
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Watch from now on, unless it does already."""
        if self._cancel is None:
            self._offset = _offset()
            self._cancel = async_track_time_interval(
                self._hass, self._async_look, LOOK_EVERY, cancel_on_shutdown=True
            )

    @callback
    def stop(self) -> None:
        """Watch no longer."""
        if self._cancel:
            self._cancel()
            self._cancel = None

    async def _async_look(self, _: datetime) -> None:
        """Compare the clocks."""
        if self._cancel and abs(_offset() - self._offset) >= JUMP:
            self.stop()
            await self._on_jump()


def _offset() -> float:
    """Return how far the clocks are apart."""
    return time.time() - time.monotonic()
