"""A delivery worker stops and restarts: nothing is lost, and nothing waits long."""

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
    """Shorten the grace period for work in progress."""
    monkeypatch.setattr(grace_module, "STOP_GRACE", SHORT)


def test_stop_takes_at_most_ten_seconds() -> None:
    """A stop only waits for the grace period and a 421 reply."""
    assert grace_module.STOP_GRACE == STOP_GRACE
    assert session_module.QUIT_TIMEOUT == QUIT_TIMEOUT
    assert STOP_GRACE + QUIT_TIMEOUT < 10


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("step", WAITS, ids=str)
async def test_message_at_a_stalled_server_is_sent_after_the_next_start(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], step: Step
) -> None:
    """Wherever it stalls, the caller gets its result and nothing is left open."""
    fake_server.script_next(Script(stall=step))
    worker = worker_on(fake_server, queue)
    await worker.start()
    queued = await add(queue)
    # The grace period is for the stall, not for what precedes it.
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


async def test_submission_in_progress_is_completed(fake_server: FakeServer, queue: Queue) -> None:
    """A slow server gets the message, and the others wait for the next start."""
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
async def test_stalled_check_does_not_delay_the_stop(fake_server: FakeServer, queue: Queue) -> None:
    """A message that waits for its turn does not wait any longer."""
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


async def test_stop_while_a_file_is_read_waits_for_no_check(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message does not even queue for a turn that may never come."""
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


async def test_message_due_during_the_stop_waits_for_the_next_start(
    fake_server: FakeServer, queue: Queue
) -> None:
    """No new connection is made during the shutdown."""
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


async def test_messages_added_while_stopped_are_sent_after_the_next_start(
    fake_server: FakeServer, queue: Queue
) -> None:
    """Their callers learn at once that they are queued."""
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


async def test_concurrent_stops_all_return(fake_server: FakeServer, queue: Queue) -> None:
    """Each call returns when the worker has stopped, and a later one at once."""
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
async def test_repeated_stops_lose_and_duplicate_nothing(
    fake_server: FakeServer, queue: Queue
) -> None:
    """Stopped at any moment, the messages arrive in order; only a lost reply causes a duplicate."""
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


async def test_canceled_worker_ends(fake_server: FakeServer, queue: Queue) -> None:
    """It does not recover from the end of the loop itself, and its message waits."""
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
    assert not queue.under_way
