"""What happens to a message, and to those behind it, when an attempt fails."""

from operator import attrgetter
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem
from custom_components.outlook_smtp.outbox import schedule as schedule_module
from custom_components.outlook_smtp.outbox.events import Attempt, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.conftest import until
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step
from tests.promises import MAX_DEFERRALS, MAX_LOST_ANSWERS

from .helpers import ANNA, BERT, CARL, add, entry_of, receipt_of
from .worker_helpers import (
    BUSY,
    DAY,
    DEFERRED,
    DISTINCT,
    NEXT_TRY,
    REFUSED,
    all_done,
    let_pass,
    numbers,
    queue_in,
    running,
    worker_on,
)

ROWS = {row.name: row for row in CATALOGUE}
SIGN_IN_STEPS = (Step.GREETING, Step.AUTH)


def rows(*kinds: str, submitting: bool | None = None) -> pytest.MarkDecorator:
    """Parametrize over the known replies of some kinds, to the sign-in or later."""
    chosen = [
        row
        for row in DISTINCT
        if row.kind in kinds and submitting in (None, row.step not in SIGN_IN_STEPS)
    ]
    assert chosen
    return pytest.mark.parametrize("row", chosen, ids=attrgetter("name"))


@rows("message")
async def test_refused_message_fails_and_the_next_is_sent(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], row: Row
) -> None:
    """Its caller gets the server's reply; it never blocks the others."""
    fake_server.script = Script.for_row(row, times=1)
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        queued = await add(queue, 1)
        await add(queue, 2)
        await until(lambda: not queue.waiting)
        assert worker.hold is None
    assert numbers(fake_server) == [2]
    [(recipient, fault)] = receipt_of(queued).refused.items()
    assert recipient == ANNA
    assert [kept.failure.spooled.id for kept in queue.failed] == [queued.spooled.id]
    assert [delivery.event for delivery in told] == [Event.REFUSED, Event.SENT]
    assert [attempt.fault for attempt in attempts] == [fault, None]


@rows("transient")
async def test_deferred_message_is_sent_later(
    fake_server: FakeServer,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    row: Row,
) -> None:
    """Its caller learns that it is queued, and why."""
    fake_server.script = Script.for_row(row, times=1)
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        queued = await add(queue)
        await all_done(queue)
        assert worker.hold is None
        assert not fake_server.received
        assert queued.tries == (row.step is not Step.AUTH)
        assert queued.deferrals == (row.step not in SIGN_IN_STEPS)
        await let_pass(freezer, queue, 11.5)
        assert not fake_server.received
        await let_pass(freezer, queue, NEXT_TRY - 11.5)
    assert numbers(fake_server) == [1]
    receipt = receipt_of(queued)
    assert receipt.waiting == (ANNA,)
    assert receipt.fault
    assert receipt.fault.kind is Kind.TRANSIENT
    assert [delivery.event for delivery in told] == [Event.QUEUED, Event.SENT]
    assert [attempt.fault and attempt.fault.problem for attempt in attempts] == [
        receipt.fault.problem,
        None,
    ]


@pytest.mark.parametrize("step", [*Step], ids=str)
async def test_message_with_a_dropped_connection_arrives_once(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, step: Step
) -> None:
    """Wherever the connection breaks, before or after the server has the message."""
    fake_server.script = Script(drop=step, times=1)
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        await all_done(queue)
        before_it_was_taken = step not in (Step.QUIT, Step.IDLE)
        assert len(queue.waiting) == before_it_was_taken
        await let_pass(freezer, queue, NEXT_TRY)
        await let_pass(freezer, queue, DAY)
    assert numbers(fake_server) == [1]


async def test_message_with_a_lost_reply_is_sent_again_unchanged(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A duplicate beats a loss, and has the same Message-ID."""
    content = b"From: me@outlook.com\r\nMessage-ID: <7@example.com>\r\n\r\nFire.\r\n"
    fake_server.script = Script(drop=Step.FINAL, keep=True, times=1)
    async with running(worker_on(fake_server, queue)):
        queued = await queue.add(entry_of(content, message_id="<7@example.com>"), [content])
        await all_done(queue)
        assert queued.fault
        assert queued.fault.problem is Problem.ANSWER_LOST
        await let_pass(freezer, queue, NEXT_TRY)
    assert not queue.waiting
    assert [mail.content for mail in fake_server.received] == [content, content]
    # The second attempt shows how far the message gets.
    assert [mail.chunks for mail in fake_server.received] == [1, 0]


async def test_message_with_repeatedly_lost_replies_fails(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """It may have arrived each time: a person decides whether to send it again."""
    fake_server.script = Script(drop=Step.FINAL, keep=True)
    async with running(worker_on(fake_server, queue)):
        await add(queue)
        for _ in range(MAX_LOST_ANSWERS + 2):
            await all_done(queue)
            await let_pass(freezer, queue, 3600)
    assert not queue.waiting
    assert [queued.failure.problem for queued in queue.failed] == [Problem.ANSWER_LOST]
    assert numbers(fake_server) == [1] * MAX_LOST_ANSWERS


async def test_back_off_grows_while_the_server_defers_every_recipient(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """The server's accepting the sign-in does not make the next attempt come sooner."""
    fake_server.script = Script.for_row(ROWS["organization_queue_quota"])
    async with running(worker_on(fake_server, queue)) as worker:
        queued = await add(queue)
        waits = []
        for _ in range(9):
            await all_done(queue)
            waits.append(worker.next_try(queued) - time.monotonic())
            await let_pass(freezer, queue, waits[-1] + 0.001)
    assert 12 <= waits[0] <= 18
    assert 24 <= waits[1] <= 36
    assert all(wait > 960 * 0.8 for wait in waits[6:])
    assert max(waits) <= 1800 * 1.2


@pytest.mark.parametrize("jitter", [0.8, 1.0, 1.2])
async def test_repeatedly_deferred_message_yields_to_others(
    fake_server: FakeServer,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    jitter: float,
) -> None:
    """After the third deferral in a row, the others go first, and it is retried later."""
    monkeypatch.setattr(schedule_module, "uniform", lambda *_: jitter)
    fake_server.script = Script(refuse_recipients={BERT: BUSY})
    stuck = await add(queue, 1, BERT)
    await add(queue, 2)
    await add(queue, 3)
    async with running(worker_on(fake_server, queue)) as worker:
        for _ in range(MAX_DEFERRALS):
            await all_done(queue)
            assert not fake_server.received
            await let_pass(
                freezer, queue, worker.next_try(queue.waiting[-1]) - time.monotonic() + 0.001
            )
        assert numbers(fake_server) == [2, 3]
        assert queue.waiting == [stuck]
        fake_server.script = Script()
        await let_pass(freezer, queue, worker.next_try(stuck) - time.monotonic() + 0.001)
    assert numbers(fake_server) == [2, 3, 1]


async def test_yielding_message_can_be_flushed(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A flush need not wait."""
    fake_server.script = Script(refuse_recipients={BERT: DEFERRED})
    async with running(worker_on(fake_server, queue)) as worker:
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        fake_server.script = Script()
        await worker.flush()
        await all_done(queue)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,), (BERT,)]


async def test_each_recipient_is_settled_separately(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """One is accepted, one refused, and one retried alone later; the others do not wait."""
    fake_server.script = Script(refuse_recipients={BERT: REFUSED, CARL: DEFERRED})
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        queued = await add(queue, 1, ANNA, BERT, CARL)
        await add(queue, 2)
        await all_done(queue)
        assert numbers(fake_server) == [1, 2]
        assert queue.waiting == [queued]
        assert queued.recipients == (CARL,)
        fake_server.script = Script()
        await let_pass(freezer, queue, NEXT_TRY)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,), (ANNA,), (CARL,)]
    assert [kept.failure.spooled.entry.envelope.recipients for kept in queue.failed] == [(BERT,)]
    name = queued.entry.message_id
    turns = [(turn.event, turn.recipients) for turn in told if turn.message_id == name]
    assert (Event.SENT, (ANNA,)) in turns
    assert (Event.REFUSED, (BERT,)) in turns
    assert turns[-1] == (Event.SENT, (CARL,))
    receipt = receipt_of(queued)
    assert (receipt.accepted, receipt.waiting) == ((ANNA,), (CARL,))
    assert list(receipt.refused) == [BERT]
    assert [attempt.fault for attempt in attempts] == [None] * 3


async def test_only_waiting_recipients_are_tried_after_a_restart(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """No recipient gets a message twice because of another one."""
    fake_server.script = Script(refuse_recipients={BERT: REFUSED, CARL: DEFERRED})
    async with running(worker_on(fake_server, queue)):
        await add(queue, 1, ANNA, BERT, CARL)
        await all_done(queue)
    fake_server.script = Script()
    again = await queue_in(queue)
    async with running(worker_on(fake_server, again)):
        await all_done(again)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,), (CARL,)]
    assert not again.waiting
    assert [kept.failure.spooled.entry.envelope.recipients for kept in again.failed] == [(BERT,)]


async def test_recipients_refused_by_a_quota_hold_the_account(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Some were accepted before the daily limit was reached."""
    limit = "550 5.1.90 Your message can't be sent because you've reached your daily limit"
    fake_server.script = Script(refuse_recipients={BERT: limit})
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        queued = await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert worker.hold
        assert worker.hold.until == time.monotonic() + DAY
    assert queued.recipients == (BERT,)
    [attempt] = attempts
    assert attempt.fault is worker.hold.fault
