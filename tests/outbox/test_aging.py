"""Messages that expire in their own time, are reported as delayed, or are sent at a set time."""

from datetime import UTC, datetime, timedelta
from functools import partial
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.terms import Terms
from custom_components.outlook_smtp.outbox.worker import DeliveryWorker
from tests.fake_microsoft import FakeServer
from tests.promises import DELAYED_AFTER

from .helpers import BUSY, add, broken, started_again, titles
from .worker_helpers import DAY, HOUR, MINUTE, all_done, let_pass, numbers, running, worker_on

TERMS = Terms(2 * DAY, urgent_lifetime=HOUR)


def outcomes(queue: Queue) -> list[tuple[str, str]]:
    """Return the failed messages and why they failed."""
    return [(each.failure.spooled.entry.title, each.failure.event) for each in queue.failed]


def in_hours(hours: float) -> datetime:
    """Return a time of day."""
    return datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=hours)


async def look(queue: Queue, terms: Terms = TERMS) -> list[str]:
    """Do what time has brought, and return what still waits."""
    now = time.monotonic()
    queue.release(now)
    await queue.expire(terms, now)
    return titles(queue)


async def test_message_expires_in_its_own_time(
    queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """That of the message comes first, then that of urgent messages, then that of the account."""
    await add(queue, 1, expires_after=MINUTE)
    await add(queue, 2, urgent=True)
    await add(queue, 3, urgent=True, expires_after=3 * HOUR)
    await add(queue, 4)
    for waits, passing in ((4, MINUTE - 1), (3, 1), (3, HOUR - MINUTE - 1), (2, 1), (1, 2 * HOUR)):
        freezer.tick(passing)
        assert len(await look(queue)) == waits
    freezer.tick(2 * DAY - 3 * HOUR)
    assert await look(queue) == []
    assert [outcome for _, outcome in outcomes(queue)] == [Event.EXPIRED] * 4


async def test_own_time_goes_on_while_home_assistant_is_off(
    queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """After a power cut of a day, old alarms are not sent, and other messages still are."""
    await add(queue, 1, expires_after=HOUR)
    await add(queue, 2, urgent=True)
    await add(queue, 3, urgent=True, expires_after=2 * DAY)
    await add(queue, 4)
    freezer.tick(DAY)
    queue = await started_again(queue)
    assert await look(queue) == ["Alarm 3", "Alarm 4"]
    assert outcomes(queue) == [("Alarm 2", "expired"), ("Alarm 1", "expired")]
    await queue.retry()  # A person wants it nevertheless: it has all of its time again.
    freezer.tick(HOUR - 1)
    assert await look(queue) == ["Alarm 3", "Alarm 2", "Alarm 4", "Alarm 1"]


@pytest.mark.parametrize("terms", [Terms(DAY, urgent_lifetime=MINUTE), Terms(MINUTE)])
async def test_changed_options_apply_at_once(
    queue: Queue, freezer: FrozenDateTimeFactory, terms: Terms
) -> None:
    """They are read whenever they are needed."""
    await add(queue, 1, urgent=True)
    freezer.tick(HOUR - 1)
    assert await look(queue) == ["Alarm 1"]
    assert await look(queue, terms) == []


async def test_expired_message_is_not_sent(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """The server comes back a moment too late for one of two, on time for the worker's next try."""
    fake_server.stop()
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue, 1, expires_after=10 * MINUTE)
        await add(queue, 2)
        await all_done(queue)
        await let_pass(freezer, queue, 10 * MINUTE + 0.1)
        fake_server.start()
        await worker.flush()
        await let_pass(freezer, queue, HOUR)
    assert numbers(fake_server) == [2]
    events = [(turn.event, turn.message_id) for turn in told if turn.event is not Event.QUEUED]
    assert events == [(Event.EXPIRED, "<1@example.com>"), (Event.SENT, "<2@example.com>")]


async def test_delay_is_reported_once(
    queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """Each message that waits for 15 minutes is reported once, with its last fault; no other is."""
    first = await add(queue, 1)
    queue.defer(first, BUSY)
    freezer.tick(MINUTE)
    await add(queue, 2)
    told.clear()
    for passing, expected in (
        (DELAYED_AFTER - MINUTE - 1, []),
        (1, ["<1@example.com>"]),
        (MINUTE - 1, []),
        (1, ["<2@example.com>"]),
        (DAY, []),
    ):
        freezer.tick(passing)
        await queue.tell_delayed(TERMS, time.monotonic())
        assert [turn.message_id for turn in told] == expected
        assert all(turn.event is Event.DELAYED for turn in told)
        told.clear()
    assert queue.delayed == {queued.spooled.id for queued in queue.waiting}
    assert first.fault == BUSY
    await queue.cancel(first.spooled.id)
    assert len(queue.delayed) == 1


@pytest.mark.parametrize("is_killed", [False, True])
async def test_delay_is_reported_once_over_restarts(
    queue: Queue, freezer: FrozenDateTimeFactory, *, is_killed: bool
) -> None:
    """What waited before counts, the time while Home Assistant was off, too; a minute remains."""
    await add(queue, 1)
    freezer.tick(DELAYED_AFTER)
    await queue.tell_delayed(TERMS, time.monotonic())
    await add(queue, 2)
    freezer.tick(DELAYED_AFTER - 1)
    if not is_killed:
        await queue.save_ages()
    freezer.tick(HOUR)
    queue = await started_again(queue)
    told: list[Any] = []
    queue.subscribe(told.append)
    for passing, expected in ((0, []), (MINUTE - 1, []), (1, ["<2@example.com>"]), (DAY, [])):
        freezer.tick(passing)
        told.clear()
        await queue.tell_delayed(TERMS, time.monotonic())
        assert [turn.message_id for turn in told] == expected
    assert len(queue.delayed) == 2


async def test_many_delayed_messages_are_saved_together(
    queue: Queue,
    told: list[Delivery],
    monkeypatch: pytest.MonkeyPatch,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Those of a minute are written once, and what is not yet written is at the end."""
    saved: list[int] = []
    save = queue.save_ages

    async def counted() -> None:
        """Count what is saved."""
        saved.append(len(queue.delayed))
        await save()

    monkeypatch.setattr(queue, "save_ages", counted)
    for number in range(60):
        await add(queue, number)
        freezer.tick(1)
    freezer.tick(DELAYED_AFTER - 60)
    for _ in range(61):
        await queue.tell_delayed(TERMS, time.monotonic())
        freezer.tick(1)
    assert [turn.event for turn in told].count(Event.DELAYED) == 60
    assert saved == [1, 60]


async def test_message_that_cannot_be_canceled_stays_delayed(
    queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Its mark is as lasting as the message."""
    queued = await add(queue, 1)
    freezer.tick(DELAYED_AFTER)
    await queue.tell_delayed(TERMS, time.monotonic())
    with broken(queue.spool.folder), pytest.raises(OSError, match="No such file"):
        await queue.cancel(queued.spooled.id)
    assert queue.delayed == {queued.spooled.id}
    assert queue.size == queued.entry.size


async def test_message_is_sent_at_its_time(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """Not before, whatever is flushed; in its own time from then on; a past time means now."""
    async with running(worker_on(fake_server, queue, lifetime=HOUR)) as worker:
        late = await add(queue, 1, send_at=in_hours(3), expires_after=MINUTE)
        await add(queue, 2)
        await add(queue, 3, send_at=in_hours(-3))
        await add(queue, 4, send_at=in_hours(2))
        await all_done(queue)
        assert numbers(fake_server) == [2, 3]
        assert late.receipt
        assert late.receipt.result().status == "queued"
        for passing, expected in ((2 * HOUR - 1, [2, 3]), (1.1, [2, 3, 4]), (HOUR, [2, 3, 4, 1])):
            await worker.flush()
            await all_done(queue)
            await let_pass(freezer, queue, passing)
            assert numbers(fake_server) == expected
    assert {turn.event for turn in told} == {Event.QUEUED, Event.SENT}


@pytest.mark.parametrize("off", [HOUR, 3 * HOUR])
async def test_time_to_send_is_kept_over_a_restart(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, off: float
) -> None:
    """It is sent at its time, or at the start if that has passed."""
    await add(queue, 1, send_at=in_hours(2))
    await queue.save_ages()
    freezer.tick(off)
    queue = await started_again(queue)
    async with running(worker_on(fake_server, queue, lifetime=MINUTE)):
        await all_done(queue)
        assert numbers(fake_server) == ([] if off < 2 * HOUR else [1])
        await let_pass(freezer, queue, HOUR)
    assert numbers(fake_server) == [1]


async def test_clock_that_is_set_sends_what_was_scheduled(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time of day counts: it is looked at again every minute."""
    async with running(worker_on(fake_server, queue)):
        await add(queue, 1, send_at=in_hours(2))
        await all_done(queue)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + 2 * HOUR)
        await let_pass(freezer, queue, MINUTE - 1)
        assert numbers(fake_server) == []
        await let_pass(freezer, queue, 1.1)
    assert numbers(fake_server) == [1]


async def test_scheduled_message_is_not_late(queue: Queue, freezer: FrozenDateTimeFactory) -> None:
    """It neither expires nor counts as delayed before its time, and can be canceled."""
    queued = await add(queue, 1, send_at=in_hours(24 * 7), urgent=True)
    canceled = await add(queue, 2, send_at=in_hours(24))
    await queue.cancel(canceled.spooled.id)
    for _ in range(7):
        freezer.tick(DAY - 1)
        await queue.tell_delayed(TERMS, time.monotonic())
        assert await look(queue) == ["Alarm 1"]
    assert queue.delayed == set()
    freezer.tick(10)
    assert await look(queue) == ["Alarm 1"]
    assert queue.first(time.monotonic()) is queued
    freezer.tick(DELAYED_AFTER)
    await queue.tell_delayed(TERMS, time.monotonic())
    assert queue.delayed == {queued.spooled.id}
    freezer.tick(HOUR)
    assert await look(queue) == []


@pytest.mark.parametrize("is_held_before", [False, True])
async def test_user_holds_and_releases_the_outbox(
    fake_server: FakeServer,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    *,
    is_held_before: bool,
) -> None:
    """Nothing is sent, flushed or restarted, until it is released; then all are, in order."""
    fake_server.stop()
    worker: DeliveryWorker
    async with running(worker_on(fake_server, queue)) as worker:
        if is_held_before:
            await worker.hold_back(is_held=True)
        queued = await add(queue, 1)
        await worker.hold_back(is_held=True)
        assert queued.receipt
        assert (await queued.receipt).status == "queued"
        fake_server.start()
        await worker.flush()
        await let_pass(freezer, queue, HOUR)
    assert [turn.event for turn in told] == [Event.QUEUED]
    queue = await started_again(queue)
    hold = partial(worker_on, fake_server, queue)
    async with running(hold()) as worker:
        assert worker.is_held
        await add(queue, 2)
        await let_pass(freezer, queue, HOUR)
        assert numbers(fake_server) == []
        assert worker.next_try(queue.waiting[0]) == float("inf")
        await worker.hold_back(is_held=False)
        await all_done(queue)
        assert numbers(fake_server) == [1, 2]
    async with running(hold()) as worker:
        assert not worker.is_held
