"""What holds all messages: how long, what ends it, and what a restart leaves of it."""

from collections.abc import Callable
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
    HOUR,
    YEAR,
    all_done,
    let_pass,
    numbers,
    queue_in,
    running,
    worker_on,
)

ROWS = {row.name: row for row in CATALOGUE}
SIGN_IN_STEPS = (Step.GREETING, Step.AUTH)
HOLDING = [row for row in CATALOGUE if row.kind in ("credentials", "account", "setup")]
ENDLESS = [row for row in HOLDING if row.kind != "account" or row.step in SIGN_IN_STEPS]
PROBED = [row for row in HOLDING if row not in ENDLESS]
QUOTAS = {
    "quota_refused": 4 * HOUR,
    "quota_refused_upgrade": 4 * HOUR,
    "unknown_verdict": 4 * HOUR,
    "submission_quota_store": DAY,
    "submission_quota": DAY,
    "daily_limit": DAY,
    "tenant_external_limit": DAY,
    "onmicrosoft_limit": DAY,
}
LASTING = {row.name: HOUR for row in PROBED} | QUOTAS


type SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Return what sets the time of day forward or back; no other clock learns of it."""
    frozen = time.time

    def jump(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: frozen() + seconds)

    return jump


async def first_held(queue: Queue) -> QueuedMessage:
    """Add a message, and return it when it has met what the server has for it."""
    queued = await add(queue)
    await all_done(queue)
    return queued


async def is_held(freezer: FrozenDateTimeFactory, queue: Queue, fake_server: FakeServer) -> bool:
    """Tell whether nothing is tried, neither in days nor for new mail."""
    before = fake_server.connections
    await let_pass(freezer, queue, 2 * DAY)
    new = await add(queue, 99)
    await all_done(queue)
    assert receipt_of(new).waiting
    await queue.cancel(new.spooled.id)
    return fake_server.connections == before


def test_the_catalogue_has_every_quota() -> None:
    """A quota that is added to the catalogue needs its time here."""
    assert set(QUOTAS) == {row.name for row in CATALOGUE if row.kind == "quota"}
    assert PROBED


@pytest.mark.parametrize("row", ENDLESS, ids=lambda row: row.name)
async def test_what_somebody_has_to_mend_holds_all_until_a_check_goes_well(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, row: Row
) -> None:
    """The messages wait without a try that counts, and their callers know why."""
    fake_server.script = Script.for_row(row)
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


@pytest.mark.parametrize("row", ENDLESS, ids=lambda row: row.name)
@pytest.mark.parametrize("way", ["flush", "new worker"])
async def test_a_person_or_another_sign_in_ends_a_hold(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, row: Row, way: str
) -> None:
    """Who asks for a try gets one, and a delivery worker with new credentials begins anew."""
    fake_server.script = Script.for_row(row)
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue)
        await all_done(queue)
        assert worker.hold
        fake_server.script = Script()
        if way == "flush":
            await worker.flush()
            await all_done(queue)
    if way != "flush":
        async with running(worker_on(fake_server, queue), signed_in_anew=True) as worker:
            await all_done(queue)
    assert worker.hold is None
    assert numbers(fake_server) == [1]


@pytest.mark.parametrize(("name", "length"), LASTING.items())
async def test_what_a_mail_met_holds_all_for_its_time_and_a_check_proves_nothing(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, name: str, length: float
) -> None:
    """The account is authenticated and may not send: only the next message can tell."""
    fake_server.script = Script.for_row(ROWS[name], times=2)
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


async def test_a_message_that_is_refused_for_its_own_sake_ends_a_hold_that_is_over(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The server has looked at the message, and found nothing wrong with the account."""
    fake_server.script = Script.for_row(ROWS["suspended"], times=1)
    async with running(worker_on(fake_server, queue)):
        await add(queue, 1)
        await add(queue, 2)
        await all_done(queue)
        fake_server.script = Script.for_row(ROWS["too_big"], times=1)
        await let_pass(freezer, queue, HOUR + 0.1)
    assert numbers(fake_server) == [2]
    assert len(queue.failed) == 1


async def test_a_refused_sign_in_does_not_shorten_what_a_mail_met(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """When the sign-in is mended, the quota is as it was, and a restart knows it."""
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
async def test_a_restart_keeps_a_hold_and_no_clock_makes_it_longer_than_a_day(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    set_clock: SetClock,
    after: tuple[float, float],
) -> None:
    """Two hours are over when Home Assistant starts again with whatever time of day."""
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
async def test_a_clock_that_is_set_while_messages_wait_changes_nothing(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    set_clock: SetClock,
    jump: float,
) -> None:
    """Neither does anything expire, nor does anything wait longer."""
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


async def test_a_hold_is_over_at_its_time_even_with_nothing_to_send(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A new message is tried at once then, and its caller is not told to wait."""
    fake_server.script = Script.for_row(ROWS["quota_refused"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        await queue.cancel((await first_held(queue)).spooled.id)
        await let_pass(freezer, queue, 4 * HOUR + 0.1)
        assert worker.hold is None
        queued = await add(queue, 2)
        await all_done(queue)
    assert receipt_of(queued).accepted


@pytest.mark.parametrize("content", [b"", b"[]", b'{"until": "tomorrow"}', b"\xff"])
async def test_a_hold_that_cannot_be_read_holds_nothing(
    fake_server: FakeServer, queue: Queue, content: bytes
) -> None:
    """A try shows what is true."""
    (queue.spool.folder / HOLD_FILE).write_bytes(content)
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1]


async def test_a_hold_that_cannot_be_kept_holds_until_a_restart(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk does not stop the delivery worker, and is told in the log."""

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
    assert caplog.text.count("A hold cannot be kept for after a restart: No space left") == 2
