"""What becomes of a message, and of those behind it, when a try goes wrong."""

from operator import attrgetter
import time

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox import schedule as schedule_module
from custom_components.outlook_smtp.outbox.delivery import Contact, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.smtp.faults import Kind, Problem
from tests.conftest import until
from tests.promises import MAX_LOST_ANSWERS, MAX_SETBACKS
from tests.standin import CATALOGUE, Row, Script, StandIn, Step

from .courier_helpers import (
    BUSY,
    DAY,
    NEXT_TRY,
    PUT_OFF,
    REFUSED,
    all_done,
    courier_on,
    let_pass,
    numbers,
    queue_in,
    running,
)
from .helpers import ANNA, BERT, CARL, add, record_of

ROWS = {row.name: row for row in CATALOGUE}
SIGN_IN_STEPS = (Step.GREETING, Step.AUTH)


def rows(*kinds: str, handed_in: bool | None = None) -> pytest.MarkDecorator:
    """Parametrize over the known replies of some kinds, met at the sign-in or later."""
    chosen = [
        row
        for row in CATALOGUE
        if row.kind in kinds and handed_in in (None, row.step not in SIGN_IN_STEPS)
    ]
    assert chosen
    return pytest.mark.parametrize("row", chosen, ids=attrgetter("name"))


@rows("message")
async def test_a_message_that_is_refused_is_kept_aside_and_the_next_one_goes(
    standin: StandIn, queue: Queue, told: list[Delivery], row: Row
) -> None:
    """Its caller learns the server's words; it never stands in the way."""
    standin.script = Script.for_row(row, times=1)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue, 1)
        await add(queue, 2)
        await until(lambda: not queue.items)
        assert courier.hold is None
    assert numbers(standin) == [2]
    assert item.verdict
    [refusal] = item.verdict.result().refused
    assert refusal.recipient == ANNA
    assert [kept.failure.spooled.id for kept in queue.failed] == [item.spooled.id]
    assert [delivery.event for delivery in told] == [Event.REFUSED, Event.SENT]
    assert [contact.fault for contact in contacts] == [refusal.fault, None]


@rows("transient")
async def test_a_message_that_is_put_off_goes_later(
    standin: StandIn, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory, row: Row
) -> None:
    """Its caller learns that it waits, and why."""
    standin.script = Script.for_row(row, times=1)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue)
        await all_done(queue)
        assert courier.hold is None
        assert not standin.received
        assert item.tries == (row.step is not Step.AUTH)
        assert item.setbacks == (row.step not in SIGN_IN_STEPS)
        await let_pass(freezer, queue, 11.5)
        assert not standin.received
        await let_pass(freezer, queue, NEXT_TRY - 11.5)
    assert numbers(standin) == [1]
    assert item.verdict
    verdict = item.verdict.result()
    assert verdict.waiting == (ANNA,)
    assert verdict.fault
    assert verdict.fault.kind is Kind.TRANSIENT
    assert [delivery.event for delivery in told] == [Event.QUEUED, Event.SENT]
    assert [contact.fault and contact.fault.problem for contact in contacts] == [
        verdict.fault.problem,
        None,
    ]


@pytest.mark.parametrize("step", [*Step], ids=str)
async def test_a_message_whose_connection_drops_arrives_exactly_once(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, step: Step
) -> None:
    """Wherever the line breaks before the server has the message, and wherever after that."""
    standin.script = Script(drop=step, times=1)
    async with running(courier_on(standin, queue)):
        await add(queue)
        await all_done(queue)
        before_it_was_taken = step not in (Step.QUIT, Step.IDLE)
        assert len(queue.items) == before_it_was_taken
        await let_pass(freezer, queue, NEXT_TRY)
        await let_pass(freezer, queue, DAY)
    assert numbers(standin) == [1]


async def test_a_message_whose_answer_is_lost_is_sent_again_as_it_was(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """A duplicate beats a loss, and the Message-ID tells that it is one."""
    content = b"From: me@outlook.com\r\nMessage-ID: <7@example.com>\r\n\r\nFire.\r\n"
    standin.script = Script(drop=Step.FINAL, keep=True, times=1)
    async with running(courier_on(standin, queue)):
        item = await queue.add(record_of(content, message_id="<7@example.com>"), [content])
        await all_done(queue)
        assert item.fault
        assert item.fault.problem is Problem.ANSWER_LOST
        await let_pass(freezer, queue, NEXT_TRY)
    assert not queue.items
    assert [mail.content for mail in standin.received] == [content, content]
    # The second time it is known where the message came to.
    assert [mail.chunks for mail in standin.received] == [1, 0]


async def test_a_message_whose_answer_is_lost_time_and_again_is_kept_aside(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """It may have arrived each time: a person decides whether it is sent once more."""
    standin.script = Script(drop=Step.FINAL, keep=True)
    async with running(courier_on(standin, queue)):
        await add(queue)
        for _ in range(MAX_LOST_ANSWERS + 2):
            await all_done(queue)
            await let_pass(freezer, queue, 3600)
    assert not queue.items
    assert [item.failure.problem for item in queue.failed] == [Problem.ANSWER_LOST]
    assert numbers(standin) == [1] * MAX_LOST_ANSWERS


async def test_the_back_off_grows_while_the_server_puts_off_every_recipient(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """That the server lets the account in does not make the next try come sooner."""
    standin.script = Script.for_row(ROWS["organization_queue_quota"])
    async with running(courier_on(standin, queue)) as courier:
        item = await add(queue)
        waits = []
        for _ in range(9):
            await all_done(queue)
            waits.append(courier.due(item) - time.monotonic())
            await let_pass(freezer, queue, waits[-1] + 0.001)
    assert 12 <= waits[0] <= 18
    assert 24 <= waits[1] <= 36
    assert all(wait > 960 * 0.8 for wait in waits[6:])
    assert max(waits) <= 1800 * 1.2


@pytest.mark.parametrize("jitter", [0.8, 1.0, 1.2])
async def test_a_message_that_is_put_off_again_and_again_lets_the_others_pass(
    standin: StandIn,
    queue: Queue,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    jitter: float,
) -> None:
    """After the third time in a row the others go first, and it is tried again later."""
    monkeypatch.setattr(schedule_module, "uniform", lambda *_: jitter)
    standin.script = Script(refuse_recipients={BERT: BUSY})
    stuck = await add(queue, 1, BERT)
    await add(queue, 2)
    await add(queue, 3)
    async with running(courier_on(standin, queue)) as courier:
        for _ in range(MAX_SETBACKS):
            await all_done(queue)
            assert not standin.received
            await let_pass(freezer, queue, courier.due(queue.items[-1]) - time.monotonic() + 0.001)
        assert numbers(standin) == [2, 3]
        assert queue.items == [stuck]
        standin.script = Script()
        await let_pass(freezer, queue, courier.due(stuck) - time.monotonic() + 0.001)
    assert numbers(standin) == [2, 3, 1]


async def test_a_message_that_is_set_back_can_be_sent_at_once(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Somebody who asks for it now need not wait."""
    standin.script = Script(refuse_recipients={BERT: PUT_OFF})
    async with running(courier_on(standin, queue)) as courier:
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        standin.script = Script()
        await courier.flush()
        await all_done(queue)
    assert [mail.recipients for mail in standin.received] == [(ANNA,), (BERT,)]


async def test_each_recipient_is_settled_for_himself(
    standin: StandIn, queue: Queue, told: list[Delivery], freezer: FrozenDateTimeFactory
) -> None:
    """One is accepted, one refused for good, and one tried alone later; the others do not wait."""
    standin.script = Script(refuse_recipients={BERT: REFUSED, CARL: PUT_OFF})
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)):
        item = await add(queue, 1, ANNA, BERT, CARL)
        await add(queue, 2)
        await all_done(queue)
        assert numbers(standin) == [1, 2]
        assert queue.items == [item]
        assert item.recipients == (CARL,)
        standin.script = Script()
        await let_pass(freezer, queue, NEXT_TRY)
    assert [mail.recipients for mail in standin.received] == [(ANNA,), (ANNA,), (CARL,)]
    assert [kept.failure.spooled.record.envelope.recipients for kept in queue.failed] == [(BERT,)]
    name = item.record.message_id
    turns = [(turn.event, turn.recipients) for turn in told if turn.message_id == name]
    assert (Event.SENT, (ANNA,)) in turns
    assert (Event.REFUSED, (BERT,)) in turns
    assert turns[-1] == (Event.SENT, (CARL,))
    assert item.verdict
    verdict = item.verdict.result()
    assert (verdict.accepted, verdict.waiting) == ((ANNA,), (CARL,))
    assert [refusal.recipient for refusal in verdict.refused] == [BERT]
    assert [contact.fault for contact in contacts] == [None] * 3


async def test_only_the_recipients_who_wait_are_tried_after_a_restart(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Nobody gets a message twice for the sake of another one."""
    standin.script = Script(refuse_recipients={BERT: REFUSED, CARL: PUT_OFF})
    async with running(courier_on(standin, queue)):
        await add(queue, 1, ANNA, BERT, CARL)
        await all_done(queue)
    standin.script = Script()
    again = await queue_in(queue)
    async with running(courier_on(standin, again)):
        await all_done(again)
    assert [mail.recipients for mail in standin.received] == [(ANNA,), (CARL,)]
    assert not again.items
    assert [kept.failure.spooled.record.envelope.recipients for kept in again.failed] == [(BERT,)]


async def test_recipients_who_meet_a_quota_hold_the_account(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Some were accepted before the day's limit was reached."""
    limit = "550 5.1.90 Your message can't be sent because you've reached your daily limit"
    standin.script = Script(refuse_recipients={BERT: limit})
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert courier.hold
        assert courier.hold.until == time.monotonic() + DAY
    assert item.recipients == (BERT,)
    [contact] = contacts
    assert contact.fault is courier.hold.fault
