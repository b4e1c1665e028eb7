"""Messages are settled for some or all recipients, failed ones are retried, all is reported."""

import asyncio
from math import inf
import threading

import pytest

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import (
    Limits,
    OutboxFullError,
    QueuedMessage,
    UnknownMessageError,
)
from custom_components.outlook_smtp.outbox.spool import FAILED, WAITING
from custom_components.outlook_smtp.outbox.terms import Terms
from tests.conftest import until
from tests.promises import KEEP_FAILED

from .helpers import (
    ANNA,
    BERT,
    BUSY,
    CARL,
    REFUSED,
    add,
    broken,
    content_of,
    expected_receipt,
    files,
    read,
    receipt_of,
    started_again,
    titles,
)

NEEDS_UTF8 = Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
SENT = "2.0.0 OK <abc@server>"


def outcome_of(
    *accepted: str, refused: tuple[str, ...] = (), waiting: tuple[str, ...] = ()
) -> Outcome:
    """Return which recipients were accepted, refused and deferred."""
    return Outcome(
        accepted=accepted,
        refused=dict.fromkeys(refused, REFUSED) | dict.fromkeys(waiting, BUSY),
        reply=SENT if accepted else "",
        message_id="<abc@server>",
    )


@pytest.fixture
async def queued(queue: Queue) -> QueuedMessage:
    """Return a message to three recipients that is being submitted."""
    queue.on_added = lambda _queued: None
    return await add(queue, 1, ANNA, BERT, CARL)


@pytest.mark.parametrize("accepted", [(), (ANNA,), (ANNA, BERT), (ANNA, BERT, CARL)])
@pytest.mark.parametrize("last", ["refused", "waiting", "both"])
async def test_recipients_are_settled_once(
    queue: Queue, queued: QueuedMessage, told: list[Delivery], accepted: tuple[str, ...], last: str
) -> None:
    """Each recipient is reported once, keeps waiting or fails if so, also after a restart."""
    rest = (ANNA, BERT, CARL)[len(accepted) :]
    split = {"refused": len(rest), "waiting": 0, "both": 1}[last]
    refused, waiting = rest[:split], rest[split:]
    outcome = outcome_of(*accepted, refused=refused, waiting=waiting)
    await queue.settle(queued, outcome)
    assert [(delivery.event, delivery.recipients, delivery.reply) for delivery in told] == [
        *([(Event.SENT, accepted, SENT)] if accepted else []),
        *([(Event.REFUSED, refused, REFUSED.reply)] if refused else []),
    ]
    if refused:  # A listener can retry it.
        assert [told[-1].id] == [entry.failure.spooled.id for entry in queue.failed]
    assert queued.receipt
    assert queued.receipt.done() == bool(accepted or refused)
    if queued.receipt.done():
        assert receipt_of(queued) == expected_receipt(
            queued,
            accepted=accepted,
            refused=dict.fromkeys(refused, REFUSED),
            waiting=waiting,
            fault=BUSY if waiting else None,
            reply=outcome.reply,
            server_message_id="<abc@server>",
        )
    for state in (queue, await started_again(queue)):
        assert [entry.recipients for entry in state.waiting] == ([waiting] if waiting else [])
        failed = [entry.failure.spooled.entry.envelope.recipients for entry in state.failed]
        assert failed == ([refused] if refused else [])
    if waiting:
        assert read(queue.spool, queued.spooled) == content_of(1)


async def test_deferred_message_is_settled(
    queue: Queue, queued: QueuedMessage, told: list[Delivery]
) -> None:
    """Listeners get both events, and the caller that waits for the receipt the first."""
    queue.defer(queued, BUSY)
    await queue.settle(queued, outcome_of(ANNA, BERT, CARL))
    assert [delivery.event for delivery in told] == [Event.QUEUED, Event.SENT]
    assert receipt_of(queued) == expected_receipt(queued, waiting=(ANNA, BERT, CARL), fault=BUSY)


async def test_late_reply_is_reported(
    queue: Queue, queued: QueuedMessage, told: list[Delivery]
) -> None:
    """A message that is already gone was sent anyway, and this is reported."""
    await queue.cancel(queued.spooled.id)
    await queue.settle(queued, outcome_of(ANNA, BERT, CARL))
    assert [delivery.event for delivery in told] == [Event.SENT]
    assert not files(queue.spool.folder)


@pytest.mark.parametrize(("fault", "event"), [(REFUSED, Event.REFUSED), (NEEDS_UTF8, Event.FAILED)])
async def test_message_refused_for_all_fails(
    queue: Queue, queued: QueuedMessage, told: list[Delivery], fault: Fault, event: Event
) -> None:
    """The server's reply is kept in full, immediately and in the list."""
    await queue.refuse(queued, fault)
    assert [(delivery.event, delivery.fault) for delivery in told] == [(event, fault)]
    (failed,) = (await started_again(queue)).failed
    assert (failed.failure.event, failed.failure.problem) == (event, fault.problem)
    assert failed.failure.spooled == queued.spooled


async def test_settled_message_is_not_repeated_on_a_broken_disk(
    queue: Queue, queued: QueuedMessage, told: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    """No recipient gets it twice before a restart; after one, twice is better than never."""
    with broken(queue.spool.folder / WAITING), broken(queue.spool.folder / FAILED):
        await queue.settle(queued, outcome_of(ANNA, refused=(BERT,), waiting=(CARL,)))
    assert queued.recipients == (CARL,)
    assert [delivery.event for delivery in told] == [Event.SENT, Event.REFUSED]
    assert "Outbox file not updated" in caplog.text
    assert read(queue.spool, queued.spooled) == content_of(1)
    (kept,) = (await started_again(queue)).waiting
    assert kept.recipients == (ANNA, BERT, CARL)


async def test_accepted_recipients_of_a_damaged_file_are_reported(
    queue: Queue, queued: QueuedMessage, told: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    """The accepted recipients are still reported."""
    path = queue.spool.folder / WAITING / queued.spooled.name
    path.write_bytes(path.read_bytes()[:-1])
    await queue.settle(queued, outcome_of(ANNA, refused=(BERT,), waiting=(CARL,)))
    assert [delivery.event for delivery in told] == [Event.SENT, Event.REFUSED]
    assert queued.recipients == (CARL,)
    assert "its content was changed or cut off" in caplog.text


async def test_refused_message_is_not_lost_on_a_broken_disk(
    queue: Queue, queued: QueuedMessage
) -> None:
    """A message that cannot be moved is not retried before a restart, and not lost."""
    with broken(queue.spool.folder / FAILED):
        await queue.refuse(queued, REFUSED)
    assert not queue.waiting
    assert not queue.failed
    assert titles(await started_again(queue)) == ["Alarm 1"]


@pytest.fixture
async def failed(queue: Queue) -> list[str]:
    """Return the IDs of two failed messages, next to a waiting one."""
    waiting = [await add(queue, number) for number in (1, 2, 3)]
    for queued in waiting[:2]:
        await queue.refuse(queued, REFUSED)
    return [queued.spooled.id for queued in waiting[:2]]


async def test_one_failed_message_is_retried(
    queue: Queue, failed: list[str], told: list[Delivery]
) -> None:
    """It waits behind all others, with a full lifetime, and the worker is woken."""
    added: list[QueuedMessage] = []
    queue.on_added = added.append
    assert await queue.retry(failed[0]) == 1
    assert titles(queue) == ["Alarm 3", "Alarm 1"]
    assert added == queue.waiting[1:]
    assert added[0].spooled.id == failed[0]
    assert not told
    again = await started_again(queue)
    assert titles(again) == titles(queue)
    assert [entry.failure.spooled.id for entry in again.failed] == failed[1:]


async def test_all_failed_messages_are_retried(queue: Queue, failed: list[str]) -> None:
    """They wait in the order in which they failed; then none is left."""
    assert await queue.retry() == len(failed)
    assert titles(queue) == ["Alarm 3", "Alarm 1", "Alarm 2"]
    assert await queue.retry() == 0
    assert not files(queue.spool.folder / FAILED)


async def test_concurrent_retries_send_once(queue: Queue, failed: list[str]) -> None:
    """Each is sent once, however often it is requested."""
    counts = await asyncio.gather(queue.retry(), queue.retry())
    assert sum(counts) == len(failed)
    assert titles(await started_again(queue)) == ["Alarm 3", "Alarm 1", "Alarm 2"]


async def test_retry_and_cancel_do_not_conflict(queue: Queue, failed: list[str]) -> None:
    """Of two conflicting requests for a message, one succeeds, without an error."""
    gone = queue.failed[1]
    _, count = await asyncio.gather(queue.cancel(failed[1]), queue.retry())
    assert count == 1
    assert gone not in queue.failed
    assert titles(await started_again(queue)) == titles(queue) == ["Alarm 3", "Alarm 1"]


async def test_message_retried_as_its_week_ends_is_sent(
    queue: Queue, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message retried at that moment is sent, and those before it are deleted."""
    go_on = threading.Event()
    discard = queue.spool.discard
    monkeypatch.setattr(queue.spool, "discard", lambda queued: go_on.wait(5) and discard(queued))
    queue.failed[0].since, queue.failed[1].since = 0.0, 0.0
    expiring = asyncio.create_task(queue.expire(Terms(inf), KEEP_FAILED))
    await asyncio.sleep(0)
    assert await queue.retry(failed[1]) == 1
    go_on.set()
    await expiring
    assert not queue.failed
    again = await started_again(queue)
    assert titles(again) == titles(queue) == ["Alarm 3", "Alarm 2"]
    assert not again.failed


async def test_interrupted_retry_keeps_the_message(
    queue: Queue, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automation stopped in between leaves a message that is waiting or failed."""
    go_on, requeue = threading.Event(), queue.spool.requeue
    monkeypatch.setattr(queue.spool, "requeue", lambda *args: go_on.wait(5) and requeue(*args))
    retrying = asyncio.create_task(queue.retry(failed[0]))
    await until(lambda: len(queue.failed) == 1)
    retrying.cancel()
    go_on.set()
    await until(lambda: titles(queue) == ["Alarm 3", "Alarm 1"])
    assert retrying.cancelled()


async def test_interrupted_cancel_informs_the_caller(queue: Queue) -> None:
    """A caller waiting for a message gets a result, even if the canceling automation is stopped."""
    queue.on_added = lambda _queued: None
    queued = await add(queue)
    canceling = asyncio.create_task(queue.cancel(queued.spooled.id))
    await until(lambda: not queue.waiting)
    canceling.cancel()
    assert queued.receipt
    assert await asyncio.wait_for(queued.receipt, 5) == expected_receipt(queued)
    assert not files(queue.spool.folder)


async def test_unknown_messages_are_not_retried(queue: Queue, failed: list[str]) -> None:
    """A waiting message has not failed."""
    with pytest.raises(UnknownMessageError):
        await queue.retry(queue.waiting[0].spooled.id)


async def test_retry_stops_at_the_limit(queue: Queue, failed: list[str]) -> None:
    """Messages are retried up to the limit; the others stay failed."""
    queue.limits = Limits(2, 1_000_000)
    with pytest.raises(OutboxFullError):
        await queue.retry()
    assert titles(queue) == ["Alarm 3", "Alarm 1"]
    assert [entry.failure.spooled.id for entry in queue.failed] == failed[1:]


async def test_retry_on_a_broken_disk_keeps_the_message_failed(
    queue: Queue, failed: list[str]
) -> None:
    """What cannot be moved stays failed, and can be retried once the disk works."""
    with broken(queue.spool.folder / FAILED), pytest.raises(FileNotFoundError):
        await queue.retry(failed[0])
    assert titles(queue) == ["Alarm 3"]
    assert await queue.retry() == len(failed)
