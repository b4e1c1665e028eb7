"""Counts recipients over the last 24 hours, and keeps what was sent in a file of its own."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .outbox.disk import read_json, unlink, write_json
from .outbox.events import Delivery, Event

if TYPE_CHECKING:
    from .coordinator import OutlookSmtpConfigEntry

_LOGGER = logging.getLogger(__name__)

PERIOD: Final = timedelta(hours=24)
GRAIN: Final = 600  # Seconds; what is counted within them grows old together.


class RollingCounter:
    """How many recipients, by the time at which mail was sent to them."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """Start with what is known: recipients by the number of a grain since the epoch."""
        self._counts = dict(counts or {})

    def add(self, now: datetime, recipients: int) -> None:
        """Count recipients."""
        grain = int(now.timestamp()) // GRAIN
        self._counts[grain] = self._counts.get(grain, 0) + recipients

    def count(self, now: datetime) -> int:
        """Return how many there were in the last 24 hours, and forget those before.

        None is forgotten too early: some count for a grain longer. What a clock that was far
        ahead has counted in the future counts from now on.
        """
        present = int(now.timestamp()) // GRAIN
        oldest = int((now - PERIOD).timestamp()) // GRAIN
        newest = int((now + PERIOD).timestamp()) // GRAIN
        counts: dict[int, int] = {}
        for grain, count in self._counts.items():
            if grain >= oldest:
                at = grain if grain <= newest else present
                counts[at] = counts.get(at, 0) + count
        self._counts = counts
        return sum(counts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return {"counts": {str(grain): count for grain, count in self._counts.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what was stored; what is not of that form counts as nothing."""
        try:
            return cls({int(grain): int(count) for grain, count in values["counts"].items()})
        except AttributeError, KeyError, TypeError, ValueError:
            return cls()


class SentLog:
    """What an account has sent, on disk as soon as it changes.

    Home Assistant itself keeps states every 15 minutes, which a power cut takes back. Whatever
    changes while the file is written goes into it at once afterwards: a small file for each
    message at most, and fewer in a burst.
    """

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
        """Start with nothing; `async_load` reads what is there."""
        self.counter = RollingCounter()
        self.last_sent: datetime | None = None
        self.was_kept = False
        self._listeners: set[CALLBACK_TYPE] = set()
        self._hass = hass
        self._entry = entry
        self._path = _path(hass, entry)
        self._is_written = True
        self._is_writing = False
        self._task: asyncio.Task[None] | None = None

    async def async_load(self) -> None:
        """Read what was written, if there is anything."""
        values = await asyncio.to_thread(read_json, self._path)
        self.was_kept = bool(values)
        self.counter = RollingCounter.from_dict(values)
        self.last_sent = dt_util.parse_datetime(str(values.get("last_sent")))

    @callback
    def async_subscribe(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call a listener when a message was sent; return what ends that."""
        self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    @callback
    def async_on_turn(self, delivery: Delivery | None) -> None:
        """Note a message that was sent now."""
        if delivery is None or delivery.event is not Event.SENT:
            return
        self.last_sent = dt_util.utcnow()
        self.counter.add(self.last_sent, len(delivery.recipients))
        for listener in tuple(self._listeners):
            listener()
        self.async_save()

    @callback
    def async_save(self) -> None:
        """Bring what is known to the disk."""
        self._is_written = False
        if not self._is_writing:
            self._is_writing = True
            self._task = self._entry.async_create_task(
                self._hass, self._async_write(), "what was sent"
            )

    async def async_settle(self) -> None:
        """Wait until what is being written is written."""
        await asyncio.gather(*filter(None, (self._task,)))

    async def _async_write(self) -> None:
        """Write until nothing has changed meanwhile."""
        while not self._is_written:
            self._is_written = True
            self.counter.count(dt_util.utcnow())  # What is too old is not written again.
            last_sent = self.last_sent and self.last_sent.isoformat()
            values = {**self.counter.as_dict(), "last_sent": last_sent}
            try:
                await asyncio.to_thread(write_json, self._path, values)
            except OSError as error:
                _LOGGER.error("What was sent cannot be kept for a restart: %s", error.strerror)
        self._is_writing = False


async def async_remove_log(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Delete the file of an account that is removed."""
    with suppress(OSError):
        await asyncio.to_thread(unlink, _path(hass, entry))


def _path(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Path:
    """Return the path of an account's file."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.sent"))
