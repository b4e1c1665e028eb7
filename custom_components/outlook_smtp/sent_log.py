"""Count the recipients of the last 24 hours, and save the counts in a file."""

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
GRAIN: Final = 600  # Seconds; counts within the same grain expire together.


class RollingCounter:
    """The number of recipients, by the time at which messages were sent."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """Start with known counts: recipients by the number of a grain since the epoch."""
        self._counts = dict(counts or {})

    def add(self, now: datetime, recipients: int) -> None:
        """Count recipients."""
        grain = int(now.timestamp()) // GRAIN
        self._counts[grain] = self._counts.get(grain, 0) + recipients

    def count(self, now: datetime) -> int:
        """Return the number of recipients in the last 24 hours, and forget older ones.

        None is forgotten too early: some count up to a grain longer. Recipients counted far in the
        future, because the clock was wrong, are moved to the present.
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
        """Return the counts as they are stored."""
        return {"counts": {str(grain): count for grain, count in self._counts.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a counter from stored counts; invalid data gives an empty counter."""
        try:
            return cls({int(grain): int(count) for grain, count in values["counts"].items()})
        except AttributeError, KeyError, TypeError, ValueError:
            return cls()


class SentLog:
    """What an account has sent, saved as soon as it changes.

    Home Assistant itself saves states every 15 minutes, so a crash would lose the latest. A power
    cut may lose the last seconds: syncing a mere count would wear the disk for every message.
    Changes during a write are written right after it: at most one small write per message, and
    fewer in a burst.
    """

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
        """Start empty; `async_load` reads the file."""
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
        """Read the file, if there is one."""
        values = await asyncio.to_thread(read_json, self._path)
        self.was_kept = bool(values)
        self.counter = RollingCounter.from_dict(values)
        self.last_sent = dt_util.parse_datetime(str(values.get("last_sent")))

    @callback
    def async_subscribe(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call a listener when a message is sent; return a function that unsubscribes it."""
        self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    @callback
    def async_on_turn(self, delivery: Delivery | None) -> None:
        """Record a message that was sent just now."""
        if delivery is None or delivery.event is not Event.SENT:
            return
        self.last_sent = dt_util.utcnow()
        self.counter.add(self.last_sent, len(delivery.recipients))
        for listener in tuple(self._listeners):
            listener()
        self.async_save()

    @callback
    def async_save(self) -> None:
        """Save the log to disk."""
        self._is_written = False
        if not self._is_writing:
            self._is_writing = True
            self._task = self._entry.async_create_task(
                self._hass, self._async_write(), "what was sent"
            )

    async def async_settle(self) -> None:
        """Wait until a write in progress has finished."""
        await asyncio.gather(*filter(None, (self._task,)))

    async def _async_write(self) -> None:
        """Write the file, and again as long as something has changed meanwhile."""
        while not self._is_written:
            self._is_written = True
            self.counter.count(dt_util.utcnow())  # Drops expired counts before writing.
            last_sent = self.last_sent and self.last_sent.isoformat()
            values = {**self.counter.as_dict(), "last_sent": last_sent}
            try:
                await asyncio.to_thread(write_json, self._path, values, is_durable=False)
            except OSError as error:
                _LOGGER.error("The log of sent mail cannot be saved: %s", error.strerror)
        self._is_writing = False


async def async_remove_log(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Delete the file of a removed account."""
    with suppress(OSError):
        await asyncio.to_thread(unlink, _path(hass, entry))


def _path(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Path:
    """Return the path of an account's log file."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.sent"))
