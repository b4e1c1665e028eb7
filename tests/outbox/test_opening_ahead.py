"""The connection is opened while a message is still being read, unless something holds it."""

import asyncio

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Problem
from custom_components.outlook_smtp.outbox.events import Attempt
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Script, Step
from tests.promises import IDLE_TIME
from tests.smtp.helpers import commands, nothing_left_open

from .helpers import ANNA, add, receipt_of
from .worker_helpers import (
    BUSY,
    DAY,
    RealTime,
    WatchedWorker,
    all_done,
    numbers,
    running,
    unpaced,
    worker_on,
)

REFUSED = Script.for_row(next(row for row in CATALOGUE if row.name == "credentials_incorrect"))


async def opened(worker: WatchedWorker) -> None:
    """Open the connection ahead, and wait for the result."""
    worker.open_ahead()
    if worker._opening:
        await asyncio.wait((worker._opening,))


async def test_message_uses_the_connection_opened_ahead(
    fake_server: FakeServer, queue: Queue
) -> None:
    """It is opened once, and the message takes one round trip."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        await opened(worker)
        assert commands(fake_server)[-1] == "***"  # The password.
        await opened(worker)
        await add(queue)
        await all_done(queue)
        await opened(worker)
    assert numbers(fake_server) == [1]
    assert fake_server.connections == 1


async def test_message_waits_for_a_connection_that_is_being_opened(
    fake_server: FakeServer, queue: Queue
) -> None:
    """There is no second one, however early the message is ready."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        worker.open_ahead()
        worker.open_ahead()
        queued = await add(queue)
        await all_done(queue)
        assert receipt_of(queued).accepted == (ANNA,)
    assert fake_server.connections == 1


async def test_nothing_is_opened_that_would_not_be_used(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Not during a user's hold, a back-off, a broken disk, a submission, or after the stop."""
    worker = worker_on(fake_server, queue, schedule=unpaced(), timeout=600.0)
    await opened(worker)
    async with running(worker):
        await worker.hold_back(is_held=True)
        await opened(worker)
        await worker.hold_back(is_held=False)
        queue.disk.error = OSError()
        await opened(worker)
        queue.disk.error = None
        assert fake_server.connections == 0
        fake_server.script = Script(replies={Step.GREETING: BUSY}, times=1)
        await add(queue)
        await all_done(queue)
        await opened(worker)
        assert fake_server.connections == 1
        fake_server.script_next(Script(stall=Step.CONTENT, times=1))
        freezer.tick(DAY)
        await until(lambda: fake_server.connections == 2)
        await until(lambda: any(line.startswith("MAIL") for line in commands(fake_server)))
        await opened(worker)
        fake_server.go_on()
        await all_done(queue)
    await opened(worker)
    await nothing_left_open(fake_server)
    assert (numbers(fake_server), fake_server.connections) == ([1], 2)


@pytest.mark.parametrize("is_waiting", [False, True])
async def test_refused_sign_in_is_tried_once(
    fake_server: FakeServer, queue: Queue, is_waiting: bool
) -> None:
    """It is the result of the message that waits for it, or recorded for the next one."""
    fake_server.script = REFUSED
    attempts: list[Attempt] = []
    worker = worker_on(fake_server, queue, attempts=attempts, schedule=unpaced())
    async with running(worker):
        if is_waiting:
            worker.open_ahead()
            await add(queue)
            await until(lambda: attempts)
        else:
            await opened(worker)
            await add(queue)
        await all_done(queue)
        await opened(worker)
        assert worker.refusal
        assert worker.refusal.problem is Problem.INVALID_CREDENTIALS
        assert receipt_of(queue.waiting[0]).fault == worker.refusal
        assert [attempt.fault for attempt in attempts] == [worker.refusal]
    assert fake_server.connections == 1


async def test_temporary_fault_is_left_to_the_message(
    fake_server: FakeServer, queue: Queue
) -> None:
    """It is silent, unless the message already waits: then it is the result of its attempt."""
    attempts: list[Attempt] = []
    worker = worker_on(fake_server, queue, attempts=attempts, schedule=unpaced())
    async with running(worker):
        fake_server.script_next(Script(drop=Step.GREETING))
        await opened(worker)
        assert not attempts
        await add(queue, 1)
        await all_done(queue)
        assert (numbers(fake_server), fake_server.connections) == ([1], 2)
        await worker._lane.route.close()
        fake_server.script_next(Script(drop=Step.EHLO_TLS))
        worker.open_ahead()
        queued = await add(queue, 2)
        await all_done(queue)
        assert receipt_of(queued).fault
        assert (queued.deferrals, fake_server.connections) == (0, 3)
        assert [bool(attempt.fault) for attempt in attempts] == [False, True]


async def test_unused_connection_closes_after_the_idle_time(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """As any other one does."""
    async with running(worker_on(fake_server, queue)) as worker:
        await opened(worker)
        freezer.tick(IDLE_TIME + 1)
        await nothing_left_open(fake_server, of=1)
    assert commands(fake_server)[-1] == "QUIT"


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.HANDSHAKE, Step.AUTH], ids=str)
async def test_opening_never_delays_a_stop(
    fake_server: FakeServer, queue: Queue, step: Step
) -> None:
    """Wherever the server stalls, nothing is left open, and the message waits."""
    fake_server.script = Script(stall=step)
    worker = worker_on(fake_server, queue)
    await worker.start()
    worker.open_ahead()
    queued = await add(queue)
    await until(lambda: fake_server.connections and queue.under_way)
    started = RealTime.now()
    await worker.stop()
    assert RealTime.now() - started < 1
    await nothing_left_open(fake_server)
    assert (queue.waiting, queued.tries) == ([queued], 0)
