"""The end of a courier, and the next beginning: nothing is lost, and nobody waits for long."""

import asyncio
from itertools import pairwise
import threading
from typing import BinaryIO

import pytest

from custom_components.outlook_smtp.outbox import grace as grace_module
from custom_components.outlook_smtp.outbox.delivery import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spooled import Spooled
from custom_components.outlook_smtp.smtp import session as session_module
from custom_components.outlook_smtp.smtp.faults import SubmissionError
from tests.conftest import until
from tests.promises import QUIT_TIMEOUT, STOP_GRACE
from tests.smtp.helpers import nothing_left_open
from tests.standin import CATALOGUE, Script, StandIn, Step

from .courier_helpers import RealTime, courier_on, numbers, queue_in, running, unpaced
from .helpers import ANNA, BERT, add

ROWS = {row.name: row for row in CATALOGUE}
SHORT = 0.1
# Wherever a client may wait for the server.
WAITS = [step for step in Step if step is not Step.IDLE]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what is under way a moment only."""
    monkeypatch.setattr(grace_module, "STOP_GRACE", SHORT)


def test_the_end_comes_within_ten_seconds() -> None:
    """A moment of grace and a farewell are all that a stop waits for."""
    assert grace_module.STOP_GRACE == STOP_GRACE
    assert session_module.QUIT_TIMEOUT == QUIT_TIMEOUT
    assert STOP_GRACE + QUIT_TIMEOUT < 10


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("step", WAITS, ids=str)
async def test_a_server_that_stalls_is_left_and_the_message_is_sent_after_the_next_start(
    standin: StandIn, queue: Queue, told: list[Delivery], step: Step
) -> None:
    """Wherever it stalls, the caller gets his answer and nothing is left open."""
    standin.script_next(Script(stall=step))
    courier = courier_on(standin, queue)
    await courier.start()
    item = await add(queue)
    # The moment is for what stalls, not for what comes before it.
    await until(lambda: standin.received if step is Step.QUIT else standin.connections)
    started = RealTime.now()
    await courier.stop()
    assert RealTime.now() - started < SHORT + QUIT_TIMEOUT + 0.5
    await nothing_left_open(standin)
    assert item.verdict
    if step is Step.QUIT:
        assert item.verdict.result().accepted == (ANNA,)
    else:
        assert item.verdict.result().waiting == (ANNA,)
        assert (item.tries, item.setbacks) == (0, 0)
    await courier.start()
    await until(lambda: not queue.items)
    await courier.stop()
    assert numbers(standin) == [1]
    assert told[-1].event is Event.SENT


async def test_what_is_under_way_is_finished(standin: StandIn, queue: Queue) -> None:
    """A server that is merely slow gets the message, and the others wait for the next start."""
    standin.script = Script.for_row(ROWS["too_big"], times=1)
    standin.script.refusal_delay = 0.1
    async with running(courier_on(standin, queue, schedule=unpaced())):
        first, second = await add(queue, 1), await add(queue, 2)
        await until(lambda: standin.connections)
    assert first.verdict
    assert first.verdict.result().refused
    assert second.verdict
    assert second.verdict.result().waiting
    assert queue.items == [second]
    assert standin.connections == 1


@pytest.mark.usefixtures("short_grace")
async def test_a_check_that_stalls_keeps_nobody_from_the_end(
    standin: StandIn, queue: Queue
) -> None:
    """A message that waits for its turn does not wait for it any longer."""
    standin.script = Script(stall=Step.GREETING)
    courier = courier_on(standin, queue)
    await courier.start()
    check = asyncio.create_task(courier.check())
    await until(lambda: standin.connections)
    item = await add(queue)
    await until(lambda: queue.under_way)
    async with asyncio.timeout(2):
        await courier.stop()
    assert queue.items == [item]
    standin.hang_up()
    with pytest.raises(SubmissionError):
        await check
    assert standin.connections == 1


async def test_an_end_that_comes_while_a_file_is_read_waits_for_no_check(
    standin: StandIn, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is not even put in line for a turn that may never come."""
    open_content, reading, may_end = queue.spool.open_content, threading.Event(), threading.Event()

    def slow_open(spooled: Spooled) -> BinaryIO:
        reading.set()
        may_end.wait(5)
        return open_content(spooled)

    monkeypatch.setattr(queue.spool, "open_content", slow_open)
    standin.script = Script(stall=Step.GREETING)
    courier = courier_on(standin, queue)
    await courier.start()
    check = asyncio.create_task(courier.check())
    await until(lambda: standin.connections)
    item = await add(queue)
    await until(reading.is_set)
    stop = asyncio.create_task(courier.stop())
    await asyncio.sleep(0)
    may_end.set()
    async with asyncio.timeout(2):
        await stop
    assert queue.items == [item]
    standin.hang_up()
    with pytest.raises(SubmissionError):
        await check
    assert standin.connections == 1


async def test_a_message_whose_turn_comes_at_the_end_waits_for_the_next_start(
    standin: StandIn, queue: Queue
) -> None:
    """No new connection is made once all has to end."""
    standin.script = Script.for_row(ROWS["server_busy"])
    standin.script.replies = {Step.AUTH: ROWS["credentials_incorrect"].reply}
    standin.script.refusal_delay = 0.1
    courier = courier_on(standin, queue)
    await courier.start()
    check = asyncio.create_task(courier.check())
    await until(lambda: standin.connections)
    await add(queue)
    await until(lambda: queue.under_way)
    await courier.stop()
    with pytest.raises(SubmissionError):
        await check
    assert standin.connections == 1
    assert len(queue.items) == 1


async def test_messages_that_come_while_nobody_serves_are_sent_after_the_next_start(
    standin: StandIn, queue: Queue
) -> None:
    """Their callers learn at once that they wait."""
    courier = courier_on(standin, queue, schedule=unpaced())
    await courier.stop()
    for start in range(3):
        early = await add(queue, 2 * start)
        assert early.verdict
        assert early.verdict.result().waiting == (ANNA,)
        async with running(courier):
            late = await add(queue, 2 * start + 1)
            await until(lambda: not queue.items)
        assert late.verdict
        assert late.verdict.result().accepted == (ANNA,)
    assert numbers(standin) == [0, 1, 2, 3, 4, 5]


async def test_several_may_ask_for_the_end(standin: StandIn, queue: Queue) -> None:
    """Each of them returns when it has come, and a later one at once."""
    standin.script = Script.for_row(ROWS["too_big"])
    standin.script.refusal_delay = 0.05
    courier = courier_on(standin, queue)
    await courier.start()
    item = await add(queue)
    await until(lambda: standin.connections)
    await asyncio.gather(courier.stop(), courier.stop(), courier.stop())
    await courier.stop()
    assert item.verdict
    assert item.verdict.done()
    assert not queue.items


@pytest.mark.usefixtures("short_grace")
async def test_nothing_is_lost_or_doubled_however_often_all_ends(
    standin: StandIn, queue: Queue
) -> None:
    """Stopped at any moment, the messages arrive in order; only a lost answer makes a duplicate."""
    for number in range(30):
        await add(queue, number, ANNA, BERT)
    pause = 0.0
    while queue.items:
        async with running(courier_on(standin, queue, schedule=unpaced())):
            await asyncio.sleep(pause)
        pause += 0.003
        queue = await queue_in(queue)
    arrived = numbers(standin)
    assert arrived == sorted(arrived)
    assert set(arrived) == set(range(30))
    assert all(later - sooner in (0, 1) for sooner, later in pairwise(arrived))


async def test_a_courier_that_is_cancelled_is_gone(standin: StandIn, queue: Queue) -> None:
    """The end of the loop itself is no trouble that it recovers from, and its message waits."""
    standin.script = Script(stall=Step.MAIL)
    courier = courier_on(standin, queue)
    await courier.start()
    item = await add(queue)
    await until(lambda: standin.connections)
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "outlook_smtp courier"]
    task.cancel()
    await courier.stop()
    assert task.cancelled()
    assert queue.items == [item]
    assert queue.under_way is None
