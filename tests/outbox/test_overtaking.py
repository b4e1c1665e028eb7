"""An urgent message overtakes a large one that is under way, over a second connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import time
from typing import Any, Final

from freezegun.api import FrozenDateTimeFactory
import pytest

from benchmarks import line
from custom_components.outlook_smtp.outbox import grace as grace_module
from custom_components.outlook_smtp.outbox.events import Attempt, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.schedule import Schedule
from custom_components.outlook_smtp.smtp import pipeline
from custom_components.outlook_smtp.smtp.settings import Security, Server
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step
from tests.promises import BURST, MOST_CONNECTIONS, OVERTAKES_WITHIN
from tests.smtp.helpers import HOST, commands, nothing_left_open

from .helpers import add, entry_of, receipt_of
from .worker_helpers import (
    RealTime,
    WatchedWorker,
    numbers,
    running,
    unpaced,
    worker_on,
)

VIDEO: Final = 1  # The number of the message that is under way.


def is_begun(fake_server: FakeServer, session: int = 0) -> bool:
    """Return whether the server has read the beginning of a message."""
    return fake_server.connections > session and any(
        line.startswith("MAIL") for line in commands(fake_server, session)
    )


@asynccontextmanager
async def stuck(
    fake_server: FakeServer, queue: Queue, *, step: Step = Step.CONTENT, **changes: Any
) -> AsyncIterator[WatchedWorker]:
    """Run a delivery worker with a message under way that is not urgent; it goes on at the end."""
    fake_server.script_next(Script(stall=step, times=1))
    changes.setdefault("schedule", unpaced())
    async with running(worker_on(fake_server, queue, **changes)) as worker:
        await add(queue, VIDEO)
        await until(lambda: is_begun(fake_server))
        try:
            yield worker
        finally:
            fake_server.go_on()
        await until(lambda: not queue.waiting)
    await nothing_left_open(fake_server)
    assert fake_server.most_connections <= MOST_CONNECTIONS


async def test_urgent_messages_overtake_in_their_order(
    fake_server: FakeServer, queue: Queue, told: list[Delivery]
) -> None:
    """The second connection is opened only then, is used for all, and closed afterwards."""
    async with stuck(fake_server, queue):
        assert fake_server.connections == 1
        urgent = [await add(queue, number, urgent=True) for number in (2, 3)]
        await until(lambda: [each.event for each in told].count(Event.SENT) == len(urgent))
        await add(queue, 4)
        assert [each.title for each in told if each.event is Event.SENT] == ["Alarm 2", "Alarm 3"]
        assert fake_server.connections == fake_server.open_connections == MOST_CONNECTIONS
        fake_server.go_on()
        await until(lambda: not queue.waiting)
        await until(lambda: fake_server.open_connections == 1)
    assert numbers(fake_server) == [2, 3, VIDEO, 4]
    assert fake_server.connections == MOST_CONNECTIONS
    assert commands(fake_server)[-1] == "QUIT"


async def test_only_urgent_messages_overtake_and_only_others(
    fake_server: FakeServer, queue: Queue
) -> None:
    """A message like the one under way waits, and so does an urgent one behind an urgent one."""
    async with stuck(fake_server, queue):
        await add(queue, 2)
        await all_done_beside(queue)
        assert fake_server.connections == 1
    fake_server.script_next(Script(stall=Step.CONTENT, times=1))
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        await add(queue, 3, urgent=True)
        await until(lambda: is_begun(fake_server, 1))
        await add(queue, 4, urgent=True)
        await all_done_beside(queue)
        assert fake_server.connections == 2
        fake_server.go_on()
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [VIDEO, 2, 3, 4]


async def all_done_beside(queue: Queue) -> None:
    """Let what runs beside the message under way do everything that is due."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(queue.under_way) == 1


async def test_pace_counts_both_connections(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A burst ends with the fifth message, whichever way it goes."""
    async with stuck(fake_server, queue, schedule=Schedule()):
        for number in range(2, BURST + 2):
            await add(queue, number, urgent=True)
        await until(lambda: len(fake_server.received) >= BURST - 2)
        freezer.tick(0.1)  # The pace is computed with rounding errors.
        await until(lambda: len(fake_server.received) == BURST - 1)
        await until(lambda: len(queue.under_way) == 1)
        freezer.tick(2.5)
        await until(lambda: len(fake_server.received) == BURST)
    assert numbers(fake_server) == [*range(2, BURST + 2), VIDEO]


async def test_urgent_message_obeys_holds_its_time_and_its_end(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """Nothing overtakes that is held, scheduled for later, or of no use anymore."""
    later = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=30)
    async with stuck(fake_server, queue, timeout=600.0) as worker:
        await add(queue, 2, urgent=True, send_at=later)
        await worker.hold_back(is_held=True)
        await add(queue, 3, urgent=True, expires_after=20.0)
        freezer.tick(31)
        await all_done_beside(queue)
        assert fake_server.connections == 1
        await worker.hold_back(is_held=False)
        await until(lambda: numbers(fake_server) == [2])
        assert [each.title for each in told if each.event is Event.EXPIRED] == ["Alarm 3"]


async def test_server_that_wants_one_connection_gets_one(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The urgent message waits as before, without a deferral; an hour later it is tried again."""
    fake_server.script.limit_connections = 1
    attempts: list[Attempt] = []
    async with stuck(fake_server, queue, attempts=attempts):
        fake_server.script.limit_connections = 1
        urgent = await add(queue, 2, urgent=True)
        await until(lambda: fake_server.connections == 2 and fake_server.open_connections == 1)
        await add(queue, 3, urgent=True)
        await all_done_beside(queue)
        assert (urgent.tries, urgent.deferrals, urgent.fault) == (0, 0, None)
    assert numbers(fake_server) == [VIDEO, 2, 3]
    assert fake_server.connections == 2
    assert not any(attempt.fault for attempt in attempts)


async def test_failure_beside_it_does_not_concern_the_message_under_way(
    fake_server: FakeServer, queue: Queue, told: list[Delivery]
) -> None:
    """Only the urgent message and those behind it are deferred, and retried when it is sent."""
    async with stuck(fake_server, queue) as worker:
        fake_server.script_next(Script(drop=Step.GREETING))
        urgent = await add(queue, 2, urgent=True)
        await until(lambda: urgent.deferrals == 0 and urgent.fault is not None)
        assert receipt_of(urgent).waiting
        assert [each.title for each in told] == ["Alarm 2"]
        assert worker.next_try(urgent) > time.monotonic()
    assert numbers(fake_server) == [VIDEO, 2]


@pytest.mark.parametrize("step", [Step.EHLO_TLS, Step.AUTH, Step.CONTENT, Step.FINAL], ids=str)
async def test_both_are_cut_off_by_a_stop(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """Both messages wait for the next start, which sends the urgent one first."""
    monkeypatch.setattr(grace_module, "STOP_GRACE", 0.1)
    fake_server.script_next(Script(stall=Step.CONTENT, times=1))
    worker = worker_on(fake_server, queue, schedule=unpaced())
    await worker.start()
    await add(queue, VIDEO)
    await until(lambda: is_begun(fake_server))
    fake_server.script_next(Script(stall=step, times=1))
    await add(queue, 2, urgent=True)
    await until(lambda: len(queue.under_way) == fake_server.connections == 2)
    started = RealTime.now()
    await worker.stop()
    assert RealTime.now() - started < 1
    await nothing_left_open(fake_server)
    assert [queued.tries for queued in queue.waiting] == [0, 0]
    async with running(worker):
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [2, VIDEO]
    assert fake_server.most_connections == MOST_CONNECTIONS


async def test_check_and_a_new_start_add_no_third_connection(
    fake_server: FakeServer, queue: Queue
) -> None:
    """A check waits for the message under way, whatever overtakes it."""
    async with stuck(fake_server, queue) as worker:
        checking = asyncio.create_task(worker.check())
        fake_server.script_next(Script(stall=Step.CONTENT, times=1))
        await add(queue, 2, urgent=True)
        await until(lambda: is_begun(fake_server, 1))
        assert not checking.done()
        fake_server.go_on()
        await checking
        await until(lambda: not queue.waiting)
        await worker.stop()
        await worker.start()
        await add(queue, 3)
    assert numbers(fake_server)[-1] == 3


async def test_message_that_can_be_overtaken_is_not_interrupted(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An urgent message with an endless reply is, for the next one; the video is sent once."""
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.3)
    async with stuck(fake_server, queue, step=Step.FINAL, timeout=60.0) as worker:
        fake_server.script_next(Script(stall=Step.FINAL, times=1))
        first = await add(queue, 2, urgent=True)
        worker.interrupt()
        await until(lambda: is_begun(fake_server, 1))
        await add(queue, 3, urgent=True)
        worker.interrupt()
        await until(lambda: numbers(fake_server) == [3, 2])
        assert first.lost_answers == 1
    assert numbers(fake_server) == [3, 2, VIDEO]


async def test_alarm_leaves_within_two_seconds_behind_a_video(
    fake_server: FakeServer, queue: Queue
) -> None:
    """A video of 20 MB on a line of 1 MB/s takes 20 seconds more, and both share the line."""
    async with line.delayed(fake_server.port, 0.02, 1_000_000) as near:
        server = Server(HOST, near, Security.STARTTLS)
        worker = worker_on(fake_server, queue, schedule=unpaced(), server=server)
        await worker.start()
        content = b"Subject: 1\r\n\r\n" + b"x" * 20_000_000
        video = await queue.add(entry_of(content), [content])
        await until(lambda: is_begun(fake_server))
        started = RealTime.now()
        await add(queue, 2, urgent=True)
        await until(lambda: numbers(fake_server) == [2])
        assert RealTime.now() - started < OVERTAKES_WITHIN
        assert queue.waiting[-1].spooled.id == video.spooled.id
        fake_server.hang_up()
        await worker.stop()
    assert fake_server.most_connections == MOST_CONNECTIONS
