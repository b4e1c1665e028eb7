"""How long messages are known to have been there, which no clock that jumps can change.

It is kept in a file for after a restart. A process that is killed forgets what it has not saved:
its messages stay a little longer.
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
SEEN_FOR: Final = 86_400.0  # Seconds that a failed message stays after a start, whatever the clock.


def measure(waiting: Sequence[QueuedMessage], failed: Sequence[FailedMessage]) -> dict[str, float]:
    """Return how old messages are known to be, in seconds by the path of a message's file."""
    now = time.monotonic()
    return {
        f"{WAITING}/{queued.spooled.name}": now - min(queued.since, queued.known)
        for queued in waiting
    } | {f"{FAILED}/{queued.failure.spooled.name}": now - queued.since for queued in failed}


def save(folder: Path, ages: Mapping[str, float]) -> None:
    """Keep ages in the folder of an outbox; without any there is no file.

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
    """Return what is known of the messages that a start has found.

    The lifetime of one that waits begins anew, until it was tried.
    """
    waiting = [_restore_waiting(spooled, ages) for spooled in contents.waiting]
    return waiting, [_restore_failed(failure, ages) for failure in contents.failed]


def _restore_waiting(spooled: Spooled, ages: Mapping[str, Any]) -> QueuedMessage:
    """Return a message that waits: the clock may have been wrong when it was written, or be now."""
    known = _known(f"{WAITING}/{spooled.name}", ages)
    return QueuedMessage(spooled, time.monotonic(), told_queued=True, known=known)


def _restore_failed(failure: Failure, ages: Mapping[str, Any]) -> FailedMessage:
    """Return a message that has failed: if only the clock says it is old, it stays for a day."""
    known = _known(f"{FAILED}/{failure.spooled.name}", ages)
    earliest = time.monotonic() - KEEP_FAILED + SEEN_FOR
    return FailedMessage(failure, min(known, max(since(failure.failed_at), earliest)))


def _known(name: str, ages: Mapping[str, Any]) -> float:
    """Return since when a message is known to be there, on the clock that never jumps."""
    age = ages.get(name)
    if not isinstance(age, float) or not isfinite(age) or age < 0:
        age = 0.0
    return time.monotonic() - age
