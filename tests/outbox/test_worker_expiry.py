"""When the delivery worker expires a message, and when it does not."""

import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.fake_microsoft import CATALOGUE, FakeServer, Script, Step

from .helpers import add, titles
from .worker_helpers import (
    DAY,
    HOUR,
    MINUTE,
    WEEK,
    YEAR,
    all_done,
    let_pass,
    numbers,
    queue_in,
    running,
    unpaced,
    worker_on,
)

ROWS = {row.name: row for row in CATALOGUE}


@pytest.mark.parametrize(
    "name", ["credentials_incorrect", "daily_limit", "service_not_active", "server_busy"]
)
async def test_message_expires_during_a_hold_or_a_back_off(
    fake_server: FakeServer,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    name: str,
) -> None:
    """It fails with the last fault, exactly on time and not at the next attempt."""
    fake_server.script = Script.for_row(ROWS[name])
    async with running(worker_on(fake_server, queue, lifetime=HOUR)):
        queued = await add(queue)
        await all_done(queue)
        for _ in range(59):
            await let_pass(freezer, queue, MINUTE)
        assert queue.waiting == [queued]
        connections = fake_server.connections
        await let_pass(freezer, queue, MINUTE + 0.1)
        assert not queue.waiting
        assert fake_server.connections == connections
    assert [turn.event for turn in told] == [Event.QUEUED, Event.EXPIRED]
    assert told[-1].fault == queued.fault
    assert queued.fault
    assert [kept.failure.spooled.id for kept in queue.failed] == [queued.spooled.id]


@pytest.mark.parametrize("again", ["credentials_incorrect", None])
async def test_expired_message_gets_one_more_attempt_after_a_start(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, again: str | None
) -> None:
    """A restart does not make a message younger, but gives it another chance."""
    fake_server.script = Script.for_row(ROWS["tenant_disabled"])
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        await add(queue, 1)
        await let_pass(freezer, queue, 20 * HOUR)
        await add(queue, 2)
        await all_done(queue)
    fake_server.script = Script.for_row(ROWS[again]) if again else Script()
    connections = fake_server.connections
    queue = await queue_in(queue)
    async with running(worker_on(fake_server, queue, lifetime=20 * HOUR)):
        await all_done(queue)
    assert fake_server.connections > connections
    assert numbers(fake_server) == ([] if again else [1, 2])
    assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED][: bool(again)]
    assert titles(queue) == ["Alarm 2"][: bool(again)]


@pytest.mark.parametrize("name", ["server_busy", "credentials_incorrect"])
async def test_failed_attempt_does_not_expire_a_message_by_the_clock(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, name: str
) -> None:
    """The clock may have been behind when the message was written."""
    await add(queue)
    freezer.tick(30 * DAY)
    fake_server.script = Script.for_row(ROWS[name])
    queue = await queue_in(queue)
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        await let_pass(freezer, queue, DAY - 10)
        assert titles(queue) == ["Alarm 1"]
        await let_pass(freezer, queue, 11)
        assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED]


@pytest.mark.parametrize("behind", [3 * DAY, 30 * DAY])
async def test_clock_that_was_behind_expires_nothing(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, behind: float
) -> None:
    """Corrected before a start, it makes messages look old: all of them are still sent."""
    fake_server.stop()
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        for number in range(3):
            await add(queue, number)
        await all_done(queue)
    freezer.tick(behind)
    queue = await queue_in(queue)
    async with running(worker_on(fake_server, queue, lifetime=DAY, schedule=unpaced())):
        await let_pass(freezer, queue, HOUR)  # The network takes a while to come up.
        assert len(queue.waiting) == 3
        fake_server.start()
        await let_pass(freezer, queue, HOUR)
    assert numbers(fake_server) == [0, 1, 2]
    assert not queue.failed


async def test_untried_message_expires_by_its_known_age(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """However often Home Assistant restarts meanwhile: its running time adds up."""
    fake_server.stop()
    await add(queue)
    for _ in range(4):
        assert titles(queue) == ["Alarm 1"]
        async with running(worker_on(fake_server, queue, lifetime=DAY)):
            await let_pass(freezer, queue, 7 * HOUR)
        queue = await queue_in(queue)
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        await all_done(queue)
    assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED]


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
async def test_clock_jump_ages_nothing(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    """While it runs, only the monotonic clock counts, to the second."""
    fake_server.stop()
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        await add(queue)
        await let_pass(freezer, queue, HOUR)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        await let_pass(freezer, queue, 23 * HOUR - 1)
        assert titles(queue) == ["Alarm 1"]
        await let_pass(freezer, queue, 1.1)
        assert not queue.waiting


async def test_message_in_progress_does_not_expire(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """The server takes its time, and so does the message."""

    class Slow(Script):
        """Lets two days pass before the final reply."""

        def take(self, step: Step) -> bool:
            """Let time pass."""
            if step is Step.FINAL:
                freezer.tick(2 * DAY)
            return super().take(step)

    fake_server.script = Slow()
    async with running(worker_on(fake_server, queue, lifetime=DAY, timeout=WEEK)):
        await add(queue)
        await all_done(queue)
    assert numbers(fake_server) == [1]
    assert [turn.event for turn in told] == [Event.SENT]


async def test_failed_message_is_deleted_after_a_week(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The delivery worker wakes up for that, though nothing waits."""
    fake_server.script = Script.for_row(ROWS["too_big"])
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await all_done(queue)
        await let_pass(freezer, queue, WEEK - 1)
        assert queue.failed
        await let_pass(freezer, queue, 1.1)
        assert not queue.failed
