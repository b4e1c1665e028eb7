"""When the courier gives a message up for its age, and when it does not."""

import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.delivery import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.standin import CATALOGUE, Script, StandIn, Step

from .courier_helpers import (
    DAY,
    HOUR,
    MINUTE,
    WEEK,
    YEAR,
    all_done,
    courier_on,
    let_pass,
    numbers,
    queue_in,
    running,
    unpaced,
)
from .helpers import add, titles

ROWS = {row.name: row for row in CATALOGUE}


@pytest.mark.parametrize(
    "name", ["credentials_incorrect", "daily_limit", "service_not_active", "server_busy"]
)
async def test_a_message_expires_while_it_is_held_or_backing_off(
    standin: StandIn, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory, name: str
) -> None:
    """It is kept aside with the last fault, at its own time and not at that of the next try."""
    standin.script = Script.for_row(ROWS[name])
    async with running(courier_on(standin, queue, lifetime=HOUR)):
        item = await add(queue)
        await all_done(queue)
        for _ in range(59):
            await let_pass(freezer, queue, MINUTE)
        assert queue.items == [item]
        connections = standin.connections
        await let_pass(freezer, queue, MINUTE + 0.1)
        assert not queue.items
        assert standin.connections == connections
    assert [turn.event for turn in told] == [Event.QUEUED, Event.EXPIRED]
    assert told[-1].fault == item.fault
    assert item.fault
    assert [kept.failure.spooled.id for kept in queue.failed] == [item.spooled.id]


@pytest.mark.parametrize("again", ["credentials_incorrect", None])
async def test_after_a_start_what_is_too_old_has_one_more_try(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, again: str | None
) -> None:
    """A restart does not make a message younger, but gives it another chance."""
    standin.script = Script.for_row(ROWS["tenant_disabled"])
    async with running(courier_on(standin, queue, lifetime=DAY)):
        await add(queue, 1)
        await let_pass(freezer, queue, 20 * HOUR)
        await add(queue, 2)
        await all_done(queue)
    standin.script = Script.for_row(ROWS[again]) if again else Script()
    connections = standin.connections
    queue = await queue_in(queue)
    async with running(courier_on(standin, queue, lifetime=20 * HOUR)):
        await all_done(queue)
    assert standin.connections > connections
    assert numbers(standin) == ([] if again else [1, 2])
    assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED][: bool(again)]
    assert titles(queue) == ["Alarm 2"][: bool(again)]


@pytest.mark.parametrize("name", ["server_busy", "credentials_incorrect"])
async def test_a_try_that_fails_gives_up_nothing_that_only_the_clock_says_is_old(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, name: str
) -> None:
    """The clock may have been behind when the message was written."""
    await add(queue)
    freezer.tick(30 * DAY)
    standin.script = Script.for_row(ROWS[name])
    queue = await queue_in(queue)
    async with running(courier_on(standin, queue, lifetime=DAY)):
        await let_pass(freezer, queue, DAY - 10)
        assert titles(queue) == ["Alarm 1"]
        await let_pass(freezer, queue, 11)
        assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED]


@pytest.mark.parametrize("behind", [3 * DAY, 30 * DAY])
async def test_a_clock_that_was_behind_gives_nothing_up(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, behind: float
) -> None:
    """Set right before a start, it makes messages look old that are not: all of them are sent."""
    standin.stop()
    async with running(courier_on(standin, queue, lifetime=DAY)):
        for number in range(3):
            await add(queue, number)
        await all_done(queue)
    freezer.tick(behind)
    queue = await queue_in(queue)
    async with running(courier_on(standin, queue, lifetime=DAY, schedule=unpaced())):
        await let_pass(freezer, queue, HOUR)  # The network takes a while to come up.
        assert len(queue.items) == 3
        standin.start()
        await let_pass(freezer, queue, HOUR)
    assert numbers(standin) == [0, 1, 2]
    assert not queue.failed


async def test_a_message_that_no_try_reaches_expires_by_what_is_known_of_its_age(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """However often Home Assistant is started again meanwhile: the hours that it ran add up."""
    standin.stop()
    await add(queue)
    for _ in range(4):
        assert titles(queue) == ["Alarm 1"]
        async with running(courier_on(standin, queue, lifetime=DAY)):
            await let_pass(freezer, queue, 7 * HOUR)
        queue = await queue_in(queue)
    async with running(courier_on(standin, queue, lifetime=DAY)):
        await all_done(queue)
    assert [kept.failure.event for kept in queue.failed] == [Event.EXPIRED]


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
async def test_a_jump_of_the_clock_ages_nothing(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    """While it runs only the clock that never jumps counts, to the second."""
    standin.stop()
    async with running(courier_on(standin, queue, lifetime=DAY)):
        await add(queue)
        await let_pass(freezer, queue, HOUR)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        await let_pass(freezer, queue, 23 * HOUR - 1)
        assert titles(queue) == ["Alarm 1"]
        await let_pass(freezer, queue, 1.1)
        assert not queue.items


async def test_a_message_does_not_expire_while_it_is_under_way(
    standin: StandIn, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """The server takes its time, and the message with it."""

    class Slow(Script):
        """Lets two days pass before the final answer."""

        def take(self, step: Step) -> bool:
            """Let time pass."""
            if step is Step.FINAL:
                freezer.tick(2 * DAY)
            return super().take(step)

    standin.script = Slow()
    async with running(courier_on(standin, queue, lifetime=DAY, timeout=WEEK)):
        await add(queue)
        await all_done(queue)
    assert numbers(standin) == [1]
    assert [turn.event for turn in told] == [Event.SENT]


async def test_what_failed_is_forgotten_after_a_week(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The courier wakes for it, though nothing waits."""
    standin.script = Script.for_row(ROWS["too_big"])
    async with running(courier_on(standin, queue)):
        await add(queue)
        await all_done(queue)
        await let_pass(freezer, queue, WEEK - 1)
        assert queue.failed
        await let_pass(freezer, queue, 1.1)
        assert not queue.failed
