"""What waits in the queue: as much as there is room for, in order, for its time and no longer."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
import threading
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import (
    Limits,
    OutboxFullError,
    QueuedMessage,
    UnderWayError,
    UnknownMessageError,
)
from custom_components.outlook_smtp.outbox.spool import FAILED, QUARANTINE, WAITING, Spool
from custom_components.outlook_smtp.outbox.spooled import Failure
from tests.promises import KEEP_FAILED

from .helpers import (
    ANNA,
    BERT,
    BUSY,
    REFUSED,
    add,
    broken,
    content_of,
    entry_of,
    expected_receipt,
    files,
    no_file_larger_than,
    read,
    receipt_of,
    started_again,
    titles,
    write,
)

DAY = 86_400.0


async def test_it_is_safe_and_told(queue: Queue, told: list[Delivery]) -> None:
    """A message is on disk when it is taken in; nobody takes it away yet, so it is deferred."""
    queued = await add(queue, 1, ANNA, BERT)
    assert queue.waiting == [queued]
    assert queue.size == queued.entry.size == len(content_of(1))
    assert read(queue.spool, queued.spooled) == content_of(1)
    (delivery,) = told
    assert delivery == Delivery(
        event=Event.QUEUED,
        id=queued.spooled.id,
        message_id="<1@example.com>",
        recipients=(ANNA, BERT),
    )
    assert queued.receipt
    assert await queued.receipt == expected_receipt(queued, waiting=(ANNA, BERT))


async def test_whoever_takes_messages_away_is_told(queue: Queue, told: list[Delivery]) -> None:
    """A message that is tried at once is not deferred before that."""
    added: list[QueuedMessage] = []
    queue.on_added = added.append
    queued = await add(queue)
    assert added == [queued]
    assert not told
    assert queued.receipt
    assert not queued.receipt.done()


async def test_deferred_once(queue: Queue, told: list[Delivery]) -> None:
    """A message is told to wait once, with what stands in its way; the last fault is kept."""
    queue.on_added = lambda queued: queue.defer(queued, BUSY)
    queued = await add(queue)
    queue.defer(queued, REFUSED)
    queue.defer(queued)
    assert [(delivery.event, delivery.fault, delivery.reply) for delivery in told] == [
        (Event.QUEUED, BUSY, "451 4.7.500 Server busy")
    ]
    assert queued.fault == REFUSED
    assert receipt_of(queued) == expected_receipt(queued, waiting=(ANNA,), fault=BUSY)


async def test_whoever_listens_no_longer_hears_nothing(queue: Queue) -> None:
    """A subscription ends, and may be ended twice."""
    heard: list[Delivery | None] = []
    end = queue.subscribe(heard.append)
    await add(queue)
    assert len(heard) == 2
    end()
    end()
    await add(queue)
    assert len(heard) == 2


async def test_a_listener_that_fails(
    queue: Queue, caplog: pytest.LogCaptureFixture, told: list[Delivery]
) -> None:
    """It keeps neither the message nor the other listeners from what they wait for."""

    def fail(_delivery: Delivery | None) -> None:
        raise LookupError("not mine")

    queue.subscribe(fail)
    queued = await add(queue)
    assert queued.receipt
    assert queued.receipt.done()
    assert len(told) == 1
    assert "A listener of the outbox failed" in caplog.text


async def test_full_of_messages(queue: Queue) -> None:
    """One more than there is room for is refused, and nothing is kept of it."""
    queue.limits = Limits(2, 1_000_000)
    results = await asyncio.gather(*(add(queue, n) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [QueuedMessage] * 2 + [OutboxFullError] * 3
    assert len(files(queue.spool.folder)) == 2


async def test_full_of_bytes(queue: Queue) -> None:
    """The sizes count too, to the byte."""
    queue.limits = Limits(1000, 3 * len(content_of(1)) - 1)
    await add(queue)
    await add(queue)
    with pytest.raises(OutboxFullError):
        await add(queue)
    assert titles(await started_again(queue)) == ["Alarm 1", "Alarm 1"]


async def test_a_full_disk(queue: Queue, told: list[Delivery]) -> None:
    """The caller gets the system's error, and nothing is kept of the message, here or there."""
    content = b"x" * 100_000
    with no_file_larger_than(50_000), pytest.raises(OSError, match="File too large"):
        await queue.add(entry_of(content), [content])
    assert not queue.waiting
    assert not told
    assert not files(queue.spool.folder)
    await add(queue)


async def test_in_the_order_of_the_calls(queue: Queue) -> None:
    """However many call at once, the order on disk is the order of the calls."""
    await asyncio.gather(*(add(queue, number) for number in range(20)))
    assert titles(queue) == [f"Alarm {number}" for number in range(20)]
    assert titles(await started_again(queue)) == titles(queue)


async def test_after_a_restart(queue: Queue) -> None:
    """What waits, waits on, and nobody is told again that it does."""
    first, second = await add(queue, 1), await add(queue, 2, ANNA, BERT)
    again = await started_again(queue)
    assert [queued.spooled for queued in again.waiting] == [first.spooled, second.spooled]
    heard: list[Delivery | None] = []
    again.subscribe(heard.append)
    again.defer(again.waiting[0], BUSY)
    assert not heard


async def test_foreign_files_are_named(queue: Queue) -> None:
    """Files that are none of ours are reported."""
    (queue.spool.folder / WAITING / "note.txt").touch()
    assert (await started_again(queue)).quarantined == ["note.txt"]


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The caller is told."""
    (tmp_path / "outbox").touch()
    with pytest.raises(FileExistsError):
        await Queue(Spool(tmp_path / "outbox"), Limits(1, 1)).open()


async def test_the_first_that_may_be_tried(queue: Queue) -> None:
    """One that has to wait lets the others pass."""
    assert queue.first(0.0) is None
    first, second = await add(queue, 1), await add(queue, 2)
    assert queue.first(0.0) is first
    first.not_before = 10.0
    assert queue.first(9.0) is second
    assert queue.first(10.0) is first


async def test_expired(freezer: FrozenDateTimeFactory, queue: Queue, told: list[Delivery]) -> None:
    """What has waited for its lifetime is kept as failed, and told with what stood in its way."""
    queue.on_added = lambda _queued: None
    queued = await add(queue, 1)
    queued.fault = BUSY
    freezer.tick(10)
    later = await add(queue, 2)
    assert queue.next_expiry(DAY) == time.monotonic() + DAY - 10
    freezer.tick(DAY - 10)
    await queue.expire(DAY, time.monotonic())
    assert queue.waiting == [later]
    assert [(delivery.event, delivery.reply) for delivery in told] == [
        (Event.EXPIRED, "451 4.7.500 Server busy")
    ]
    assert receipt_of(queued) == expected_receipt(queued, fault=BUSY)
    (failed,) = queue.failed
    assert (failed.failure.event, failed.failure.problem) == ("expired", "server_busy")
    assert failed.failure.failed_at == time.time()


async def test_under_way_is_not_expired(freezer: FrozenDateTimeFactory, queue: Queue) -> None:
    """What is being handed to the server gets its answer."""
    queue.under_way = await add(queue)
    freezer.tick(DAY)
    await queue.expire(DAY, time.monotonic())
    assert queue.waiting == [queue.under_way]


async def test_cancelled_while_others_expire(
    freezer: FrozenDateTimeFactory, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that somebody cancels at that moment is gone, and neither expired nor failed."""
    waiting = [await add(queue, number) for number in (1, 2)]
    freezer.tick(DAY)
    cancelled = threading.Event()
    fail = queue.spool.fail

    def fail_later(failure: Failure, recipients: Sequence[str]) -> Failure:
        assert cancelled.wait(10)
        return fail(failure, recipients)

    monkeypatch.setattr(queue.spool, "fail", fail_later)
    expiring = asyncio.create_task(queue.expire(DAY, time.monotonic()))
    await asyncio.sleep(0)
    await queue.cancel(waiting[1].spooled.id)
    cancelled.set()
    await expiring
    assert not queue.waiting
    assert [failed.failure.spooled for failed in queue.failed] == [waiting[0].spooled]
    assert titles(await started_again(queue)) == []


async def test_failed_ones_are_kept_for_a_week(
    freezer: FrozenDateTimeFactory, queue: Queue
) -> None:
    """Then they are gone, also when Home Assistant was started again meanwhile."""
    await queue.refuse(await add(queue), REFUSED)
    await add(queue, 2)
    freezer.tick(KEEP_FAILED / 2)
    queue = await started_again(queue)
    freezer.tick(KEEP_FAILED / 2 - 10)
    await queue.expire(10 * KEEP_FAILED, time.monotonic())
    assert len(queue.failed) == 1
    assert queue.next_expiry(10 * KEEP_FAILED) == pytest.approx(time.monotonic() + 10, abs=1)
    freezer.tick(11)
    await queue.expire(10 * KEEP_FAILED, time.monotonic())
    assert not queue.failed
    assert not files(queue.spool.folder / FAILED)
    assert titles(queue) == ["Alarm 2"]


@pytest.mark.parametrize("limits", [Limits(2, 1_000_000), Limits(1000, 2 * len(content_of(1)))])
async def test_no_more_failed_ones_than_there_is_room_for(queue: Queue, limits: Limits) -> None:
    """The oldest make room for the newest."""
    queue.limits = limits
    for number in range(4):
        await queue.refuse(await add(queue, number), REFUSED)
    again = await started_again(queue)
    kept = [failed.failure.spooled.entry.title for failed in again.failed]
    assert kept == ["Alarm 2", "Alarm 3"]


@pytest.mark.parametrize("written_at", [0.0, 1e8, 4e9])
async def test_a_clock_that_was_wrong(spool_folder: Path, queue: Queue, written_at: float) -> None:
    """A message from 1970 or from the future gets a lifetime from now on."""
    write(queue.spool, queued_at=written_at)
    queue = await started_again(queue)
    now = time.monotonic()
    await queue.expire(DAY, now)
    assert queue.waiting[0].since == pytest.approx(now, abs=5)


async def test_a_clock_that_is_set(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year that passes on the wall ends no lifetime: that runs on a clock that never jumps."""
    await add(queue)
    await queue.refuse(await add(queue, 2), REFUSED)
    year_later = time.time() + 365 * DAY
    monkeypatch.setattr(time, "time", lambda: year_later)
    await queue.expire(DAY, time.monotonic())
    assert titles(queue) == ["Alarm 1"]
    assert len(queue.failed) == 1


async def test_the_time_that_it_was_off_does_not_count(queue: Queue) -> None:
    """Only the clock says how long that was, even after a try."""
    write(queue.spool, queued_at=time.time() - 30 * DAY)
    queue = await started_again(queue)
    [queued] = queue.waiting
    queue.count_wait(queued)
    await queue.expire(DAY, time.monotonic())
    assert queue.waiting == [queued]


async def test_cancelled(queue: Queue) -> None:
    """A message that waits is forgotten, and whoever waits for it is told."""
    queue.on_added = lambda _queued: None
    queued, other = await add(queue, 1), await add(queue, 2)
    await queue.cancel(queued.spooled.id)
    assert queue.waiting == [other]
    assert receipt_of(queued) == expected_receipt(queued)
    queue.defer(queued)
    assert titles(await started_again(queue)) == ["Alarm 2"]


async def test_cancelled_on_a_broken_disk(queue: Queue) -> None:
    """Nobody is told that a message is gone which a restart would bring back: it waits on."""
    queued, _ = [await add(queue, number) for number in (1, 2)]
    with broken(queue.spool.folder / WAITING), pytest.raises(FileNotFoundError):
        await queue.cancel(queued.spooled.id)
    assert titles(queue) == titles(await started_again(queue)) == ["Alarm 1", "Alarm 2"]


async def test_who_was_turned_away_is_forgotten_when_there_is_room(queue: Queue) -> None:
    """An outbox that has been emptied is not full again for the sake of an old message."""
    queue.limits = Limits(10, 600)
    small = await add(queue)
    with pytest.raises(OutboxFullError):
        queue.check_room(590)
    assert queue.is_full
    await queue.cancel(small.spooled.id)
    await add(queue)
    assert not queue.is_full


async def test_cancelled_after_it_failed(queue: Queue) -> None:
    """A failed message is forgotten too, once."""
    queued = await add(queue)
    await queue.refuse(queued, REFUSED)
    await queue.cancel(queued.spooled.id)
    assert not queue.failed
    assert not files(queue.spool.folder)
    with pytest.raises(UnknownMessageError):
        await queue.cancel(queued.spooled.id)


async def test_too_late_to_cancel(queue: Queue) -> None:
    """What is being handed to the server cannot be taken back."""
    queue.under_way = await add(queue)
    with pytest.raises(UnderWayError):
        await queue.cancel(queue.under_way.spooled.id)
    assert queue.waiting == [queue.under_way]


async def test_lost(queue: Queue, told: list[Delivery], caplog: pytest.LogCaptureFixture) -> None:
    """A message whose file is damaged cannot be sent: all are told, and the file is kept."""
    queue.on_added = lambda _queued: None
    queued = await add(queue)
    await queue.quarantine(queued)
    assert not queue.waiting
    assert queue.quarantined == [queued.spooled.name]
    assert files(queue.spool.folder / QUARANTINE) == [queued.spooled.name]
    assert [(delivery.event, delivery.recipients) for delivery in told] == [(Event.FAILED, (ANNA,))]
    assert f"The message {queued.spooled.id} is lost" in caplog.text
    assert receipt_of(queued) == expected_receipt(queued)


async def test_no_content_in_memory(queue: Queue) -> None:
    """What a message says is on disk alone."""
    queued = await add(queue)
    await queue.refuse(await add(queue, 2), REFUSED)
    assert "Alarm 1." not in repr((queued, queued.entry, queue))
    assert not any(isinstance(getattr(queued, name), bytes) for name in QueuedMessage.__slots__)
