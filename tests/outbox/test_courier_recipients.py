"""What one recipient meets is that recipient's: neither the others nor other messages wait."""

import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.outbox.delivery import Contact, Delivery, Event
from custom_components.outlook_smtp.outbox.item import Item
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.smtp.faults import Kind, Problem
from tests.standin import Script, StandIn, Step

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
    running,
    unpaced,
)
from .helpers import ANNA, BERT, CARL, add

GOOD = (ANNA, CARL)
BAD = tuple(f"nobody{number}@example.com" for number in range(21))
MIXED = (*BAD[:15], ANNA, *BAD[15:], CARL)
WAYS: dict[str, tuple[str, ...]] = {
    "chunking": (),
    "pipelining": ("CHUNKING",),
    "one_by_one": ("CHUNKING", "PIPELINING"),
}
every_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS)


def postfix(reply: str, without: tuple[str, ...], bad: tuple[str, ...] = BAD) -> Script:
    """Return the script of a server that hangs up after 20 errors, as Postfix does."""
    return Script(max_errors=20, refuse_recipients=dict.fromkeys(bad, reply), without=without)


def said(standin: StandIn) -> list[str]:
    """Return what clients have said in all sessions."""
    return [line for session in standin.sessions for who, line in session if who == "C"]


def verdict_of(item: Item) -> Any:
    """Return what the caller was told of a message."""
    assert item.verdict
    return item.verdict.result()


def failed(queue: Queue) -> set[str]:
    """Return for whom messages have failed."""
    return {
        name for kept in queue.failed for name in kept.failure.spooled.record.envelope.recipients
    }


@pytest.mark.parametrize(
    "reply", [PUT_OFF, "451 4.7.1 Greylisted", "452 4.2.2 Mailbox full", "450 Later"]
)
async def test_a_recipient_who_is_put_off_holds_nobody(
    standin: StandIn,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    reply: str,
) -> None:
    """The message waits alone, its caller knows why, and the account is found to be well."""
    standin.script = Script(refuse_recipients={BERT: reply})
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        stuck = await add(queue, 1, BERT)
        await add(queue, 2)
        await add(queue, 3, ANNA, CARL)
        await all_done(queue)
        assert numbers(standin) == [2, 3]
        assert queue.items == [stuck]
        assert courier.hold is None
        assert standin.connections == 1
        verdict = verdict_of(stuck)
        assert verdict.waiting == (BERT,)
        assert verdict.fault.problem is Problem.TRY_AGAIN_LATER
        assert verdict.fault.kind is Kind.TRANSIENT
        standin.script = Script()
        await let_pass(freezer, queue, NEXT_TRY)
    assert numbers(standin) == [2, 3, 1]
    kinds = [contact.fault and contact.fault.kind for contact in contacts]
    assert kinds == [Kind.MESSAGE, None, None, None]
    turns = [turn.event for turn in told if turn.id == stuck.spooled.id]
    assert turns == [Event.QUEUED, Event.SENT]


@pytest.mark.parametrize("others", [(), (ANNA,)], ids=["alone", "with others"])
async def test_the_back_off_of_a_message_grows_and_new_mail_does_not_shorten_it(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, others: tuple[str, ...]
) -> None:
    """It is the message's, and not the account's."""
    standin.script = Script(refuse_recipients={BERT: PUT_OFF})
    async with running(courier_on(standin, queue, schedule=unpaced())) as courier:
        stuck = await add(queue, 1, *others, BERT)
        waits = []
        for number in range(2, 11):
            await all_done(queue)
            waits.append(round(courier.due(stuck) - time.monotonic()))
            await add(queue, number)
            await all_done(queue)
            assert numbers(standin)[-1] == number
            assert courier.due(stuck) - time.monotonic() == pytest.approx(waits[-1])
            await let_pass(freezer, queue, waits[-1] + 0.001)
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1800, 1800]
    assert stuck.tries == 10


@pytest.mark.parametrize("reply", [BUSY, "452 4.5.3 Too many recipients", "421 4.3.2 Not now"])
async def test_what_speaks_of_the_server_holds_all(
    standin: StandIn, queue: Queue, reply: str
) -> None:
    """A busy server is not asked again for the next message, though it said so to a recipient."""
    standin.script = Script(refuse_recipients={BERT: reply})
    contacts: list[Contact] = []
    await add(queue, 1, BERT)
    await add(queue, 2)
    async with running(courier_on(standin, queue, contacts=contacts)):
        await all_done(queue)
        assert [contact.fault and contact.fault.kind for contact in contacts] == [Kind.TRANSIENT]
        assert not standin.received


@every_way
async def test_a_server_that_hangs_up_over_bad_recipients(
    standin: StandIn, queue: Queue, told: list[Delivery], without: tuple[str, ...]
) -> None:
    """The refused are settled, the good ones get the message at once, and nothing waits."""
    standin.script = postfix(REFUSED, without)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)) as courier:
        item = await add(queue, 1, *MIXED)
        await add(queue, 2)
        await all_done(queue)
        assert not queue.items
        assert courier.hold is None
    assert [mail.recipients for mail in standin.received] == [GOOD, (ANNA,)]
    assert failed(queue) == set(BAD)
    verdict = verdict_of(item)
    assert verdict.accepted == GOOD
    assert {refusal.recipient for refusal in verdict.refused} == set(BAD)
    assert not verdict.waiting
    refused = [name for turn in told if turn.event is Event.REFUSED for name in turn.recipients]
    assert sorted(refused) == sorted(BAD)
    kinds = [contact.fault and contact.fault.kind for contact in contacts]
    assert kinds == [Kind.MESSAGE, None, None]
    assert standin.connections == 2


async def test_a_hundred_bad_recipients(standin: StandIn, queue: Queue) -> None:
    """Each connection settles twenty, and there is an end to it."""
    bad = tuple(f"nobody{number}@example.com" for number in range(99))
    standin.script = postfix(REFUSED, (), bad)
    async with running(courier_on(standin, queue, schedule=unpaced())):
        await add(queue, 1, *bad, ANNA)
        await all_done(queue)
    assert [mail.recipients for mail in standin.received] == [(ANNA,)]
    assert failed(queue) == set(bad)
    assert standin.connections == 5


@every_way
async def test_a_server_that_hangs_up_over_deferred_recipients(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory, without: tuple[str, ...]
) -> None:
    """They are not named again before the others have got the message."""
    standin.script = postfix(PUT_OFF, without)
    async with running(courier_on(standin, queue)):
        item = await add(queue, 1, *MIXED)
        await add(queue, 2)
        await all_done(queue)
        assert [mail.recipients for mail in standin.received] == [GOOD, (ANNA,)]
        assert set(item.recipients) == set(BAD)
        verdict = verdict_of(item)
        assert (verdict.accepted, set(verdict.waiting)) == (GOOD, set(BAD))
        assert verdict.fault.problem is Problem.TRY_AGAIN_LATER
        standin.script.refuse_recipients = {}
        await let_pass(freezer, queue, NEXT_TRY)
    assert set(standin.received[-1].recipients) == set(BAD)
    assert not queue.failed


async def test_a_server_that_hangs_up_without_a_word(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """What was heard of some recipients before is settled all the same."""
    standin.script = Script(
        without=("PIPELINING",), refuse_recipients={ANNA: REFUSED}, drop=Step.RCPT, times=1
    )
    standin.script.take = drop_at_the_second(standin.script)  # type: ignore[method-assign]
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)):
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
    assert [mail.recipients for mail in standin.received] == [(BERT,)]
    assert failed(queue) == {ANNA}
    assert [contact.fault and contact.fault.kind for contact in contacts] == [Kind.MESSAGE, None]


def drop_at_the_second(script: Script) -> Any:
    """Return what lets a script hang up at the second recipient, once."""
    steps: list[Step] = []

    def take(step: Step) -> bool:
        steps.append(step)
        return step is Step.RCPT and steps.count(step) == 2

    assert script.drop is Step.RCPT
    return take


async def test_a_connection_that_breaks_before_anything_is_settled(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """That is a matter of the server, as ever."""
    standin.script = Script(drop=Step.RCPT, times=1)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)):
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert not standin.received
        await let_pass(freezer, queue, NEXT_TRY)
    assert [mail.recipients for mail in standin.received] == [(ANNA, BERT)]
    problems = [contact.fault and contact.fault.problem for contact in contacts]
    assert problems == [Problem.CONNECTION_LOST, None]


async def test_a_lost_answer_does_not_take_refusals_along(
    standin: StandIn, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Who was refused is settled; only who may have got the message may get it twice."""
    standin.script = Script(refuse_recipients={BERT: REFUSED}, drop=Step.FINAL, keep=True, times=1)
    contacts: list[Contact] = []
    async with running(courier_on(standin, queue, contacts=contacts)):
        item = await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert item.recipients == (ANNA,)
        assert failed(queue) == {BERT}
        verdict = verdict_of(item)
        assert verdict.waiting == (ANNA,)
        assert [refusal.recipient for refusal in verdict.refused] == [BERT]
        assert item.lost_answers == 1
        await let_pass(freezer, queue, DAY)
    assert [mail.recipients for mail in standin.received] == [(ANNA,), (ANNA,)]
    problems = [contact.fault and contact.fault.problem for contact in contacts]
    assert problems == [Problem.ANSWER_LOST, None]


async def test_a_recipient_who_is_put_off_in_the_first_of_many_transactions(
    standin: StandIn, queue: Queue
) -> None:
    """The others get the message in theirs, and only then it waits, for the reason of the first."""
    standin.script = Script(limit_recipients=1, refuse_recipients={ANNA: PUT_OFF})
    others = (BERT, CARL, "dora@example.com")
    async with running(courier_on(standin, queue)):
        item = await add(queue, 1, ANNA, *others)
        await all_done(queue)
        assert queue.items == [item]
    assert [mail.recipients for mail in standin.received] == [(name,) for name in others]
    verdict = verdict_of(item)
    assert (verdict.accepted, verdict.waiting) == (others, (ANNA,))
    assert verdict.fault.problem is Problem.TRY_AGAIN_LATER
    assert sum(line.startswith(f"RCPT TO:<{ANNA}>") for line in said(standin)) == 1


async def test_a_message_that_is_refused_after_some_were_put_off(
    standin: StandIn, queue: Queue
) -> None:
    """It is refused for these, too: they would not get it either."""
    standin.script = Script(
        limit_recipients=1, refuse_recipients={ANNA: PUT_OFF}, replies={Step.FINAL: "554 5.6.0 No"}
    )
    async with running(courier_on(standin, queue)):
        item = await add(queue, 1, ANNA, BERT, CARL)
        await all_done(queue)
        assert not queue.items
    assert failed(queue) == {ANNA, BERT, CARL}
    assert not verdict_of(item).waiting
