"""Shared helpers: messages and how they get into a queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
import resource
from typing import Any

from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.outbox.entry import SpoolEntry, read_content, read_head
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits, QueuedMessage
from custom_components.outlook_smtp.outbox.receipt import Receipt
from custom_components.outlook_smtp.outbox.spool import FAILED, Spool
from custom_components.outlook_smtp.outbox.spooled import Contents, Failure, Spooled
from tests.conftest import ADDRESS

ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"
CREATED = datetime(2026, 11, 24, 8, 30, 15, tzinfo=UTC)
NOW = CREATED.timestamp()
BUSY = Fault(Kind.TRANSIENT, Problem.SERVER_BUSY, 451, "4.7.500", "Server busy")
REFUSED = Fault(Kind.MESSAGE, Problem.MESSAGE_REFUSED, 554, "5.2.0", "No")


def content_of(number: int) -> bytes:
    """Return the content of a message, distinguished by its number."""
    return f"From: {ADDRESS}\r\nSubject: {number}\r\n\r\nAlarm {number}.\r\n".encode()


def entry_of(content: bytes, *recipients: str, title: str = "Alarm", **changes: Any) -> SpoolEntry:
    """Return the record of a content, for one recipient by default."""
    recipients = recipients or (ANNA,)
    values: dict[str, Any] = {
        "message_id": "<1@example.com>",
        "title": title,
        "to": recipients,
        "created": CREATED,
    }
    entry = SpoolEntry.of(Envelope(ADDRESS, recipients), len(content), **values | changes)
    return replace(entry, digest=sha256(content).hexdigest())


async def add(queue: Queue, number: int = 1, *recipients: str, **changes: Any) -> QueuedMessage:
    """Add a numbered message to a queue; its Message-ID and its title have the number, too."""
    content = content_of(number)
    entry = entry_of(
        content,
        *recipients,
        title=f"Alarm {number}",
        message_id=f"<{number}@example.com>",
        **changes,
    )
    return await queue.add(entry, [content])


def receipt_of(queued: QueuedMessage) -> Receipt:
    """Return the receipt that the caller of a message has got."""
    assert queued.receipt
    return queued.receipt.result()


def expected_receipt(
    queued: QueuedMessage, *, fault: Fault | None = None, reply: str = "", **values: Any
) -> Receipt:
    """Return the receipt of a message without a blind copy or a missing attachment."""
    return Receipt(
        id=queued.spooled.id,
        message_id=queued.entry.message_id,
        fault=fault,
        reply=fault.reply if fault else reply,
        **values,
    )


def reopened(folder: Path) -> Contents:
    """Return what a new start finds in a folder."""
    return Spool(folder).open()


def write(spool: Spool, number: int = 1, *recipients: str, queued_at: float = NOW) -> Spooled:
    """Write a numbered message to a spool."""
    entry = entry_of(content_of(number), *recipients, title=f"Alarm {number}")
    return spool.write(entry, [content_of(number)], queued_at)


def fail(spool: Spool, spooled: Spooled, *recipients: str, failed_at: float = NOW) -> Failure:
    """Fail a message, for all of its recipients by default."""
    failure = Failure(
        spooled=spooled,
        event="refused",
        problem="recipient_refused",
        reply="550 5.1.1 User unknown",
        failed_at=failed_at,
    )
    return spool.fail(failure, recipients or spooled.entry.envelope.recipients)


def read(spool: Spool, spooled: Spooled) -> bytes:
    """Return the content of a waiting message, as the delivery worker reads it."""
    with spool.open_content(spooled) as file:
        return file.read()


def failed_content(spool: Spool, failure: Failure) -> bytes:
    """Return the content of a failed message, which the spool only reads after a retry."""
    with (spool.folder / FAILED / failure.spooled.name).open("rb") as file:
        return b"".join(read_content(file, read_head(file)))


def files(folder: Path) -> list[str]:
    """Return the names of all files under a folder, as relative paths."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def titles(queue: Queue) -> list[str]:
    """Return the titles of the waiting messages, in order."""
    return [queued.entry.title for queued in queue.waiting]


async def started_again(queue: Queue, limits: Limits | None = None) -> Queue:
    """Return the state of a queue after a restart."""
    again = Queue(Spool(queue.spool.folder), limits or queue.limits)
    await again.open()
    return again


@contextmanager
def broken(folder: Path) -> Iterator[None]:
    """Make every change to a folder fail, like a broken disk."""
    away = folder.with_name(f"{folder.name}-away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Limit the size of the files that this process may write, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
