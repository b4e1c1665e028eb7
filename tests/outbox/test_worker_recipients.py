"""A reply to one recipient only affects that recipient: others and other messages do not wait."""

import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem
from custom_components.outlook_smtp.outbox.events import Attempt, Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import ANNA, BERT, CARL, add, receipt_of
from .worker_helpers import (
    BUSY,
    DAY,
    DEFERRED,
    NEXT_TRY,
    REFUSED,
    all_done,
    let_pass,
    numbers,
    running,
    unpaced,
    worker_on,
)

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
    """Return the script of a server that disconnects after 20 errors, like Postfix."""
    return Script(max_errors=20, refuse_recipients=dict.fromkeys(bad, reply), without=without)


def said(fake_server: FakeServer) -> list[str]:
    """Return the commands of all sessions."""
    return [line for session in fake_server.sessions for who, line in session if who == "C"]


def failed(queue: Queue) -> set[str]:
    """Return the recipients of failed messages."""
    return {
        name for kept in queue.failed for name in kept.failure.spooled.entry.envelope.recipients
    }


@pytest.mark.parametrize(
    "reply", [DEFERRED, "451 4.7.1 Greylisted", "452 4.2.2 Mailbox full", "450 Later"]
)
async def test_deferred_recipient_holds_no_other(
    fake_server: FakeServer,
    queue: Queue,
    told: list[Delivery],
    freezer: FrozenDateTimeFactory,
    reply: str,
) -> None:
    """Only this message waits, its caller knows why, and the account is healthy."""
    fake_server.script = Script(refuse_recipients={BERT: reply})
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        stuck = await add(queue, 1, BERT)
        await add(queue, 2)
        await add(queue, 3, ANNA, CARL)
        await all_done(queue)
        assert numbers(fake_server) == [2, 3]
        assert queue.waiting == [stuck]
        assert worker.hold is None
        assert fake_server.connections == 1
        receipt = receipt_of(stuck)
        assert receipt.waiting == (BERT,)
        assert receipt.problem == Problem.TRY_AGAIN_LATER
        assert receipt.fault
        assert receipt.fault.kind is Kind.TRANSIENT
        fake_server.script = Script()
        await let_pass(freezer, queue, NEXT_TRY)
    assert numbers(fake_server) == [2, 3, 1]
    kinds = [attempt.fault and attempt.fault.kind for attempt in attempts]
    assert kinds == [Kind.MESSAGE, None, None, None]
    turns = [turn.event for turn in told if turn.id == stuck.spooled.id]
    assert turns == [Event.QUEUED, Event.SENT]


@pytest.mark.parametrize("others", [(), (ANNA,)], ids=["alone", "with others"])
async def test_back_off_of_a_message_is_not_reset_by_new_mail(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, others: tuple[str, ...]
) -> None:
    """It is the message's own, not the account's."""
    fake_server.script = Script(refuse_recipients={BERT: DEFERRED})
    async with running(worker_on(fake_server, queue, schedule=unpaced())) as worker:
        stuck = await add(queue, 1, *others, BERT)
        waits = []
        for number in range(2, 11):
            await all_done(queue)
            waits.append(round(worker.next_try(stuck) - time.monotonic()))
            await add(queue, number)
            await all_done(queue)
            assert numbers(fake_server)[-1] == number
            assert worker.next_try(stuck) - time.monotonic() == pytest.approx(waits[-1])
            await let_pass(freezer, queue, waits[-1] + 0.001)
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1800, 1800]
    assert stuck.tries == 10


@pytest.mark.parametrize("reply", [BUSY, "452 4.5.3 Too many recipients", "421 4.3.2 Not now"])
async def test_reply_about_the_server_holds_all(
    fake_server: FakeServer, queue: Queue, reply: str
) -> None:
    """A busy server is not contacted for the next message, though it replied to a recipient."""
    fake_server.script = Script(refuse_recipients={BERT: reply})
    attempts: list[Attempt] = []
    await add(queue, 1, BERT)
    await add(queue, 2)
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        await all_done(queue)
        assert [attempt.fault and attempt.fault.kind for attempt in attempts] == [Kind.TRANSIENT]
        assert not fake_server.received


@every_way
async def test_server_may_disconnect_after_bad_recipients(
    fake_server: FakeServer, queue: Queue, told: list[Delivery], without: tuple[str, ...]
) -> None:
    """The refused ones are settled, the good ones get the message at once, and nothing waits."""
    fake_server.script = postfix(REFUSED, without)
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)) as worker:
        queued = await add(queue, 1, *MIXED)
        await add(queue, 2)
        await all_done(queue)
        assert not queue.waiting
        assert worker.hold is None
    assert [mail.recipients for mail in fake_server.received] == [GOOD, (ANNA,)]
    assert failed(queue) == set(BAD)
    receipt = receipt_of(queued)
    assert receipt.accepted == GOOD
    assert set(receipt.refused) == set(BAD)
    assert not receipt.waiting
    refused = [name for turn in told if turn.event is Event.REFUSED for name in turn.recipients]
    assert sorted(refused) == sorted(BAD)
    kinds = [attempt.fault and attempt.fault.kind for attempt in attempts]
    assert kinds == [Kind.MESSAGE, None, None]
    assert fake_server.connections == 2


async def test_hundred_bad_recipients_are_settled(fake_server: FakeServer, queue: Queue) -> None:
    """Each connection settles twenty, until all are done."""
    bad = tuple(f"nobody{number}@example.com" for number in range(99))
    fake_server.script = postfix(REFUSED, (), bad)
    async with running(worker_on(fake_server, queue, schedule=unpaced())):
        await add(queue, 1, *bad, ANNA)
        await all_done(queue)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,)]
    assert failed(queue) == set(bad)
    assert fake_server.connections == 5


@every_way
async def test_server_may_disconnect_after_deferred_recipients(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory, without: tuple[str, ...]
) -> None:
    """They are not sent again before the others have got the message."""
    fake_server.script = postfix(DEFERRED, without)
    async with running(worker_on(fake_server, queue)):
        queued = await add(queue, 1, *MIXED)
        await add(queue, 2)
        await all_done(queue)
        assert [mail.recipients for mail in fake_server.received] == [GOOD, (ANNA,)]
        assert set(queued.recipients) == set(BAD)
        receipt = receipt_of(queued)
        assert (receipt.accepted, set(receipt.waiting)) == (GOOD, set(BAD))
        assert receipt.problem == Problem.TRY_AGAIN_LATER
        fake_server.script.refuse_recipients = {}
        await let_pass(freezer, queue, NEXT_TRY)
    assert set(fake_server.received[-1].recipients) == set(BAD)
    assert not queue.failed


async def test_server_may_disconnect_without_a_reply(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Replies received before are settled anyway."""
    fake_server.script = Script(
        without=("PIPELINING",), refuse_recipients={ANNA: REFUSED}, drop=Step.RCPT, times=1
    )
    fake_server.script.take = drop_at_the_second(fake_server.script)  # type: ignore[method-assign]
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
    assert [mail.recipients for mail in fake_server.received] == [(BERT,)]
    assert failed(queue) == {ANNA}
    assert [attempt.fault and attempt.fault.kind for attempt in attempts] == [Kind.MESSAGE, None]


def drop_at_the_second(script: Script) -> Any:
    """Return a function that lets a script disconnect at the second recipient, once."""
    steps: list[Step] = []

    def take(step: Step) -> bool:
        steps.append(step)
        return step is Step.RCPT and steps.count(step) == 2

    assert script.drop is Step.RCPT
    return take


async def test_early_disconnect_is_a_fault_of_the_server(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """That is a problem of the server, as always."""
    fake_server.script = Script(drop=Step.RCPT, times=1)
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert not fake_server.received
        await let_pass(freezer, queue, NEXT_TRY)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA, BERT)]
    problems = [attempt.fault and attempt.fault.problem for attempt in attempts]
    assert problems == [Problem.CONNECTION_LOST, None]


async def test_lost_reply_keeps_earlier_refusals(
    fake_server: FakeServer, queue: Queue, freezer: FrozenDateTimeFactory
) -> None:
    """Refused recipients are settled; only those that may have got it may get it twice."""
    fake_server.script = Script(
        refuse_recipients={BERT: REFUSED}, drop=Step.FINAL, keep=True, times=1
    )
    attempts: list[Attempt] = []
    async with running(worker_on(fake_server, queue, attempts=attempts)):
        queued = await add(queue, 1, ANNA, BERT)
        await all_done(queue)
        assert queued.recipients == (ANNA,)
        assert failed(queue) == {BERT}
        receipt = receipt_of(queued)
        assert receipt.waiting == (ANNA,)
        assert list(receipt.refused) == [BERT]
        assert queued.lost_answers == 1
        await let_pass(freezer, queue, DAY)
    assert [mail.recipients for mail in fake_server.received] == [(ANNA,), (ANNA,)]
    problems = [attempt.fault and attempt.fault.problem for attempt in attempts]
    assert problems == [Problem.ANSWER_LOST, None]


async def test_recipient_deferred_in_the_first_transaction_waits(
    fake_server: FakeServer, queue: Queue
) -> None:
    """The others get the message in theirs, and only then it waits, for the first one's reason."""
    fake_server.script = Script(limit_recipients=1, refuse_recipients={ANNA: DEFERRED})
    others = (BERT, CARL, "dora@example.com")
    async with running(worker_on(fake_server, queue)):
        queued = await add(queue, 1, ANNA, *others)
        await all_done(queue)
        assert queue.waiting == [queued]
    assert [mail.recipients for mail in fake_server.received] == [(name,) for name in others]
    receipt = receipt_of(queued)
    assert (receipt.accepted, receipt.waiting) == (others, (ANNA,))
    assert receipt.problem == Problem.TRY_AGAIN_LATER
    assert sum(line.startswith(f"RCPT TO:<{ANNA}>") for line in said(fake_server)) == 1


async def test_message_refused_after_deferrals_is_refused_for_all(
    fake_server: FakeServer, queue: Queue
) -> None:
    """It is refused for these, too: they would not get it either."""
    fake_server.script = Script(
        limit_recipients=1, refuse_recipients={ANNA: DEFERRED}, replies={Step.FINAL: "554 5.6.0 No"}
    )
    async with running(worker_on(fake_server, queue)):
        queued = await add(queue, 1, ANNA, BERT, CARL)
        await all_done(queue)
        assert not queue.waiting
    assert failed(queue) == {ANNA, BERT, CARL}
    assert not receipt_of(queued).waiting
