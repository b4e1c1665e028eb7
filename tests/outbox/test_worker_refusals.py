"""Refused credentials are not tried again automatically: that locks accounts."""

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import SubmissionError
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step
from tests.promises import LOCK_HOURS

from .helpers import add
from .worker_helpers import (
    DAY,
    HOUR,
    WatchedWorker,
    all_done,
    let_pass,
    numbers,
    queue_in,
    running,
    worker_on,
)

PASSWORDS_OFF = ("basic_auth_disabled", "basic_auth_not_supported", "security_defaults")
REFUSED = [
    row
    for row in CATALOGUE
    if row.step is Step.AUTH and (row.kind == "credentials" or row.name in PASSWORDS_OFF)
]
LOCKED = next(row for row in CATALOGUE if row.name == "account_locked")


async def check_by_itself(worker: WatchedWorker) -> None:
    """Check like the coordinator without a user's request."""
    assert await worker.check(unless_refused=True) is None


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
async def test_refused_credentials_are_tried_once_per_request(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, row: Row
) -> None:
    """Neither time, new mail nor a restart retries it; a check or a flush does."""
    fake_server.script = Script.for_row(row)
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue, 1)
        await all_done(queue)
        tries = fake_server.connections
        for _ in range(48):
            await let_pass(freezer, queue, HOUR)
            await check_by_itself(worker)
        await add(queue, 2)
        await all_done(queue)
    again = await queue_in(queue)
    async with running(worker_on(fake_server, again)) as worker:
        await all_done(again)
        await check_by_itself(worker)
        assert fake_server.connections == tries
        await worker.flush()
        await all_done(again)
        await let_pass(freezer, again, DAY)
        assert fake_server.connections == 2 * tries
        with pytest.raises(SubmissionError):
            await worker.check()
        await let_pass(freezer, again, DAY)
        await check_by_itself(worker)
        assert fake_server.connections == 3 * tries
        fake_server.script = Script()
        await worker.check()
        await all_done(again)
    assert numbers(fake_server) == [1, 2]
    assert not again.spool.load_hold()


async def test_locked_account_is_tried_after_hours(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """After four hours, then twice as many, even across restarts."""
    fake_server.script = Script.for_row(LOCKED)
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await all_done(queue)
    for hours in LOCK_HOURS:
        async with running(worker_on(fake_server, queue)) as worker:
            tries = fake_server.connections
            await let_pass(freezer, queue, hours * HOUR - 1)
            await check_by_itself(worker)
            assert fake_server.connections == tries
            await let_pass(freezer, queue, 1.1)
            with pytest.raises(SubmissionError):
                await worker.check(unless_refused=True)
    fake_server.script = Script()
    freezer.tick(DAY)
    async with running(worker_on(fake_server, queue)) as worker:
        await worker.check(unless_refused=True)
        await all_done(queue)
    assert numbers(fake_server) == [1]


async def test_attempt_without_a_connection_keeps_the_refusal(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A request while the server was down is spent: nothing signs in without another one."""
    fake_server.script = Script.for_row(REFUSED[0])
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue)
        await all_done(queue)
        tries = fake_server.connections
        fake_server.stop()
        await worker.flush()
        await all_done(queue)
        fake_server.start()
        await let_pass(freezer, queue, DAY)
        await check_by_itself(worker)
        assert worker.refusal
    assert fake_server.connections == tries
