"""Whoever asks for a try while one is under way gets one afterwards, whatever that one meets."""

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
    """Has somebody ask for a try at the step that it answers with something bad."""

    def __init__(self, worker: DeliveryWorker, step: Step, reply: str) -> None:
        """Remember whom to ask."""
        super().__init__(replies={step: reply})
        self._worker = worker
        self._step = step
        self._loop = asyncio.get_running_loop()

    @override
    def take(self, step: Step) -> Any:
        """Ask, once the client is in the middle of its try."""
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
async def test_a_flush_during_a_try_is_not_lost(
    fake_server: FakeServer, queue: Queue, step: Step, reply: str
) -> None:
    """All that waits is tried again at once, even if the first try has met what holds it."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        fake_server.script_next(Flushed(worker, step, reply))
        await add(queue, 1)
        await all_done(queue)
        assert numbers(fake_server) == [1]
        assert fake_server.connections == 2


async def test_a_flush_during_the_last_try_before_others_pass_is_not_lost(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The message itself is tried as well."""
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


async def test_a_flush_during_a_check_is_not_lost(fake_server: FakeServer, queue: Queue) -> None:
    """What the check has met holds the message no longer than until the try."""
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


async def test_one_flush_is_one_try(fake_server: FakeServer, queue: Queue) -> None:
    """What is refused again holds all messages again."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        fake_server.script = Script(replies={Step.AUTH: LOCKED})
        fake_server.script_next(Flushed(worker, Step.AUTH, LOCKED))
        await add(queue, 1)
        await all_done(queue)
        assert fake_server.connections == 2
        assert worker.hold
