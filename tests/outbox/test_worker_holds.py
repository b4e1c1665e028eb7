"""What holds all messages: how long, what ends it, and what remains after a restart."""

from collections.abc import Callable
from pathlib import Path
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, SubmissionError
from custom_components.outlook_smtp.outbox.events import Attempt
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import QueuedMessage
from custom_components.outlook_smtp.outbox.schedule import Hold
from custom_components.outlook_smtp.outbox.spool import HOLD_FILE, Spool
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step

from .helpers import add, receipt_of
from .worker_helpers import (
    DAY,
    DISTINCT,
    HOUR,
    YEAR,
    all_done,
    let_pass,
    numbers,
    queue_for,
    queue_in,
    running,
    worker_on,
)

ROWS = {row.name: row for row in CATALOGUE}
SIGN_IN_STEPS = (Step.GREETING, Step.AUTH)
HOLDING = [row for row in DISTINCT if row.kind in ("credentials", "account", "setup")]
ENDLESS = [row for row in HOLDING if row.kind != "account" or row.step in SIGN_IN_STEPS]
PROBED = [row for row in HOLDING if row not in ENDLESS]
QUOTAS = {"sending_quota": 4 * HOUR, "daily_limit": DAY}
LASTING = [(row, HOUR) for row in PROBED] + [
    (row, QUOTAS[row.problem]) for row in DISTINCT if row.kind == "quota"
]


type SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Return a function that sets the time of day forward or back; other clocks are unaffected."""
    frozen = time.time

    def jump(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: frozen() + seconds)

    return jump


async def first_held(queue: Queue) -> QueuedMessage:
    """Add a message, and return it after it got the server's reply."""
    queued = await add(queue)
    await all_done(queue)
    return queued


async def is_held(freezer: FrozenDateTimeFactory, queue: Queue, fake_server: FakeServer) -> bool:
    """Return whether nothing is tried, neither for days nor for new mail."""
    before = fake_server.connections
    await let_pass(freezer, queue, 2 * DAY)
    new = await add(queue, 99)
    await all_done(queue)
    assert receipt_of(new).waiting
    await queue.cancel(new.spooled.id)
    return fake_server.connections == before


def test_every_quota_in_the_catalogue_has_a_duration() -> None:
    """A quota that is added to the catalogue needs its duration here."""
    assert set(QUOTAS) == {row.problem for row in CATALOGUE if row.kind == "quota"}
    assert PROBED


async def test_fault_of_the_setup_holds_all_until_a_check_succeeds(
    fake_server: FakeServer,
    tmp_path: Path,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
) -> None:
    """The messages wait without counting attempts, and their callers know why."""
    for row in ENDLESS:
        with subtests.test(row.name):
            queue = await queue_for(row, fake_server, tmp_path)
            attempts: list[Attempt] = []
            async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
                waiting = [await add(queue, number) for number in (1, 2)]
                await all_done(queue)
                [attempt] = attempts
                assert attempt.fault
                assert worker.hold == Hold(attempt.fault)
                assert await is_held(freezer, queue, fake_server)
                fake_server.script = Script()
                await worker.check()
                await all_done(queue)
            assert numbers(fake_server) == [1, 2]
            for queued in waiting:
                assert (queued.tries, queued.deferrals) == (0, 0)
                assert receipt_of(queued).fault == attempt.fault


@pytest.mark.parametrize("way", ["flush", "new worker"])
async def test_flush_or_another_sign_in_ends_a_hold(
    fake_server: FakeServer,
    tmp_path: Path,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
    way: str,
) -> None:
    """A flush causes an attempt, and a worker with new credentials starts fresh."""
    for row in ENDLESS:
        with subtests.test(row.name):
            queue = await queue_for(row, fake_server, tmp_path)
            async with running(worker_on(fake_server, queue)) as worker:
                await add(queue)
                await all_done(queue)
                assert worker.hold
                fake_server.script = Script()
                if way == "flush":
                    await worker.flush()
                    await all_done(queue)
            if way != "flush":
                worker = worker_on(fake_server, queue)
                async with running(worker, credentials_changed=True):
                    await all_done(queue)
            assert worker.hold is None
            assert numbers(fake_server) == [1]


@pytest.mark.parametrize(("row", "length"), LASTING, ids=[row.name for row, _ in LASTING])
async def test_hold_of_a_message_is_not_ended_by_a_check(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, row: Row, length: float
) -> None:
    """The account can sign in but may not send: only the next message can tell."""
    fake_server.script = Script.for_row(row, times=2)
    async with running(worker_on(fake_server, queue)) as worker:
        queued = await add(queue, 1)
        for _ in range(2):
            await all_done(queue)
            assert worker.hold
            assert worker.hold.until == pytest.approx(time.monotonic() + length, abs=1)
            await worker.check()
            await let_pass(freezer, queue, length - 1)
            await worker.check()
            before = fake_server.connections
            new = await add(queue, 2)
            await all_done(queue)
            assert fake_server.connections == before
            assert not fake_server.received
            await queue.cancel(new.spooled.id)
            await let_pass(freezer, queue, 1.1)
        assert worker.hold is None
    assert numbers(fake_server) == [1]
    assert (queued.tries, queued.deferrals) == (0, 0)


async def test_refused_message_ends_an_expired_hold(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The server has examined the message, and found no problem with the account."""
    fake_server.script = Script.for_row(ROWS["suspended"], times=1)
    async with running(worker_on(fake_server, queue)):
        await add(queue, 1)
        await add(queue, 2)
        await all_done(queue)
        fake_server.script = Script.for_row(ROWS["too_big"], times=1)
        await let_pass(freezer, queue, HOUR + 0.1)
    assert numbers(fake_server) == [2]
    assert len(queue.failed) == 1


async def test_refused_sign_in_does_not_shorten_a_quota(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Once the sign-in is fixed, the quota is as before, also after a restart."""
    fake_server.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue)
        await all_done(queue)
        fake_server.script = Script.for_row(ROWS["credentials_incorrect"], times=1)
        with pytest.raises(SubmissionError):
            await worker.check()
        assert worker.hold
        assert worker.hold.fault.kind is Kind.CREDENTIALS
    async with running(worker_on(fake_server, queue)) as worker:
        await worker.check()
        await let_pass(freezer, queue, 23 * HOUR)
        assert worker.hold
        assert worker.hold.fault.kind is Kind.QUOTA
        assert not fake_server.received
        await let_pass(freezer, queue, HOUR + 0.1)
    assert numbers(fake_server) == [1]


@pytest.mark.parametrize(
    "after",
    [(-YEAR, DAY), (-HOUR, 23 * HOUR), (0.0, 22 * HOUR), (HOUR, 21 * HOUR), (YEAR, 0.0)],
)
async def test_hold_survives_a_restart_and_never_exceeds_a_day(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    set_clock: SetClock,
    after: tuple[float, float],
) -> None:
    """Two hours have passed when Home Assistant starts again, whatever the time of day."""
    jump, left = after
    fake_server.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(worker_on(fake_server, queue)):
        held = await add(queue)
        await all_done(queue)
    freezer.tick(2 * HOUR)
    set_clock(jump)
    again = await queue_in(queue)
    async with running(worker_on(fake_server, again, lifetime=2 * YEAR)) as worker:
        await all_done(again)
        if left:
            assert worker.hold
            assert worker.hold.fault == held.fault
            assert worker.hold.until - time.monotonic() == pytest.approx(left)
            await worker.check()
            await let_pass(freezer, again, left - 1)
            assert not fake_server.received
            await let_pass(freezer, again, 1.1)
    assert numbers(fake_server) == [1]
    assert not (queue.spool.folder / HOLD_FILE).exists()


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
async def test_clock_change_while_messages_wait_has_no_effect(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    set_clock: SetClock,
    jump: float,
) -> None:
    """Nothing expires, and nothing waits longer."""
    fake_server.script = Script.for_row(ROWS["quota_refused"], times=1)
    async with running(worker_on(fake_server, queue, lifetime=DAY)) as worker:
        await add(queue, 1)
        await all_done(queue)
        set_clock(jump)
        await let_pass(freezer, queue, 4 * HOUR - 1)
        assert worker.hold
        assert not fake_server.received
        await let_pass(freezer, queue, 1.1)
    assert numbers(fake_server) == [1]
    assert not queue.failed


async def test_hold_ends_on_time_even_without_messages(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A new message is then tried at once, and its caller is not told to wait."""
    fake_server.script = Script.for_row(ROWS["quota_refused"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        await queue.cancel((await first_held(queue)).spooled.id)
        await let_pass(freezer, queue, 4 * HOUR + 0.1)
        assert worker.hold is None
        queued = await add(queue, 2)
        await all_done(queue)
    assert receipt_of(queued).accepted


@pytest.mark.parametrize("content", [b"", b"[]", b'{"until": "tomorrow"}', b"\xff"])
async def test_unreadable_hold_is_ignored(
    fake_server: FakeServer, queue: Queue, content: bytes
) -> None:
    """An attempt shows the real state."""
    (queue.spool.folder / HOLD_FILE).write_bytes(content)
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1]


async def test_unwritable_hold_lasts_until_a_restart(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk does not stop the delivery worker, and is logged."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "save_hold", fail)
    fake_server.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue)
        await all_done(queue)
        assert worker.hold
        await let_pass(freezer, queue, DAY + 0.1)
    assert numbers(fake_server) == [1]
    assert caplog.text.count("A hold cannot be saved for after a restart: No space left") == 2
