"""When the courier gives a message up for its age, and when it does not."""

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
    all_done,
    courier_on,
    let_pass,
    numbers,
    queue_in,
    running,
)
from .helpers import add

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


async def test_only_what_is_too_old_expires(
    standin: StandIn, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """A restart does not make a message younger, and the younger one is sent."""
    standin.script = Script.for_row(ROWS["tenant_disabled"])
    async with running(courier_on(standin, queue, lifetime=DAY)):
        await add(queue, 1)
        await let_pass(freezer, queue, 20 * HOUR)
        await add(queue, 2)
        await all_done(queue)
    freezer.tick(5 * HOUR)
    standin.script = Script()
    again = await queue_in(queue)
    async with running(courier_on(standin, again, lifetime=DAY)):
        await all_done(again)
    assert numbers(standin) == [2]
    assert [kept.failure.event for kept in again.failed] == [Event.EXPIRED]


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
