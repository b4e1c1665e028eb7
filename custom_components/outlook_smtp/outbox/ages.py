"""The ages of messages, measured independently of changes to the system clock.

A file keeps them across restarts. A killed process loses what it has not saved, and its messages
stay a little longer.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
import time
from typing import Any, Final

from .disk import read_json, unlink, write_json
from .queued import FailedMessage, QueuedMessage, since
from .spool import FAILED, WAITING
from .spooled import Contents, Failure, Spooled

AGES_FILE: Final = "ages.json"
KEEP_FAILED: Final = 7 * 86_400.0  # Seconds.
SEEN_FOR: Final = 86_400.0  # Seconds; the least that a failed message stays after a start.


def measure(waiting: Sequence[QueuedMessage], failed: Sequence[FailedMessage]) -> dict[str, float]:
    """Return the known ages of messages, in seconds by the path of a message's file."""
    now = time.monotonic()
    return {
        f"{WAITING}/{queued.spooled.name}": now - min(queued.since, queued.known)
        for queued in waiting
    } | {f"{FAILED}/{each.failure.spooled.name}": now - each.since for each in failed}


def save(folder: Path, ages: Mapping[str, float]) -> None:
    """Save ages in the folder of an outbox; an empty mapping deletes the file.

    Raises `OSError` if that fails.
    """
    path = folder / AGES_FILE
    if ages:
        write_json(path, dict(ages))
    elif path.exists():
        unlink(path)


def load(folder: Path) -> dict[str, Any]:
    """Return the ages that were saved."""
    return read_json(folder / AGES_FILE)


def restore(
    contents: Contents, ages: Mapping[str, Any]
) -> tuple[list[QueuedMessage], list[FailedMessage]]:
    """Return the messages found on disk at a start, with their ages.

    The lifetime of a waiting message restarts until its first attempt.
    """
    waiting = [_restore_waiting(spooled, ages) for spooled in contents.waiting]
    return waiting, [_restore_failed(failure, ages) for failure in contents.failed]


def _restore_waiting(spooled: Spooled, ages: Mapping[str, Any]) -> QueuedMessage:
    """Return a waiting message; its own date is ignored, because the clock may be wrong."""
    known = _known(f"{WAITING}/{spooled.name}", ages)
    return QueuedMessage(spooled, time.monotonic(), queued_reported=True, known=known)


def _restore_failed(failure: Failure, ages: Mapping[str, Any]) -> FailedMessage:
    """Return a failed message; if only the system clock says that it is old, it stays for a day."""
    known = _known(f"{FAILED}/{failure.spooled.name}", ages)
    earliest = time.monotonic() - KEEP_FAILED + SEEN_FOR
    return FailedMessage(failure, min(known, max(since(failure.failed_at), earliest)))


def _known(name: str, ages: Mapping[str, Any]) -> float:
    """Return since when a message is known to exist, on the monotonic clock."""
    age = ages.get(name)
    if not isinstance(age, float) or not isfinite(age) or age < 0:
        age = 0.0
    return time.monotonic() - age
