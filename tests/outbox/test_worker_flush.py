"""A flush during an attempt causes another attempt afterwards, whatever the first one's result."""

import asyncio
from typing import Any, override

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import SubmissionError
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.worker import DeliveryWorker
from tests.fake_microsoft import FakeServer, Script, Step
from tests.promises import MAX_DEFERRALS

from .helpers import add
from .worker_helpers import NEXT_TRY, all_done, let_pass, numbers, running, unpaced, worker_on

LOCKED = "535 5.7.3 Authentication unsuccessful, account locked"
BUSY = "451 4.7.500 Server busy"


class Flushed(Script):
    """Requests a flush at the step at which it replies with an error."""

    def __init__(self, worker: DeliveryWorker, step: Step, reply: str) -> None:
        """Store the worker to flush."""
        super().__init__(replies={step: reply})
        self._worker = worker
        self._step = step
        self._loop = asyncio.get_running_loop()

    @override
    def take(self, step: Step) -> Any:
        """Flush in the middle of the client's attempt."""
        if step is self._step:
            asyncio.run_coroutine_threadsafe(self._worker.flush(), self._loop).result(5)
        return super().take(step)


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        (Step.AUTH, LOCKED),
        (Step.RCPT, "550 5.1.90 You reached your daily limit"),
        (Step.FINAL, "554 5.2.0 Actual verdict is Suspend"),
        (Step.MAIL, BUSY),
    ],
)
async def test_flush_during_an_attempt_is_not_lost(
    fake_server: FakeServer, queue: Queue, step: Step, reply: str
) -> None:
    """All waiting messages are retried at once, even if the first attempt caused a hold."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        fake_server.script_next(Flushed(worker, step, reply))
        await add(queue, 1)
        await all_done(queue)
        assert numbers(fake_server) == [1]
        assert fake_server.connections == 2


async def test_flush_during_the_last_attempt_before_yielding_is_not_lost(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The message itself is retried, too."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        for _ in range(MAX_DEFERRALS - 1):
            fake_server.script_next(Script(replies={Step.MAIL: BUSY}))
        fake_server.script_next(Flushed(worker, Step.MAIL, BUSY))
        await add(queue, 1)
        await all_done(queue)
        for failures in range(1, MAX_DEFERRALS):
            await let_pass(freezer, queue, NEXT_TRY * failures**2)
        assert fake_server.connections == MAX_DEFERRALS + 1
        assert numbers(fake_server) == [1]


async def test_flush_during_a_check_is_not_lost(fake_server: FakeServer, queue: Queue) -> None:
    """A hold caused by the check only lasts until the attempt."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        fake_server.script_next(Script(replies={Step.AUTH: LOCKED}))
        await add(queue, 1)
        await all_done(queue)
        assert worker.hold
        fake_server.script_next(Flushed(worker, Step.AUTH, LOCKED))
        with pytest.raises(SubmissionError):
            await worker.check()
        await all_done(queue)
        assert numbers(fake_server) == [1]


async def test_one_flush_is_one_attempt(fake_server: FakeServer, queue: Queue) -> None:
    """Another refusal holds all messages again."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        fake_server.script = Script(replies={Step.AUTH: LOCKED})
        fake_server.script_next(Flushed(worker, Step.AUTH, LOCKED))
        await add(queue, 1)
        await all_done(queue)
        assert fake_server.connections == 2
        assert worker.hold
