"""Ten thousand waiting messages: a start reads their heads, and nothing else looks at all of them.

The bench measures the same in seconds. Here, reads and calls are counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import CO_COROUTINE
import sys
import time
import tracemalloc
from types import FrameType

import pytest

from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.outbox import spool as spool_module
from custom_components.outlook_smtp.outbox.disk import read_start
from custom_components.outlook_smtp.outbox.entry import DamagedError
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.terms import Terms
from tests.promises import MANY, MANY_MEMORY, MANY_READ

from .helpers import ANNA, add, content_of, entry_of, started_again, write

TERMS = Terms(86_400.0)
MANY_HERE = 300  # Enough to notice whatever is done for each of them.


class Calls:
    """The number of calls of the outbox's own functions in this thread."""

    count = 0

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Count a call, and each value that a generator yields.

        A coroutine does not count: how often it is resumed depends on the threads it waits for.
        """
        code = frame.f_code
        is_own = "/outlook_smtp/outbox/" in code.co_filename
        self.count += event == "call" and is_own and not code.co_flags & CO_COROUTINE


@contextmanager
def counting() -> Iterator[Calls]:
    """Count calls."""
    calls = Calls()
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def calls_for_one(queue: Queue) -> int:
    """Return how many calls it takes to add a message, and to send and settle the first one."""
    now = time.monotonic()
    await queue.expire(TERMS, now)
    with counting() as calls:
        await add(queue, MANY_HERE)
        assert not queue.is_full
        await queue.expire(TERMS, now)
        queued = queue.first(now)
        assert queued
        with queue.trying(queued):
            file = await queue.open_content(queued)
            assert file
            file.close()
            queue.count_wait(queued)
            await queue.settle(queued, Outcome(accepted=(ANNA,)))
        assert queue.next_due() <= now
        assert queue.next_change(TERMS) > now
    return calls.count


async def test_nothing_takes_longer_in_a_full_outbox(queue: Queue) -> None:
    """Adding and sending a message take as many calls as in an outbox with two messages."""
    for number in range(2):
        write(queue.spool, number)
    few = await calls_for_one(await started_again(queue))
    for number in range(2, MANY_HERE):
        write(queue.spool, number)
    many = await calls_for_one(await started_again(queue))
    assert many == few > 0


async def test_start_reads_heads_only(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One read of 4 KB for each message, however large, and a small part of 60 MB of memory."""
    content = content_of(1) + 100_000 * b"x"
    for number in range(MANY_HERE):
        write(queue.spool, number)
    queue.spool.write(entry_of(content), [content], 0.0)
    reads: list[int] = []

    def counted(path: str, length: int) -> tuple[bytes, int]:
        """Count what is read."""
        start, size = read_start(path, length)
        reads.append(len(start))
        return start, size

    monkeypatch.setattr(spool_module, "read_start", counted)
    tracemalloc.start()
    try:
        again = await started_again(queue)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reads) == len(again.waiting) == MANY_HERE + 1
    assert max(reads) == MANY_READ
    assert used / len(reads) * MANY < MANY_MEMORY
    assert again.size == sum(queued.entry.size for queued in again.waiting)


def test_long_head_is_read_in_full(spool: Spool) -> None:
    """A hundred recipients with long names need more than one read; a cut head is damaged."""
    recipients = [f"{'n' * 60}{number}@example.com" for number in range(100)]
    spooled = write(spool, 1, *recipients)
    [found] = Spool(spool.folder).open().waiting
    assert found.entry.envelope.recipients == tuple(recipients)
    path = spool.folder / "waiting" / spooled.name
    path.write_bytes(path.read_bytes()[:MANY_READ])
    with pytest.raises(DamagedError):
        spool_module._describe(str(path), spooled.name)
