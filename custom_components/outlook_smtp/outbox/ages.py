"""The ages of messages, measured independently of changes to the system clock.

A file keeps them across restarts. A killed process loses what it has not saved, and its messages
stay a little longer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
import time
from typing import Any, Final

from .disk import read_json, unlink, write_json
from .queued import FailedMessage, QueuedMessage, since
from .spool import FAILED, WAITING
from .spooled import Contents, Failure, Spooled

AGES_FILE: Final = "ages.json"
DELAYED: Final = "delayed"
KEEP_FAILED: Final = 7 * 86_400.0  # Seconds.
SEEN_FOR: Final = 86_400.0  # Seconds; the least that a failed message stays after a start.


def measure(
    waiting: Sequence[QueuedMessage], failed: Sequence[FailedMessage], delayed: Collection[str]
) -> dict[str, float]:
    """Return the known ages of messages, in seconds by the path of a message's file.

    A message that was reported as delayed has another key, with its ID.
    """
    now = time.monotonic()
    return {
        **{
            f"{WAITING}/{queued.spooled.name}": now - min(queued.since, queued.known)
            for queued in waiting
        },
        **{f"{FAILED}/{each.failure.spooled.name}": now - each.since for each in failed},
        **{f"{DELAYED}/{message_id}": 0.0 for message_id in delayed},
    }


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


def delayed_before(waiting: Iterable[QueuedMessage], ages: Mapping[str, Any]) -> set[str]:
    """Return the IDs of waiting messages that were reported as delayed before the start."""
    return {each.spooled.id for each in waiting if f"{DELAYED}/{each.spooled.id}" in ages}


def restore(
    contents: Contents, ages: Mapping[str, Any]
) -> tuple[list[QueuedMessage], list[FailedMessage]]:
    """Return the messages found on disk at a start, with their ages.

    The lifetime of a waiting message restarts until its first attempt.
    """
    waiting = [_restore_waiting(spooled, ages) for spooled in contents.waiting]
    return waiting, [_restore_failed(failure, ages) for failure in contents.failed]


def _restore_waiting(spooled: Spooled, ages: Mapping[str, Any]) -> QueuedMessage:
    """Return a waiting message; its lifetime ignores its date, because the clock may be wrong."""
    known = _known(f"{WAITING}/{spooled.name}", ages)
    send_at = spooled.entry.send_at
    begun = max(float(spooled.queued_at), send_at.timestamp() if send_at else 0.0)
    return QueuedMessage(
        spooled,
        time.monotonic(),
        queued_reported=True,
        known=known,
        waited_since=min(known, since(begun)),
    )


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
