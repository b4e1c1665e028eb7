"""A delivery worker stops and starts again: nothing is lost, and nobody waits for long."""

import asyncio
from itertools import pairwise
import threading
from typing import BinaryIO

import pytest

from custom_components.outlook_smtp.delivery.faults import SubmissionError
from custom_components.outlook_smtp.outbox import grace as grace_module
from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spooled import Spooled
from custom_components.outlook_smtp.smtp import session as session_module
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Script, Step
from tests.promises import QUIT_TIMEOUT, STOP_GRACE
from tests.smtp.helpers import nothing_left_open

from .helpers import ANNA, BERT, add, receipt_of
from .worker_helpers import RealTime, numbers, queue_in, running, unpaced, worker_on

ROWS = {row.name: row for row in CATALOGUE}
SHORT = 0.1
# Wherever a client may wait for the server.
WAITS = [step for step in Step if step is not Step.IDLE]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what is under way a moment only."""
    monkeypatch.setattr(grace_module, "STOP_GRACE", SHORT)


def test_the_end_comes_within_ten_seconds() -> None:
    """A moment of grace and QUIT are all that a stop waits for."""
    assert grace_module.STOP_GRACE == STOP_GRACE
    assert session_module.QUIT_TIMEOUT == QUIT_TIMEOUT
    assert STOP_GRACE + QUIT_TIMEOUT < 10


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("step", WAITS, ids=str)
async def test_a_server_that_stalls_is_left_and_the_message_is_sent_after_the_next_start(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], step: Step
) -> None:
    """Wherever it stalls, the caller gets his answer and nothing is left open."""
    fake_server.script_next(Script(stall=step))
    worker = worker_on(fake_server, queue)
    await worker.start()
    queued = await add(queue)
    # The moment is for what stalls, not for what comes before it.
    await until(lambda: fake_server.received if step is Step.QUIT else fake_server.connections)
    started = RealTime.now()
    await worker.stop()
    assert RealTime.now() - started < SHORT + QUIT_TIMEOUT + 0.5
    await nothing_left_open(fake_server)
    if step is Step.QUIT:
        assert receipt_of(queued).accepted == (ANNA,)
    else:
        assert receipt_of(queued).waiting == (ANNA,)
        assert (queued.tries, queued.deferrals) == (0, 0)
    await worker.start()
    await until(lambda: not queue.waiting)
    await worker.stop()
    assert numbers(fake_server) == [1]
    assert told[-1].event is Event.SENT


async def test_what_is_under_way_is_finished(fake_server: FakeServer, queue: Queue) -> None:
    """A server that is merely slow gets the message, and the others wait for the next start."""
    fake_server.script = Script.for_row(ROWS["too_big"], times=1)
    fake_server.script.refusal_delay = 0.1
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        first, second = await add(queue, 1), await add(queue, 2)
        await until(lambda: fake_server.connections)
    assert receipt_of(first).refused
    assert receipt_of(second).waiting
    assert queue.waiting == [second]
    assert fake_server.connections == 1


@pytest.mark.usefixtures("short_grace")
async def test_a_check_that_stalls_keeps_nobody_from_the_end(
    fake_server: FakeServer, queue: Queue
) -> None:
    """A message that waits for its turn does not wait for it any longer."""
    fake_server.script = Script(stall=Step.GREETING)
    worker = worker_on(fake_server, queue)
    await worker.start()
    check = asyncio.create_task(worker.check())
    await until(lambda: fake_server.connections)
    queued = await add(queue)
    await until(lambda: queue.under_way)
    async with asyncio.timeout(2):
        await worker.stop()
    assert queue.waiting == [queued]
    fake_server.hang_up()
    with pytest.raises(SubmissionError):
        await check
    assert fake_server.connections == 1


async def test_an_end_that_comes_while_a_file_is_read_waits_for_no_check(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is not even put in line for a turn that may never come."""
    open_content, reading, may_end = queue.spool.open_content, threading.Event(), threading.Event()

    def slow_open(spooled: Spooled) -> BinaryIO:
        reading.set()
        may_end.wait(5)
        return open_content(spooled)

    monkeypatch.setattr(queue.spool, "open_content", slow_open)
    fake_server.script = Script(stall=Step.GREETING)
    worker = worker_on(fake_server, queue)
    await worker.start()
    check = asyncio.create_task(worker.check())
    await until(lambda: fake_server.connections)
    queued = await add(queue)
    await until(reading.is_set)
    stop = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    may_end.set()
    async with asyncio.timeout(2):
        await stop
    assert queue.waiting == [queued]
    fake_server.hang_up()
    with pytest.raises(SubmissionError):
        await check
    assert fake_server.connections == 1


async def test_a_message_whose_turn_comes_at_the_end_waits_for_the_next_start(
    fake_server: FakeServer, queue: Queue
) -> None:
    """No new connection is made once all has to end."""
    fake_server.script = Script.for_row(ROWS["server_busy"])
    fake_server.script.replies = {Step.AUTH: ROWS["credentials_incorrect"].reply}
    fake_server.script.refusal_delay = 0.1
    worker = worker_on(fake_server, queue)
    await worker.start()
    check = asyncio.create_task(worker.check())
    await until(lambda: fake_server.connections)
    await add(queue)
    await until(lambda: queue.under_way)
    await worker.stop()
    with pytest.raises(SubmissionError):
        await check
    assert fake_server.connections == 1
    assert len(queue.waiting) == 1


async def test_messages_that_come_while_nobody_serves_are_sent_after_the_next_start(
    fake_server: FakeServer, queue: Queue
) -> None:
    """Their callers learn at once that they wait."""
    worker = worker_on(fake_server, queue, schedule=unpaced())
    await worker.stop()
    for start in range(3):
        early = await add(queue, 2 * start)
        assert receipt_of(early).waiting == (ANNA,)
        async with running(worker):
            late = await add(queue, 2 * start + 1)
            await until(lambda: not queue.waiting)
        assert receipt_of(late).accepted == (ANNA,)
    assert numbers(fake_server) == [0, 1, 2, 3, 4, 5]


async def test_several_may_ask_for_the_end(fake_server: FakeServer, queue: Queue) -> None:
    """Each of them returns when it has come, and a later one at once."""
    fake_server.script = Script.for_row(ROWS["too_big"])
    fake_server.script.refusal_delay = 0.05
    worker = worker_on(fake_server, queue)
    await worker.start()
    queued = await add(queue)
    await until(lambda: fake_server.connections)
    await asyncio.gather(worker.stop(), worker.stop(), worker.stop())
    await worker.stop()
    assert queued.receipt
    assert queued.receipt.done()
    assert not queue.waiting


@pytest.mark.usefixtures("short_grace")
async def test_nothing_is_lost_or_doubled_however_often_all_ends(
    fake_server: FakeServer, queue: Queue
) -> None:
    """Stopped at any moment, the messages arrive in order; only a lost answer makes a duplicate."""
    for number in range(30):
        await add(queue, number, ANNA, BERT)
    pause = 0.0
    while queue.waiting:
        async with running(worker_on(fake_server, queue, schedule=unpaced())):
            await asyncio.sleep(pause)
        pause += 0.003
        queue = await queue_in(queue)
    arrived = numbers(fake_server)
    assert arrived == sorted(arrived)
    assert set(arrived) == set(range(30))
    assert all(later - sooner in (0, 1) for sooner, later in pairwise(arrived))


async def test_a_worker_that_is_cancelled_is_gone(fake_server: FakeServer, queue: Queue) -> None:
    """The end of the loop itself is no trouble that it recovers from, and its message waits."""
    fake_server.script = Script(stall=Step.MAIL)
    worker = worker_on(fake_server, queue)
    await worker.start()
    queued = await add(queue)
    await until(lambda: fake_server.connections)
    [task] = [
        task for task in asyncio.all_tasks() if task.get_name() == "outlook_smtp delivery worker"
    ]
    task.cancel()
    await worker.stop()
    assert task.cancelled()
    assert queue.waiting == [queued]
    assert queue.under_way is None
