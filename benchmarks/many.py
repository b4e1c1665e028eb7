"""Measure an outbox with many waiting messages: its start, its memory, and adding one more."""

from dataclasses import dataclass
from datetime import UTC, datetime
import os
from pathlib import Path
from statistics import median
import tempfile
import time
from typing import Any, Final

from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.outbox.entry import SpoolEntry
from custom_components.outlook_smtp.outbox.spool import Spool
from tests import home

COUNTS: Final = (10, 1000, 10_000)
ADDED: Final = 50  # Messages; their median counts.
CONTENT: Final = b"Subject: Door\r\n\r\n" + 2000 * b"Somebody rang the bell. "  # 48 KB.
MAIL: Final = {"to": "anna@example.com", "title": "Door", "message": "Somebody rang"}
OPTIONS: Final = {"max_messages": 20_000, "max_size": 10_000, "flood_limit": 10_000}
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Many:
    """What an outbox with a number of waiting messages costs.

    `start` is the seconds of the account's set-up, `memory` the MB that it adds to the process, and
    `add` the milliseconds until the action for one more message returns, which is held, not sent.
    """

    messages: int
    start: float
    memory: float
    add: float


async def measure_many(data: dict[str, Any], folder: str, count: int) -> Many:
    """Measure an outbox once, in a process of its own.

    Args:
        data: The data of the account's config entry.
        folder: A folder on the disk to measure.
        count: How many messages wait.

    """
    path = Path(tempfile.mkdtemp(dir=folder))
    home.write_entry(path, DOMAIN, data["email"], data=data, options=OPTIONS)
    fill(Spool(path / STORAGE_DIR / f"{DOMAIN}.{home.ENTRY_ID}.outbox"), data["email"], count)
    hass = await home.start(path, "media_source")
    used, began = _memory(), time.perf_counter()
    entry = await home.add(hass, DOMAIN)
    start, memory = time.perf_counter() - began, _memory() - used
    assert len(entry.runtime_data.queue.waiting) == count
    durations = []
    for number in range(ADDED):
        began = time.perf_counter()
        await hass.services.async_call(
            DOMAIN, "send_message", MAIL | {"title": f"Door {number}"}, blocking=True
        )
        durations.append(time.perf_counter() - began)
    return Many(messages=count, start=start, memory=memory, add=1000 * median(durations))


def fill(spool: Spool, address: str, count: int) -> None:
    """Write waiting messages, held by the user; whether they reach the disk is not the point."""
    fsync, os.fsync = os.fsync, _no_fsync
    try:
        spool.open()
        spool.save_hold({"held": True})
        for number in range(count):
            entry = SpoolEntry.of(
                Envelope(address, ("anna@example.com",)),
                len(CONTENT),
                message_id=f"<{number}@example.com>",
                title=f"Door {number}",
                to=("Anna <anna@example.com>",),
                created=datetime.now(UTC),
            )
            spool.write(entry, [CONTENT], time.time() - 86_400)
    finally:
        os.fsync = fsync


def _no_fsync(fd: object) -> None:
    """Leave a file to the system."""


def _memory() -> float:
    """Return the memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6
