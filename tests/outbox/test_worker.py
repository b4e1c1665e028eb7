"""The delivery worker in normal operation: order, rate, one connection, checks, an idle loop."""

import asyncio
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Stage, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.outbox import grace as grace_module
from custom_components.outlook_smtp.outbox.events import Attempt, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits, QueuedMessage
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.terms import Terms
from custom_components.outlook_smtp.smtp import route as route_module
from custom_components.outlook_smtp.smtp.probe import Report, probe
from custom_components.outlook_smtp.smtp.settings import Account
from tests.conftest import ADDRESS, until
from tests.fake_microsoft import CATALOGUE, FakeServer, Script, Step
from tests.promises import PER_MINUTE

from .helpers import ANNA, BERT, CARL, add, receipt_of, started_again
from .worker_helpers import (
    DAY,
    DEFERRED,
    HOUR,
    REFUSED,
    WEEK,
    all_done,
    let_pass,
    numbers,
    running,
    unpaced,
    worker_on,
)

ROWS = {row.name: row for row in CATALOGUE}


async def test_message_is_submitted_and_reported(
    fake_server: FakeServer, queue: Queue, told: list[Delivery]
) -> None:
    """The waiting caller gets the receipt; listeners get the delivery and the attempt."""
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        queued = await add(queue, 1, ANNA, BERT)
        assert queued.receipt
        receipt = await queued.receipt
    [mail] = fake_server.received
    assert mail.recipients == receipt.accepted == (ANNA, BERT)
    assert receipt.server_message_id == mail.message_id_given
    assert receipt.reply
    assert not receipt.waiting
    assert [delivery.event for delivery in told] == [Event.SENT]
    [attempt] = attempts
    assert attempt.fault is None
    assert attempt.submitting
    assert attempt.latency > 0


async def test_order_of_the_queue_is_kept(fake_server: FakeServer, queue: Queue) -> None:
    """Messages from before the start come before those added after it."""
    for number in range(1, 4):
        await add(queue, number)
    async with running(worker_on(fake_server, queue)):
        await add(queue, 4)
        await add(queue, 5)
        await until(lambda: not queue.waiting)
    assert numbers(fake_server) == [1, 2, 3, 4, 5]


async def test_there_is_one_connection_at_a_time(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submissions and checks take turns, whatever requests them."""
    welcome, opened = fake_server.welcome, []

    def count(conversation: object) -> Script | None:
        opened.append(fake_server.open_connections)
        return welcome(conversation)  # type: ignore[arg-type]

    monkeypatch.setattr(fake_server, "welcome", count)
    async with running(worker_on(fake_server, queue)) as worker:
        adding = (add(queue, number) for number in range(1, 6))
        checks = (worker.check() for _ in range(5))
        await asyncio.gather(*(work for pair in zip(adding, checks, strict=True) for work in pair))
        await until(lambda: not queue.waiting)
    assert set(opened) == {0}
    assert 6 <= len(opened) <= 10


async def test_rate_limit_is_kept(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A burst is sent at once, then one message at a time, evenly."""
    for number in range(1, 12):
        await add(queue, number)
    async with running(worker_on(fake_server, queue)):
        await all_done(queue)
        await let_pass(freezer, queue, 0.001)  # With frozen time, the clock's numbers are rounded.
        arrived = [len(fake_server.received)]
        for _ in range(5):
            await let_pass(freezer, queue, 60 / (PER_MINUTE - 5) + 0.001)
            arrived.append(len(fake_server.received))
    assert arrived == [5, 6, 7, 8, 9, 10]


async def test_check_reports_its_result(fake_server: FakeServer, queue: Queue) -> None:
    """It needs no message, and not even a started worker."""
    worker = worker_on(fake_server, queue)
    timings = await worker.check()
    assert timings
    assert Stage.AUTH in timings


async def test_check_with_a_temporary_fault_defers_nothing(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The next message is tried at once: it may succeed."""
    fake_server.script = Script.for_row(ROWS["service_not_active"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        with pytest.raises(SubmissionError) as caught:
            await worker.check()
        assert caught.value.fault.kind is Kind.TRANSIENT
        await add(queue)
        await all_done(queue)
    assert numbers(fake_server) == [1]


async def test_successful_check_ends_the_back_off(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Waiting messages are sent as soon as the server works again."""
    fake_server.script = Script.for_row(ROWS["service_not_active"], times=1)
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue)
        await all_done(queue)
        assert not fake_server.received
        await worker.check()
        await all_done(queue)
    assert numbers(fake_server) == [1]


async def test_new_mail_ends_the_back_off(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """All waiting messages are tried with it, in order, and the next delay is the shortest."""
    fake_server.script = Script.for_row(ROWS["service_not_active"])
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        first = await add(queue, 1)
        await all_done(queue)
        for _ in range(3):
            await let_pass(freezer, queue, HOUR)
        assert worker.next_try(first) > time.monotonic() + 60
        await add(queue, 2)
        await all_done(queue)
        assert worker.next_try(first) < time.monotonic() + 18.1
        fake_server.script = Script()
        await add(queue, 3)
        await all_done(queue)
    assert numbers(fake_server) == [1, 2, 3]


async def test_hold_of_a_check_applies_to_waiting_messages(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that waited for its turn is not tried during the hold that the check caused."""
    fake_server.script = Script.for_row(ROWS["credentials_incorrect"])
    attempts: list[Attempt] = []
    probing = asyncio.Event()

    async def slow_probe(account: Account, on_stage: object) -> Report:
        probing.set()
        await until(lambda: queue.under_way)
        return await probe(account)

    monkeypatch.setattr(route_module, "probe", slow_probe)
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        check = asyncio.create_task(worker.check())
        await probing.wait()
        queued = await add(queue)
        with pytest.raises(SubmissionError):
            await check
        assert queued.receipt
        receipt = await queued.receipt
        await all_done(queue)
    assert receipt.fault
    assert receipt.fault.kind is Kind.CREDENTIALS
    assert not attempts
    assert fake_server.connections == 1


@pytest.mark.parametrize(
    ("script", "count"),
    [
        (Script(), 0),
        (Script(), 1),
        (Script(), 8),
        (Script(refuse_recipients={ANNA: REFUSED}), 1),
        (Script(refuse_recipients={ANNA: DEFERRED}), 1),
        (Script.for_row(ROWS["service_not_active"]), 8),
        (Script.for_row(ROWS["credentials_incorrect"]), 8),
        (Script.for_row(ROWS["suspended"]), 8),
        (Script.for_row(ROWS["daily_limit"]), 8),
    ],
    ids=["empty", "sent", "paced", "refused", "deferred", "down", "signed out", "blocked", "quota"],
)
async def test_worker_sleeps_until_something_is_due(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    script: Script,
    count: int,
) -> None:
    """The delivery worker sleeps until something is due, whatever has happened before."""
    turns, expire = 0, queue.expire

    async def counted(terms: Terms, now: float) -> None:
        nonlocal turns
        turns += 1
        await expire(terms, now)

    queue.expire = counted  # type: ignore[method-assign]
    fake_server.script = script
    async with running(worker_on(fake_server, queue, lifetime=DAY)):
        for number in range(count):
            await add(queue, number)
        await all_done(queue)
        for passing in (0.0, 0.5, 30.0, HOUR, 3 * DAY, 2 * WEEK):
            await let_pass(freezer, queue, passing)
            turns, connections = 0, fake_server.connections
            for _ in range(500):
                await asyncio.sleep(0)
            assert turns == 0
            assert fake_server.connections == connections
    assert not queue.waiting
    assert not queue.failed


async def test_two_accounts_never_wait_for_each_other(
    fake_server: FakeServer, queue: Queue, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A stalled server only delays its own messages."""
    other = Queue(Spool(tmp_path_factory.mktemp("other")), Limits(10, 1_000_000))
    await other.open()
    with FakeServer() as silent:
        silent.script = Script(silent=True)
        async with running(worker_on(fake_server, queue, schedule=unpaced())):
            stuck = worker_on(silent, other, schedule=unpaced())
            await stuck.start()
            await add(other)
            await until(lambda: silent.open_connections)
            for number in range(20):
                await add(queue, number)
            await until(lambda: not queue.waiting)
            assert other.under_way
            silent.stop()
            await stuck.stop()
    assert numbers(fake_server) == list(range(20))
    assert [queued.entry.envelope.sender for queued in other.waiting] == [ADDRESS]


@pytest.mark.timeout(180)
async def test_thousand_messages_arrive_in_order_and_once(
    fake_server: FakeServer, queue: Queue
) -> None:
    """Nothing is lost, duplicated or reordered, and nothing is left on disk."""
    # Each takes four disk syncs; all share a session.
    count = 1000
    asyncio.get_running_loop().set_debug(False)
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        for number in range(count):
            last = await add(queue, number)
        assert last.receipt
        await last.receipt
    assert numbers(fake_server) == list(range(count))
    assert fake_server.connections == 1
    assert not Spool(queue.spool.folder).open().waiting


async def test_several_messages_share_a_session(fake_server: FakeServer, queue: Queue) -> None:
    """One sign-in is enough for all consecutive messages."""
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        for number in range(1, 11):
            await add(queue, number)
        await until(lambda: not queue.waiting)
    assert fake_server.connections == 1
    assert numbers(fake_server) == list(range(1, 11))


async def test_recipients_over_the_limit_get_separate_transactions(
    fake_server: FakeServer, queue: Queue
) -> None:
    """The caller gets one result for all at the end, and no recipient gets it twice."""
    fake_server.script = Script(
        limit_recipients=2, refuse_recipients={BERT: "550 5.1.1 User unknown"}
    )
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        queued = await add(queue, 1, ANNA, BERT, CARL, "d@x.org", "e@x.org", "f@x.org")
        await until(lambda: not queue.waiting)
    groups = [mail.recipients for mail in fake_server.received]
    assert groups == [(ANNA, CARL), ("d@x.org", "e@x.org"), ("f@x.org",)]
    receipt = receipt_of(queued)
    assert receipt.accepted == (ANNA, CARL, "d@x.org", "e@x.org", "f@x.org")
    assert list(receipt.refused) == [BERT]
    assert receipt.waiting == ()


async def test_stop_between_two_transactions_repeats_nothing(
    fake_server: FakeServer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result of the first transaction is on disk before the next one begins."""
    fake_server.script = Script(limit_recipients=1)
    settle, settled = queue.settle, asyncio.Event()

    async def settle_once(queued: QueuedMessage, outcome: Outcome) -> None:
        await settle(queued, outcome)
        settled.set()
        fake_server.script.stall = Step.MAIL

    monkeypatch.setattr(queue, "settle", settle_once)
    monkeypatch.setattr(grace_module, "STOP_GRACE", 0.05)
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        queued = await add(queue, 1, ANNA, BERT)
        await settled.wait()
        await until(lambda: queue.under_way)
    receipt = receipt_of(queued)
    assert (receipt.accepted, receipt.waiting) == ((ANNA,), (BERT,))
    again = await started_again(queue)
    assert [waiting.recipients for waiting in again.waiting] == [(BERT,)]
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,)]
