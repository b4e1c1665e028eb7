"""What holds all messages: how long, what ends it, and what a restart leaves of it."""

from collections.abc import Callable
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.delivery import Contact
from custom_components.outlook_smtp.outbox.item import Item
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.schedule import Hold
from custom_components.outlook_smtp.outbox.spool import HOLD_FILE, Spool
from custom_components.outlook_smtp.smtp.faults import Kind, SubmissionError
from tests.conftest import until
from tests.standin import CATALOGUE, Row, Script, StandIn, Step

from .courier_helpers import (
    DAY,
    HOUR,
    YEAR,
    all_done,
    courier_on,
    let_pass,
    numbers,
    queue_in,
    running,
)
from .helpers import add

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


async def first_held(queue: Queue) -> Item:
    """Add a message, and return it when it has met what the server has for it."""
    item = await add(queue)
    await all_done(queue)
    return item


async def is_held(freezer: FrozenDateTimeFactory, queue: Queue, standin: StandIn) -> bool:
    """Tell whether nothing is tried, neither in days nor for new mail."""
    before = standin.connections
    await let_pass(freezer, queue, 2 * DAY)
    new = await add(queue, 99)
    await all_done(queue)
    assert new.verdict
    assert new.verdict.result().waiting
    await queue.cancel(new.spooled.id)
    return standin.connections == before


def test_the_catalogue_has_every_quota() -> None:
    """A quota that is added to the catalogue needs its time here."""
    assert set(QUOTAS) == {row.name for row in CATALOGUE if row.kind == "quota"}
    assert PROBED


@pytest.mark.parametrize("row", ENDLESS, ids=lambda row: row.name)
async def test_what_somebody_has_to_mend_holds_all_until_a_check_goes_well(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, row: Row
) -> None:
    """The messages wait without a try that counts, and their callers know why."""
    standin.script = Script.for_row(row)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        items = [await add(queue, number) for number in (1, 2)]
        await all_done(queue)
        [contact] = contacts
        assert contact.fault
        assert courier.hold == Hold(contact.fault)
        assert await is_held(freezer, queue, standin)
        standin.script = Script()
        await courier.check()
        await all_done(queue)
    assert numbers(standin) == [1, 2]
    for item in items:
        assert (item.tries, item.setbacks) == (0, 0)
        assert item.verdict
        assert item.verdict.result().fault == contact.fault


@pytest.mark.parametrize("row", ENDLESS, ids=lambda row: row.name)
@pytest.mark.parametrize("way", ["flush", "new courier"])
async def test_a_person_or_another_sign_in_ends_a_hold(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, row: Row, way: str
) -> None:
    """Who asks for a try gets one, and a courier with new credentials begins anew."""
    standin.script = Script.for_row(row)
    async with running(courier_on(standin, queue)) as courier:
        await add(queue)
        await all_done(queue)
        assert courier.hold
        standin.script = Script()
        if way == "flush":
            await courier.flush()
            await all_done(queue)
    if way != "flush":
        async with running(courier_on(standin, queue), signed_in_anew=True) as courier:
            await all_done(queue)
    assert courier.hold is None
    assert numbers(standin) == [1]


@pytest.mark.parametrize(("name", "length"), LASTING.items())
async def test_what_a_mail_met_holds_all_for_its_time_and_a_check_proves_nothing(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, name: str, length: float
) -> None:
    """The account is let in and may not send: only the next message can tell."""
    standin.script = Script.for_row(ROWS[name], times=2)
    async with running(courier_on(standin, queue)) as courier:
        item = await add(queue, 1)
        for _ in range(2):
            await all_done(queue)
            assert courier.hold
            assert courier.hold.until == pytest.approx(time.monotonic() + length, abs=1)
            await courier.check()
            await let_pass(freezer, queue, length - 1)
            await courier.check()
            before = standin.connections
            new = await add(queue, 2)
            await all_done(queue)
            assert standin.connections == before
            assert not standin.received
            await queue.cancel(new.spooled.id)
            await let_pass(freezer, queue, 1.1)
        assert courier.hold is None
    assert numbers(standin) == [1]
    assert (item.tries, item.setbacks) == (0, 0)


async def test_a_message_that_is_refused_for_its_own_sake_ends_a_hold_that_is_over(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The server has looked at the message, and found nothing wrong with the account."""
    standin.script = Script.for_row(ROWS["suspended"], times=1)
    async with running(courier_on(standin, queue)):
        await add(queue, 1)
        await add(queue, 2)
        await all_done(queue)
        standin.script = Script.for_row(ROWS["too_big"], times=1)
        await let_pass(freezer, queue, HOUR + 0.1)
    assert numbers(standin) == [2]
    assert len(queue.failed) == 1


async def test_a_refused_sign_in_does_not_shorten_what_a_mail_met(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """When the sign-in is mended, the quota is as it was, and a restart knows it."""
    standin.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(courier_on(standin, queue)) as courier:
        await add(queue)
        await all_done(queue)
        standin.script = Script.for_row(ROWS["credentials_incorrect"], times=1)
        with pytest.raises(SubmissionError):
            await courier.check()
        assert courier.hold
        assert courier.hold.fault.kind is Kind.CREDENTIALS
    async with running(courier_on(standin, queue)) as courier:
        await courier.check()
        await let_pass(freezer, queue, 23 * HOUR)
        assert courier.hold
        assert courier.hold.fault.kind is Kind.QUOTA
        assert not standin.received
        await let_pass(freezer, queue, HOUR + 0.1)
    assert numbers(standin) == [1]


@pytest.mark.parametrize(
    "after",
    [(-YEAR, DAY), (-HOUR, 23 * HOUR), (0.0, 22 * HOUR), (HOUR, 21 * HOUR), (YEAR, 0.0)],
)
async def test_a_restart_keeps_a_hold_and_no_clock_makes_it_longer_than_a_day(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    set_clock: SetClock,
    after: tuple[float, float],
) -> None:
    """Two hours are over when Home Assistant starts again with whatever time of day."""
    jump, left = after
    standin.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(courier_on(standin, queue)):
        held = await add(queue)
        await all_done(queue)
    freezer.tick(2 * HOUR)
    set_clock(jump)
    again = await queue_in(queue)
    async with running(courier_on(standin, again, lifetime=2 * YEAR)) as courier:
        await all_done(again)
        if left:
            assert courier.hold
            assert courier.hold.fault == held.fault
            assert courier.hold.until - time.monotonic() == pytest.approx(left)
            await courier.check()
            await let_pass(freezer, again, left - 1)
            assert not standin.received
            await let_pass(freezer, again, 1.1)
    assert numbers(standin) == [1]
    assert not (queue.spool.folder / HOLD_FILE).exists()


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
async def test_a_clock_that_is_set_while_messages_wait_changes_nothing(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, set_clock: SetClock, jump: float
) -> None:
    """Neither does anything expire, nor does anything wait longer."""
    standin.script = Script.for_row(ROWS["quota_refused"], times=1)
    async with running(courier_on(standin, queue, lifetime=DAY)) as courier:
        await add(queue, 1)
        await all_done(queue)
        set_clock(jump)
        await let_pass(freezer, queue, 4 * HOUR - 1)
        assert courier.hold
        assert not standin.received
        await let_pass(freezer, queue, 1.1)
    assert numbers(standin) == [1]
    assert not queue.failed


async def test_a_hold_is_over_at_its_time_even_with_nothing_to_send(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A new message is tried at once then, and its caller is not told to wait."""
    standin.script = Script.for_row(ROWS["quota_refused"], times=1)
    async with running(courier_on(standin, queue)) as courier:
        await queue.cancel((await first_held(queue)).spooled.id)
        await let_pass(freezer, queue, 4 * HOUR + 0.1)
        assert courier.hold is None
        item = await add(queue, 2)
        await all_done(queue)
    assert item.verdict
    assert item.verdict.result().accepted


@pytest.mark.parametrize("content", [b"", b"[]", b'{"until": "tomorrow"}', b"\xff"])
async def test_a_hold_that_cannot_be_read_holds_nothing(
    standin: StandIn, queue: Queue, content: bytes
) -> None:
    """A try shows what is true."""
    (queue.spool.folder / HOLD_FILE).write_bytes(content)
    async with running(courier_on(standin, queue)):
        await add(queue)
        await until(lambda: not queue.items)
    assert numbers(standin) == [1]


async def test_a_hold_that_cannot_be_kept_holds_until_a_restart(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk does not stop the courier, and is told in the log."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "save_hold", fail)
    standin.script = Script.for_row(ROWS["daily_limit"], times=1)
    async with running(courier_on(standin, queue)) as courier:
        await add(queue)
        await all_done(queue)
        assert courier.hold
        await let_pass(freezer, queue, DAY + 0.1)
    assert numbers(standin) == [1]
    assert caplog.text.count("A hold cannot be kept for after a restart: No space left") == 2
