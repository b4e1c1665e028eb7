"""An account whose outbox has many waiting messages: how they get there, and adding one more."""

from datetime import UTC, datetime
import os
from pathlib import Path
from statistics import median
import time
from typing import Any, ClassVar, Final, override

from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.outbox.entry import SpoolEntry
from custom_components.outlook_smtp.outbox.spool import Spool
from tests import home

from .senders import Ours
from .servers import ADDRESS

ADDED: Final = 50  # Messages; their median counts.
CONTENT: Final = b"Subject: Door\r\n\r\n" + 2000 * b"Somebody rang the bell. "  # 48 KB.


class Waiting(Ours):
    """An outbox that the user holds: nothing is sent."""

    waiting: ClassVar[int]
    linger = 0.0

    @override
    async def open(self) -> None:
        """Start Home Assistant, and fill the outbox of the account, which is not set up yet."""
        await self.start_account()
        name = f"{DOMAIN}.{home.ENTRY_ID}.outbox"
        fill(Spool(Path(self.hass.config.path(STORAGE_DIR, name))), self.waiting)

    async def set_up(self) -> None:
        """Set the account up."""
        self.runtime = (await home.add(self.hass, DOMAIN)).runtime_data
        assert len(self.runtime.queue.waiting) == self.waiting

    async def add(self) -> float:
        """Return the median seconds until the action for one more message returns."""
        durations = []
        for _ in range(ADDED):
            began = time.perf_counter()
            await self.send()
            durations.append(time.perf_counter() - began)
        return median(durations)


class Few(Waiting):
    """A short queue, to compare with."""

    label = "10 waiting"
    waiting = 10


class Many(Waiting):
    """As many as the options allow at first."""

    label = "1,000 waiting"
    waiting = 1000


class VeryMany(Waiting):
    """As many as the options allow at all."""

    label = "10,000 waiting"
    waiting = 10_000


SIZES: Final = (Few, Many, VeryMany)


def fill(spool: Spool, number: int) -> None:
    """Write waiting messages, held by the user; whether they reach the disk is not the point."""
    fsync, os.fsync = os.fsync, _no_fsync
    try:
        spool.open()
        spool.save_hold({"held": True})
        for each in range(number):
            spool.write(_entry(each), [CONTENT], time.time() - 86_400)
    finally:
        os.fsync = fsync


def _entry(number: int) -> SpoolEntry:
    """Return the entry of a message."""
    return SpoolEntry.of(
        Envelope(ADDRESS, ("anna@example.com",)),
        len(CONTENT),
        message_id=f"<{number}@example.com>",
        title=f"Door {number}",
        to=("Anna <anna@example.com>",),
        created=datetime.now(UTC),
    )


def _no_fsync(fd: Any) -> None:
    """Leave a file to the system."""
