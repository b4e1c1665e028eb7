"""Whoever asks for a try while one is under way gets one afterwards, whatever that one meets."""

import asyncio
from typing import Any, override

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.courier import Courier
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.smtp.faults import SubmissionError
from tests.promises import MAX_SETBACKS
from tests.standin import Script, StandIn, Step

from .courier_helpers import NEXT_TRY, all_done, courier_on, let_pass, numbers, running, unpaced
from .helpers import add

LOCKED = "535 5.7.3 Authentication unsuccessful, account locked"
BUSY = "451 4.7.500 Server busy"


class Flushed(Script):
    """Has somebody ask for a try at the step that it answers with something bad."""

    def __init__(self, courier: Courier, step: Step, reply: str) -> None:
        """Remember whom to ask."""
        super().__init__(replies={step: reply})
        self._courier = courier
        self._step = step
        self._loop = asyncio.get_running_loop()

    @override
    def take(self, step: Step) -> Any:
        """Ask, once the client is in the middle of its try."""
        if step is self._step:
            asyncio.run_coroutine_threadsafe(self._courier.flush(), self._loop).result(5)
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
    standin: StandIn, queue: Queue, step: Step, reply: str
) -> None:
    """All that waits is tried again at once, even if the first try has met what holds it."""
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        standin.script_next(Flushed(courier, step, reply))
        await add(queue, 1)
        await all_done(queue)
        assert numbers(standin) == [1]
        assert standin.connections == 2


async def test_a_flush_during_the_last_try_before_others_pass_is_not_lost(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The message itself is tried as well."""
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        for _ in range(MAX_SETBACKS - 1):
            standin.script_next(Script(replies={Step.MAIL: BUSY}))
        standin.script_next(Flushed(courier, Step.MAIL, BUSY))
        await add(queue, 1)
        await all_done(queue)
        for failures in range(1, MAX_SETBACKS):
            await let_pass(freezer, queue, NEXT_TRY * failures**2)
        assert standin.connections == MAX_SETBACKS + 1
        assert numbers(standin) == [1]


async def test_a_flush_during_a_check_is_not_lost(standin: StandIn, queue: Queue) -> None:
    """What the check has met holds the message no longer than until the try."""
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        standin.script_next(Script(replies={Step.AUTH: LOCKED}))
        await add(queue, 1)
        await all_done(queue)
        assert courier.hold
        standin.script_next(Flushed(courier, Step.AUTH, LOCKED))
        with pytest.raises(SubmissionError):
            await courier.check()
        await all_done(queue)
        assert numbers(standin) == [1]


async def test_one_flush_is_one_try(standin: StandIn, queue: Queue) -> None:
    """What is refused again holds all messages again."""
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        standin.script = Script(replies={Step.AUTH: LOCKED})
        standin.script_next(Flushed(courier, Step.AUTH, LOCKED))
        await add(queue, 1)
        await all_done(queue)
        assert standin.connections == 2
        assert courier.hold
