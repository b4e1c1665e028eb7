"""What waits in the queue: limited, in order, and for its lifetime only."""

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
    InProgressError,
    Limits,
    OutboxFullError,
    QueuedMessage,
    UnknownMessageError,
)
from custom_components.outlook_smtp.outbox.spool import FAILED, QUARANTINE, WAITING, Spool
from custom_components.outlook_smtp.outbox.spooled import Failure
from custom_components.outlook_smtp.outbox.terms import Terms
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


async def test_added_message_is_on_disk_and_reported(queue: Queue, told: list[Delivery]) -> None:
    """An added message is on disk; it is deferred, because no worker takes it yet."""
    queued = await add(queue, 1, ANNA, BERT)
    assert queue.waiting == [queued]
    assert queue.size == queued.entry.size == len(content_of(1))
    assert read(queue.spool, queued.spooled) == content_of(1)
    (delivery,) = told
    assert delivery == Delivery(
        event=Event.QUEUED,
        id=queued.spooled.id,
        message_id="<1@example.com>",
        title="Alarm 1",
        recipients=(ANNA, BERT),
    )
    assert queued.receipt
    assert await queued.receipt == expected_receipt(queued, waiting=(ANNA, BERT))


async def test_worker_is_woken_by_a_new_message(queue: Queue, told: list[Delivery]) -> None:
    """A message that is tried at once is not deferred before that."""
    added: list[QueuedMessage] = []
    queue.on_added = added.append
    queued = await add(queue)
    assert added == [queued]
    assert not told
    assert queued.receipt
    assert not queued.receipt.done()


async def test_deferral_is_reported_once(queue: Queue, told: list[Delivery]) -> None:
    """A deferral is reported once, with its reason; the latest fault is kept."""
    queue.on_added = lambda queued: queue.defer(queued, BUSY)
    queued = await add(queue)
    queue.defer(queued, REFUSED)
    queue.defer(queued)
    assert [(delivery.event, delivery.fault, delivery.reply) for delivery in told] == [
        (Event.QUEUED, BUSY, "451 4.7.500 Server busy")
    ]
    assert queued.fault == REFUSED
    assert receipt_of(queued) == expected_receipt(queued, waiting=(ANNA,), fault=BUSY)


async def test_unsubscribed_listener_gets_nothing(queue: Queue) -> None:
    """A subscription ends, and may be ended twice."""
    heard: list[Delivery | None] = []
    end = queue.subscribe(heard.append)
    await add(queue)
    assert len(heard) == 2
    end()
    end()
    await add(queue)
    assert len(heard) == 2


async def test_failing_listener_affects_no_message(
    queue: Queue, caplog: pytest.LogCaptureFixture, told: list[Delivery]
) -> None:
    """It affects neither the message nor the other listeners."""

    def fail(_delivery: Delivery | None) -> None:
        raise LookupError("not mine")

    queue.subscribe(fail)
    queued = await add(queue)
    assert queued.receipt
    assert queued.receipt.done()
    assert len(told) == 1
    assert "An outbox listener failed" in caplog.text


async def test_message_limit_is_enforced(queue: Queue) -> None:
    """One message over the limit is rejected, and nothing of it is kept."""
    queue.limits = Limits(2, 1_000_000)
    results = await asyncio.gather(*(add(queue, n) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [QueuedMessage] * 2 + [OutboxFullError] * 3
    assert len(files(queue.spool.folder)) == 2


async def test_size_limit_is_enforced(queue: Queue) -> None:
    """The sizes count, too, to the byte."""
    queue.limits = Limits(1000, 3 * len(content_of(1)) - 1)
    await add(queue)
    await add(queue)
    with pytest.raises(OutboxFullError):
        await add(queue)
    assert titles(await started_again(queue)) == ["Alarm 1", "Alarm 1"]


async def test_full_disk_is_an_error(queue: Queue, told: list[Delivery]) -> None:
    """The caller gets the system's error, and nothing of the message is kept."""
    content = b"x" * 100_000
    with no_file_larger_than(50_000), pytest.raises(OSError, match="File too large"):
        await queue.add(entry_of(content), [content])
    assert not queue.waiting
    assert not told
    assert not files(queue.spool.folder)
    await add(queue)


async def test_messages_are_in_the_order_of_the_calls(queue: Queue) -> None:
    """However many calls are concurrent, the order on disk is that of the calls."""
    await asyncio.gather(*(add(queue, number) for number in range(20)))
    assert titles(queue) == [f"Alarm {number}" for number in range(20)]
    assert titles(await started_again(queue)) == titles(queue)


async def test_waiting_messages_survive_a_restart(queue: Queue) -> None:
    """Waiting messages keep waiting, and this is not reported again."""
    first, second = await add(queue, 1), await add(queue, 2, ANNA, BERT)
    again = await started_again(queue)
    assert [queued.spooled for queued in again.waiting] == [first.spooled, second.spooled]
    heard: list[Delivery | None] = []
    again.subscribe(heard.append)
    again.defer(again.waiting[0], BUSY)
    assert not heard


async def test_foreign_files_are_reported(queue: Queue) -> None:
    """Foreign files are reported."""
    (queue.spool.folder / WAITING / "note.txt").touch()
    assert (await started_again(queue)).quarantined == ["note.txt"]


async def test_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """The caller gets the error."""
    (tmp_path / "outbox").touch()
    with pytest.raises(FileExistsError):
        await Queue(Spool(tmp_path / "outbox"), Limits(1, 1)).open()


async def test_first_due_message_is_next(queue: Queue) -> None:
    """A message that has to wait does not block the others."""
    assert queue.first(0.0) is None
    first, second = await add(queue, 1), await add(queue, 2)
    assert queue.first(0.0) is first
    first.not_before = 10.0
    assert queue.first(9.0) is second
    assert queue.first(10.0) is first


async def test_expired_message_is_kept_as_failed(
    freezer: FrozenDateTimeFactory, queue: Queue, told: list[Delivery]
) -> None:
    """An expired message is kept as failed, and reported with its last fault."""
    queue.on_added = lambda _queued: None
    queued = await add(queue, 1)
    queued.fault = BUSY
    freezer.tick(10)
    later = await add(queue, 2)
    assert queue.next_change(Terms(DAY)) == time.monotonic() + DAY - 10
    freezer.tick(DAY - 10)
    await queue.expire(Terms(DAY), time.monotonic())
    assert queue.waiting == [later]
    assert [(delivery.event, delivery.reply) for delivery in told] == [
        (Event.EXPIRED, "451 4.7.500 Server busy")
    ]
    assert receipt_of(queued) == expected_receipt(queued, fault=BUSY, is_expired=True)
    (failed,) = queue.failed
    assert (failed.failure.event, failed.failure.problem) == ("expired", "server_busy")
    assert failed.failure.failed_at == time.time()


async def test_message_in_progress_does_not_expire(
    freezer: FrozenDateTimeFactory, queue: Queue
) -> None:
    """A message in progress gets its reply."""
    queued = await add(queue)
    with queue.trying(queued):
        freezer.tick(DAY)
        await queue.expire(Terms(DAY), time.monotonic())
    assert queue.waiting == [queued]


async def test_message_canceled_while_others_expire_is_gone(
    freezer: FrozenDateTimeFactory, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is canceled at that moment is gone, and neither expired nor failed."""
    waiting = [await add(queue, number) for number in (1, 2)]
    freezer.tick(DAY)
    canceled = threading.Event()
    fail = queue.spool.fail

    def fail_later(failure: Failure, recipients: Sequence[str]) -> Failure:
        assert canceled.wait(10)
        return fail(failure, recipients)

    monkeypatch.setattr(queue.spool, "fail", fail_later)
    expiring = asyncio.create_task(queue.expire(Terms(DAY), time.monotonic()))
    await asyncio.sleep(0)
    await queue.cancel(waiting[1].spooled.id)
    canceled.set()
    await expiring
    assert not queue.waiting
    assert [failed.failure.spooled for failed in queue.failed] == [waiting[0].spooled]
    assert titles(await started_again(queue)) == []


async def test_failed_messages_are_kept_for_a_week(
    freezer: FrozenDateTimeFactory, queue: Queue
) -> None:
    """After that they are gone, even if Home Assistant was restarted meanwhile."""
    await queue.refuse(await add(queue), REFUSED)
    await add(queue, 2)
    freezer.tick(KEEP_FAILED / 2)
    queue = await started_again(queue)
    freezer.tick(KEEP_FAILED / 2 - 10)
    await queue.expire(Terms(10 * KEEP_FAILED), time.monotonic())
    assert len(queue.failed) == 1
    assert queue.next_change(Terms(10 * KEEP_FAILED)) == pytest.approx(time.monotonic() + 10, abs=1)
    freezer.tick(11)
    await queue.expire(Terms(10 * KEEP_FAILED), time.monotonic())
    assert not queue.failed
    assert not files(queue.spool.folder / FAILED)
    assert titles(queue) == ["Alarm 2"]


@pytest.mark.parametrize("limits", [Limits(2, 1_000_000), Limits(1000, 2 * len(content_of(1)))])
async def test_number_of_failed_messages_is_limited(queue: Queue, limits: Limits) -> None:
    """The oldest make room for the newest."""
    queue.limits = limits
    for number in range(4):
        await queue.refuse(await add(queue, number), REFUSED)
    again = await started_again(queue)
    kept = [failed.failure.spooled.entry.title for failed in again.failed]
    assert kept == ["Alarm 2", "Alarm 3"]


@pytest.mark.parametrize("written_at", [0.0, 1e8, 4e9])
async def test_wrong_clock_gives_a_full_lifetime(
    spool_folder: Path, queue: Queue, written_at: float
) -> None:
    """A message from 1970 or from the future gets a full lifetime from now on."""
    write(queue.spool, queued_at=written_at)
    queue = await started_again(queue)
    now = time.monotonic()
    await queue.expire(Terms(DAY), now)
    assert queue.waiting[0].since == pytest.approx(now, abs=5)


async def test_clock_change_ends_no_lifetime(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the time of day jumps by a year, no lifetime ends: it is monotonic."""
    await add(queue)
    await queue.refuse(await add(queue, 2), REFUSED)
    year_later = time.time() + 365 * DAY
    monkeypatch.setattr(time, "time", lambda: year_later)
    await queue.expire(Terms(DAY), time.monotonic())
    assert titles(queue) == ["Alarm 1"]
    assert len(queue.failed) == 1


async def test_downtime_does_not_count(queue: Queue) -> None:
    """Only the clock tells how long that was, even after an attempt."""
    write(queue.spool, queued_at=time.time() - 30 * DAY)
    queue = await started_again(queue)
    [queued] = queue.waiting
    queue.count_wait(queued)
    await queue.expire(Terms(DAY), time.monotonic())
    assert queue.waiting == [queued]


async def test_canceled_message_is_deleted_and_reported(queue: Queue) -> None:
    """A waiting message is deleted, and its caller is informed."""
    queue.on_added = lambda _queued: None
    queued, other = await add(queue, 1), await add(queue, 2)
    await queue.cancel(queued.spooled.id)
    assert queue.waiting == [other]
    assert receipt_of(queued) == expected_receipt(queued)
    queue.defer(queued)
    assert titles(await started_again(queue)) == ["Alarm 2"]


async def test_message_on_a_broken_disk_cannot_be_canceled(queue: Queue) -> None:
    """A message that a restart would bring back is not reported as gone: it keeps waiting."""
    queued, _ = [await add(queue, number) for number in (1, 2)]
    with broken(queue.spool.folder / WAITING), pytest.raises(FileNotFoundError):
        await queue.cancel(queued.spooled.id)
    assert titles(queue) == titles(await started_again(queue)) == ["Alarm 1", "Alarm 2"]


async def test_rejected_message_is_cleared_when_there_is_room(queue: Queue) -> None:
    """An emptied outbox is no longer full because of an old message."""
    queue.limits = Limits(10, 600)
    small = await add(queue)
    with pytest.raises(OutboxFullError):
        queue.check_room(590)
    assert queue.is_full
    await queue.cancel(small.spooled.id)
    await add(queue)
    assert not queue.is_full


async def test_failed_message_can_be_canceled(queue: Queue) -> None:
    """A failed message can be deleted, too, once."""
    queued = await add(queue)
    await queue.refuse(queued, REFUSED)
    await queue.cancel(queued.spooled.id)
    assert not queue.failed
    assert not files(queue.spool.folder)
    with pytest.raises(UnknownMessageError):
        await queue.cancel(queued.spooled.id)


async def test_message_in_progress_cannot_be_canceled(queue: Queue) -> None:
    """A message that is being submitted cannot be canceled."""
    queued = await add(queue)
    with queue.trying(queued), pytest.raises(InProgressError):
        await queue.cancel(queued.spooled.id)
    assert queue.waiting == [queued]


async def test_damaged_message_is_reported_as_lost(
    queue: Queue, told: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    """A message with a damaged file cannot be sent: this is reported, and the file is kept."""
    queue.on_added = lambda _queued: None
    queued = await add(queue)
    await queue.quarantine(queued)
    assert not queue.waiting
    assert queue.quarantined == [queued.spooled.name]
    assert files(queue.spool.folder / QUARANTINE) == [queued.spooled.name]
    assert [(delivery.event, delivery.recipients) for delivery in told] == [(Event.FAILED, (ANNA,))]
    assert f"Message {queued.spooled.id} is lost" in caplog.text
    assert receipt_of(queued) == expected_receipt(queued)


async def test_content_is_not_in_memory(queue: Queue) -> None:
    """The content of a message is only on disk."""
    queued = await add(queue)
    await queue.refuse(await add(queue, 2), REFUSED)
    assert "Alarm 1." not in repr((queued, queued.entry, queue))
    assert not any(isinstance(getattr(queued, name), bytes) for name in QueuedMessage.__slots__)
