"""The courier while all goes well: order, pace, one connection, checks, and a quiet loop."""

import asyncio
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox import courier as courier_module, grace as grace_module
from custom_components.outlook_smtp.outbox.delivery import Contact, Delivery, Event
from custom_components.outlook_smtp.outbox.item import Item, Limits
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.smtp.account import Account
from custom_components.outlook_smtp.smtp.faults import Kind, Stage, SubmissionError
from custom_components.outlook_smtp.smtp.probe import Report, probe
from custom_components.outlook_smtp.smtp.submission import Outcome
from tests.conftest import ADDRESS, until
from tests.promises import PER_MINUTE
from tests.standin import CATALOGUE, Script, StandIn, Step

from .courier_helpers import (
    DAY,
    HOUR,
    PUT_OFF,
    REFUSED,
    WEEK,
    all_done,
    courier_on,
    let_pass,
    numbers,
    running,
    unpaced,
)
from .helpers import ANNA, BERT, CARL, add, started_again

ROWS = {row.name: row for row in CATALOGUE}


async def test_a_message_is_taken_to_the_server_and_all_are_told(
    standin: StandIn, queue: Queue, told: list[Delivery]
) -> None:
    """The waiting caller, the listeners and whoever follows the contacts learn of it."""
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue, 1, ANNA, BERT)
        assert item.verdict
        verdict = await item.verdict
        assert courier.server_info
    [mail] = standin.received
    assert mail.recipients == verdict.accepted == (ANNA, BERT)
    assert verdict.message_id == mail.message_id_given
    assert verdict.reply
    assert not verdict.waiting
    assert [delivery.event for delivery in told] == [Event.SENT]
    [contact] = contacts
    assert contact.fault is None
    assert contact.submitting
    assert contact.latency > 0


async def test_the_order_of_the_queue_is_kept(standin: StandIn, queue: Queue) -> None:
    """What was there before the start comes before what is added after it."""
    for number in range(1, 4):
        await add(queue, number)
    async with running(courier_on(standin, queue)):
        await add(queue, 4)
        await add(queue, 5)
        await until(lambda: not queue.items)
    assert numbers(standin) == [1, 2, 3, 4, 5]


async def test_there_is_one_connection_at_a_time(
    standin: StandIn, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submissions and checks take turns, whoever asks for them."""
    welcome, opened = standin.welcome, []

    def count(conversation: object) -> Script | None:
        opened.append(standin.open_connections)
        return welcome(conversation)  # type: ignore[arg-type]

    monkeypatch.setattr(standin, "welcome", count)
    async with running(courier_on(standin, queue)) as courier:
        adding = (add(queue, number) for number in range(1, 6))
        checks = (courier.check() for _ in range(5))
        await asyncio.gather(*(work for pair in zip(adding, checks, strict=True) for work in pair))
        await until(lambda: not queue.items)
    assert set(opened) == {0}
    assert 6 <= len(opened) <= 10


async def test_the_server_never_sees_more_than_its_limit_in_a_minute(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A burst goes at once, then one message at a time, evenly."""
    for number in range(1, 12):
        await add(queue, number)
    async with running(courier_on(standin, queue)):
        await all_done(queue)
        await let_pass(freezer, queue, 0.001)  # Frozen, the clock's numbers are rounded.
        arrived = [len(standin.received)]
        for _ in range(5):
            await let_pass(freezer, queue, 60 / (PER_MINUTE - 5) + 0.001)
            arrived.append(len(standin.received))
    assert arrived == [5, 6, 7, 8, 9, 10]


async def test_a_check_tells_what_it_found(standin: StandIn, queue: Queue) -> None:
    """It needs no message, and not even a courier that has started."""
    courier = courier_on(standin, queue)
    report = await courier.check()
    assert report
    assert courier.server_info == report.server_info
    assert Stage.AUTH in report.timings


async def test_a_check_that_meets_passing_trouble_puts_nothing_off(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The next message is tried at once: it may fare better."""
    standin.script = Script.for_row(ROWS["service_not_active"], times=1)
    async with running(courier_on(standin, queue)) as courier:
        with pytest.raises(SubmissionError) as caught:
            await courier.check()
        assert caught.value.fault.kind is Kind.TRANSIENT
        await add(queue)
        await all_done(queue)
    assert numbers(standin) == [1]


async def test_a_successful_check_ends_the_back_off(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """What waits goes at once when the server is well again."""
    standin.script = Script.for_row(ROWS["service_not_active"], times=1)
    async with running(courier_on(standin, queue)) as courier:
        await add(queue)
        await all_done(queue)
        assert not standin.received
        await courier.check()
        await all_done(queue)
    assert numbers(standin) == [1]


async def test_new_mail_ends_the_back_off(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """All that waits is tried with it, in order, and the next delay is the shortest again."""
    standin.script = Script.for_row(ROWS["service_not_active"])
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        first = await add(queue, 1)
        await all_done(queue)
        for _ in range(3):
            await let_pass(freezer, queue, HOUR)
        assert courier.due(first) > time.monotonic() + 60
        await add(queue, 2)
        await all_done(queue)
        assert courier.due(first) < time.monotonic() + 18.1
        standin.script = Script()
        await add(queue, 3)
        await all_done(queue)
    assert numbers(standin) == [1, 2, 3]


async def test_a_check_that_finds_the_account_refused_comes_before_a_message(
    standin: StandIn, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that waited for its turn is not tried under the hold that the check brought."""
    standin.script = Script.for_row(ROWS["credentials_incorrect"])
    contacts: list[Contact] = []
    probing = asyncio.Event()

    async def slow_probe(account: Account) -> Report:
        probing.set()
        await until(lambda: queue.under_way)
        return await probe(account)

    monkeypatch.setattr(courier_module, "probe", slow_probe)
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        check = asyncio.create_task(courier.check())
        await probing.wait()
        item = await add(queue)
        with pytest.raises(SubmissionError):
            await check
        assert item.verdict
        verdict = await item.verdict
        await all_done(queue)
    assert verdict.fault
    assert verdict.fault.kind is Kind.CREDENTIALS
    assert not contacts
    assert standin.connections == 1


@pytest.mark.parametrize(
    ("script", "count"),
    [
        (Script(), 0),
        (Script(), 1),
        (Script(), 8),
        (Script(refuse_recipients={ANNA: REFUSED}), 1),
        (Script(refuse_recipients={ANNA: PUT_OFF}), 1),
        (Script.for_row(ROWS["service_not_active"]), 8),
        (Script.for_row(ROWS["credentials_incorrect"]), 8),
        (Script.for_row(ROWS["suspended"]), 8),
        (Script.for_row(ROWS["daily_limit"]), 8),
    ],
    ids=["empty", "sent", "paced", "refused", "put off", "down", "signed out", "blocked", "quota"],
)
async def test_nothing_turns_while_nothing_is_due(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, script: Script, count: int
) -> None:
    """The courier sleeps until something is due, whatever has happened before."""
    turns, expire = 0, queue.expire

    async def counted(lifetime: float, now: float) -> None:
        nonlocal turns
        turns += 1
        await expire(lifetime, now)

    queue.expire = counted  # type: ignore[method-assign]
    standin.script = script
    async with running(courier_on(standin, queue, lifetime=DAY)):
        for number in range(count):
            await add(queue, number)
        await all_done(queue)
        for passing in (0.0, 0.5, 30.0, HOUR, 3 * DAY, 2 * WEEK):
            await let_pass(freezer, queue, passing)
            turns, connections = 0, standin.connections
            for _ in range(500):
                await asyncio.sleep(0)
            assert turns == 0
            assert standin.connections == connections
    assert not queue.items
    assert not queue.failed


async def test_two_accounts_never_wait_for_each_other(
    standin: StandIn, queue: Queue, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A server that says nothing keeps its own messages only."""
    other = Queue(Spool(tmp_path_factory.mktemp("other")), Limits(10, 1_000_000))
    await other.open()
    with StandIn() as silent:
        silent.script = Script(silent=True)
        async with running(courier_on(standin, queue, schedule=unpaced())):
            stuck = courier_on(silent, other, schedule=unpaced())
            await stuck.start()
            await add(other)
            await until(lambda: silent.open_connections)
            for number in range(20):
                await add(queue, number)
            await until(lambda: not queue.items)
            assert other.under_way
            silent.stop()
            await stuck.stop()
    assert numbers(standin) == list(range(20))
    assert [item.record.envelope.sender for item in other.items] == [ADDRESS]


@pytest.mark.timeout(180)
async def test_a_thousand_messages_arrive_in_order_and_once(standin: StandIn, queue: Queue) -> None:
    """Nothing is lost, doubled or overtaken, and nothing is left on disk."""
    # Each takes four syncs of the disk; all share a session.
    count = 1000
    asyncio.get_running_loop().set_debug(False)
    async with running(courier_on(standin, queue, schedule=unpaced())):
        for number in range(count):
            last = await add(queue, number)
        assert last.verdict
        await last.verdict
    assert numbers(standin) == list(range(count))
    assert standin.connections == 1
    assert not Spool(queue.spool.folder).open().waiting


async def test_many_messages_over_one_session(standin: StandIn, queue: Queue) -> None:
    """One sign-in serves all that follow one another."""
    async with running(courier_on(standin, queue, schedule=unpaced())):
        for number in range(1, 11):
            await add(queue, number)
        await until(lambda: not queue.items)
    assert standin.connections == 1
    assert numbers(standin) == list(range(1, 11))


async def test_recipients_over_the_limit_get_it_in_their_turn(
    standin: StandIn, queue: Queue
) -> None:
    """Who asked hears of all of them at the end, and nobody gets the message twice."""
    standin.script = Script(limit_recipients=2, refuse_recipients={BERT: "550 5.1.1 User unknown"})
    async with running(courier_on(standin, queue, schedule=unpaced())):
        item = await add(queue, 1, ANNA, BERT, CARL, "d@x.org", "e@x.org", "f@x.org")
        await until(lambda: not queue.items)
    groups = [mail.recipients for mail in standin.received]
    assert groups == [(ANNA, CARL), ("d@x.org", "e@x.org"), ("f@x.org",)]
    assert item.verdict
    verdict = item.verdict.result()
    assert verdict.accepted == (ANNA, CARL, "d@x.org", "e@x.org", "f@x.org")
    assert [refusal.recipient for refusal in verdict.refused] == [BERT]
    assert verdict.waiting == ()


async def test_an_end_between_two_transactions_repeats_nothing(
    standin: StandIn, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a first transaction has brought away is on disk before the next one begins."""
    standin.script = Script(limit_recipients=1)
    settle, settled = queue.settle, asyncio.Event()

    async def settle_once(item: Item, outcome: Outcome) -> None:
        await settle(item, outcome)
        settled.set()
        standin.script.stall = Step.MAIL

    monkeypatch.setattr(queue, "settle", settle_once)
    monkeypatch.setattr(grace_module, "STOP_GRACE", 0.05)
    async with running(courier_on(standin, queue, schedule=unpaced())):
        item = await add(queue, 1, ANNA, BERT)
        await settled.wait()
        await until(lambda: queue.under_way)
    assert item.verdict
    verdict = item.verdict.result()
    assert (verdict.accepted, verdict.waiting) == ((ANNA,), (BERT,))
    again = await started_again(queue)
    assert [waiting.recipients for waiting in again.items] == [(BERT,)]
    assert [mail.recipients for mail in standin.received] == [(ANNA,)]
