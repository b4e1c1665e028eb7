"""What was refused is not tried again by itself: accounts are locked for that."""

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.smtp.faults import SubmissionError
from tests.promises import LOCK_HOURS
from tests.standin import CATALOGUE, Row, Script, StandIn, Step

from .courier_helpers import (
    DAY,
    HOUR,
    WatchedCourier,
    all_done,
    courier_on,
    let_pass,
    numbers,
    queue_in,
    running,
)
from .helpers import add

PASSWORDS_OFF = ("basic_auth_disabled", "basic_auth_not_supported", "security_defaults")
REFUSED = [
    row
    for row in CATALOGUE
    if row.step is Step.AUTH and (row.kind == "credentials" or row.name in PASSWORDS_OFF)
]
LOCKED = next(row for row in CATALOGUE if row.name == "account_locked")


async def check_by_itself(courier: WatchedCourier) -> None:
    """Check as the coordinator does when nobody has asked for it."""
    assert await courier.check(unless_refused=True) is None


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
async def test_what_was_refused_is_tried_once_for_each_time_that_somebody_asks(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, row: Row
) -> None:
    """Neither time, nor new mail, nor a restart has it tried again; a check or a flush does."""
    standin.script = Script.for_row(row)
    async with running(courier_on(standin, queue)) as courier:
        await add(queue, 1)
        await all_done(queue)
        tries = standin.connections
        for _ in range(48):
            await let_pass(freezer, queue, HOUR)
            await check_by_itself(courier)
        await add(queue, 2)
        await all_done(queue)
    again = await queue_in(queue)
    async with running(courier_on(standin, again)) as courier:
        await all_done(again)
        await check_by_itself(courier)
        assert standin.connections == tries
        await courier.flush()
        await all_done(again)
        await let_pass(freezer, again, DAY)
        assert standin.connections == 2 * tries
        with pytest.raises(SubmissionError):
            await courier.check()
        await let_pass(freezer, again, DAY)
        await check_by_itself(courier)
        assert standin.connections == 3 * tries
        standin.script = Script()
        await courier.check()
        await all_done(again)
    assert numbers(standin) == [1, 2]
    assert not again.spool.load_hold()


async def test_a_locked_account_is_tried_after_hours(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Four at first, then twice as many, even if Home Assistant restarts in between."""
    standin.script = Script.for_row(LOCKED)
    async with running(courier_on(standin, queue)):
        await add(queue)
        await all_done(queue)
    for hours in LOCK_HOURS:
        async with running(courier_on(standin, queue)) as courier:
            tries = standin.connections
            await let_pass(freezer, queue, hours * HOUR - 1)
            await check_by_itself(courier)
            assert standin.connections == tries
            await let_pass(freezer, queue, 1.1)
            with pytest.raises(SubmissionError):
                await courier.check(unless_refused=True)
    standin.script = Script()
    freezer.tick(DAY)
    async with running(courier_on(standin, queue)) as courier:
        await courier.check(unless_refused=True)
        await all_done(queue)
    assert numbers(standin) == [1]


async def test_a_try_that_did_not_reach_the_server_leaves_it_refused(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Who asked while the server was away asks again: nothing signs in behind their back."""
    standin.script = Script.for_row(REFUSED[0])
    async with running(courier_on(standin, queue)) as courier:
        await add(queue)
        await all_done(queue)
        tries = standin.connections
        standin.stop()
        await courier.flush()
        await all_done(queue)
        standin.start()
        await let_pass(freezer, queue, DAY)
        await check_by_itself(courier)
        assert courier.refusal
    assert standin.connections == tries
