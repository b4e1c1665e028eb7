"""Keeps of a schedule what has to be known after a restart: its holds, and how fast mail went."""

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

# Another one after each start of the machine: until then its clock that never jumps goes on.
# https://www.kernel.org/doc/html/latest/admin-guide/sysctl/kernel.html#random
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class ScheduleFiles:
    """Writes a schedule to the folder of an outbox when it has changed."""

    def __init__(self, schedule: Schedule, spool: Spool) -> None:
        """Keep a schedule in the folder of a spool."""
        self._schedule = schedule
        self._spool = spool
        self._saving = asyncio.Lock()
        self._saved: object = None

    async def load(self, *, signed_in_anew: bool) -> None:
        """Take up what was kept, except a refusal of what no longer signs in."""
        hold = await asyncio.to_thread(self._spool.load_hold)
        self._schedule.read(hold, signed_in_anew=signed_in_anew)
        level = await asyncio.to_thread(_load_level, self._spool.folder / PACE_FILE)
        self._schedule.rate_limiter.resume(level, time.monotonic())
        if signed_in_anew:
            await self.save_hold()
        self._saved = self._schedule.kept

    async def save_hold(self) -> None:
        """Keep a hold that ends by itself, and what was refused."""
        async with self._saving:
            if (kept := self._schedule.kept) == self._saved:
                return
            self._saved = kept
            try:
                await asyncio.to_thread(self._spool.save_hold, self._schedule.write())
            except OSError as error:
                _LOGGER.error("A hold cannot be kept for after a restart: %s", error.strerror)

    async def save_pace(self) -> None:
        """Keep how fast mail went, by the only clock that can be trusted."""
        with suppress(OSError):  # A full disk keeps no mail.
            path, level = self._spool.folder / PACE_FILE, self._schedule.rate_limiter.level
            await asyncio.to_thread(_save_level, path, level)


def _save_level(path: Path, level: float) -> None:
    """Write the level of a rate limiter, and which start of the machine its clock counts from.

    It need not outlast a power cut, after which that clock starts anew.
    """
    write_json(path, {"level": level, "boot": _boot_id()}, is_durable=False)


def _load_level(path: Path) -> float:
    """Return the level that was kept: none without a file, and the highest by another clock."""
    if not path.exists():
        return -inf
    match read_json(path):
        case {"level": float(level), "boot": str(boot)} if boot == _boot_id() and isfinite(level):
            return level
        case _:
            return inf


def _boot_id() -> str | None:
    """Return what tells this start of the machine from others, where the system says so."""
    try:
        return _BOOT_ID.read_text()
    except OSError:
        return None
