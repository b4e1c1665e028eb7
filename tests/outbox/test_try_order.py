"""Urgent messages go first, in their own order, whatever happens in between."""

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.queue import Queue
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import REFUSED, add, broken, started_again, titles
from .worker_helpers import HOUR, all_done, numbers, running, unpaced, worker_on

ORDER = ["Alarm 2", "Alarm 4", "Alarm 1", "Alarm 3"]


async def add_mixed(queue: Queue) -> None:
    """Add four messages, of which the second and the fourth are urgent."""
    for number in range(1, 5):
        await add(queue, number, urgent=number % 2 == 0)


async def test_urgent_messages_go_before_what_waits(fake_server: FakeServer, queue: Queue) -> None:
    """They are sent first, in their order, and so are the others."""
    await add_mixed(queue)
    assert titles(queue) == ORDER
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        await all_done(queue)
    assert numbers(fake_server) == [2, 4, 1, 3]
    assert fake_server.connections == 1


async def test_order_is_the_same_after_a_restart_and_a_retry(queue: Queue) -> None:
    """A message that was failed and is retried goes to the end of its kind."""
    await add_mixed(queue)
    again = await started_again(queue)
    assert titles(again) == ORDER
    await again.refuse(again.waiting[0], REFUSED)
    await again.retry()
    assert titles(again) == ["Alarm 4", "Alarm 2", "Alarm 1", "Alarm 3"]
    assert titles(await started_again(again)) == titles(again)


async def test_urgent_message_that_is_interrupted_stays_before_the_others(queue: Queue) -> None:
    """It goes behind the other urgent ones only."""
    await add_mixed(queue)
    queue.move_to_end(queue.waiting[0])
    assert titles(queue) == ["Alarm 4", "Alarm 2", "Alarm 1", "Alarm 3"]
    queue.move_to_end(queue.waiting[2])
    assert titles(queue) == ["Alarm 4", "Alarm 2", "Alarm 3", "Alarm 1"]


async def test_message_that_cannot_be_canceled_keeps_its_place(queue: Queue) -> None:
    """Its file could not be deleted, so it still waits."""
    await add_mixed(queue)
    with broken(queue.spool.folder), pytest.raises(OSError, match="No such file"):
        await queue.cancel(queue.waiting[2].spooled.id)
    assert titles(queue) == ORDER


async def test_urgent_message_obeys_the_same_back_off(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """One that keeps failing lets the others pass, as any other message does."""
    fake_server.script = Script(replies={Step.MAIL: "451 4.7.500 Server busy"}, times=3)
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        await add(queue, 1, urgent=True)
        for _ in range(2):
            await all_done(queue)
            await worker.flush()
        await all_done(queue)
        await add(queue, 2)
        await all_done(queue)
        assert numbers(fake_server) == [2]
        freezer.tick(HOUR)
        await all_done(queue)
    assert numbers(fake_server) == [2, 1]
