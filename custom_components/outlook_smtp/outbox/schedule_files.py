"""Save the state of a schedule for after a restart: its holds and the rate limit."""

import asyncio
from contextlib import suppress
import logging
from math import inf, isfinite
from pathlib import Path
import time
from typing import Final

from .disk import read_json, write_json
from .schedule import Schedule
from .spool import Spool

_LOGGER = logging.getLogger(__name__)

PACE_FILE: Final = "pace.json"

# Changes with each boot of the machine, which resets the monotonic clock.
# https://www.kernel.org/doc/html/latest/admin-guide/sysctl/kernel.html#random
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class ScheduleFiles:
    """Saves a schedule to the folder of an outbox when it has changed."""

    def __init__(self, schedule: Schedule, spool: Spool) -> None:
        """Save the schedule in the folder of a spool."""
        self._schedule = schedule
        self._spool = spool
        self._saving = asyncio.Lock()
        self._saved: object = None

    async def load(self, *, credentials_changed: bool) -> None:
        """Restore what was saved, but not a refusal of replaced credentials."""
        hold = await asyncio.to_thread(self._spool.load_hold)
        self._schedule.read(hold, credentials_changed=credentials_changed)
        level = await asyncio.to_thread(_load_level, self._spool.folder / PACE_FILE)
        self._schedule.rate_limiter.resume(level, time.monotonic())
        if credentials_changed:
            await self.save_hold()
        self._saved = self._schedule.kept

    async def save_hold(self) -> None:
        """Save a hold with an end, and a refused sign-in."""
        async with self._saving:
            if (kept := self._schedule.kept) == self._saved:
                return
            self._saved = kept
            try:
                await asyncio.to_thread(self._spool.save_hold, self._schedule.write())
            except OSError as error:
                _LOGGER.error("A hold cannot be saved for after a restart: %s", error.strerror)

    async def save_pace(self) -> None:
        """Save the level of the rate limiter, on the monotonic clock."""
        async with self._saving:
            path, level = self._spool.folder / PACE_FILE, self._schedule.rate_limiter.level
            with suppress(OSError):  # Nothing is sent from a full disk.
                await asyncio.to_thread(_save_level, path, level)


def _save_level(path: Path, level: float) -> None:
    """Write the level of a rate limiter, with the boot ID of its clock.

    It does not need to survive a power cut, which resets that clock.
    """
    write_json(path, {"level": level, "boot": _boot_id()}, is_durable=False)


def _load_level(path: Path) -> float:
    """Return the saved level: the lowest without a file, and the highest after another boot."""
    if not path.exists():
        return -inf
    match read_json(path):
        case {"level": float(level), "boot": str(boot)} if boot == _boot_id() and isfinite(level):
            return level
        case _:
            return inf


def _boot_id() -> str | None:
    """Return the ID of this boot of the machine, if the system provides one."""
    try:
        return _BOOT_ID.read_text()
    except OSError:
        return None
