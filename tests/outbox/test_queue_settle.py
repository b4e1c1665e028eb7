"""Messages are settled, for all or some, and the failed ones sent again: everybody is told."""

import asyncio
from math import inf
import threading

import pytest

from custom_components.outlook_smtp.outbox.delivery import Delivery, Event, Verdict
from custom_components.outlook_smtp.outbox.item import (
    Item,
    Limits,
    OutboxFullError,
    UnknownMessageError,
)
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import FAILED, WAITING
from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.smtp.submission import Outcome, Refusal
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
    files,
    read,
    started_again,
    titles,
)

UNSPEAKABLE = Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
SENT = "2.0.0 OK <abc@server>"


def outcome_of(
    *accepted: str, refused: tuple[str, ...] = (), waiting: tuple[str, ...] = ()
) -> Outcome:
    """Return who got a message, who never will, and who has to wait."""
    refusals = [Refusal(name, REFUSED) for name in refused]
    refusals += [Refusal(name, BUSY) for name in waiting]
    return Outcome(accepted, tuple(refusals), SENT if accepted else "", "<abc@server>")


@pytest.fixture
async def item(queue: Queue) -> Item:
    """Return a message to three people that is being handed to the server."""
    queue.on_added = lambda _item: None
    return await add(queue, 1, ANNA, BERT, CARL)


@pytest.mark.parametrize("accepted", [(), (ANNA,), (ANNA, BERT), (ANNA, BERT, CARL)])
@pytest.mark.parametrize("last", ["refused", "waiting", "both"])
async def test_settled(
    queue: Queue, item: Item, told: list[Delivery], accepted: tuple[str, ...], last: str
) -> None:
    """Each recipient is told of once, waits or failed if so, and after a restart just the same."""
    rest = (ANNA, BERT, CARL)[len(accepted) :]
    split = {"refused": len(rest), "waiting": 0, "both": 1}[last]
    refused, waiting = rest[:split], rest[split:]
    outcome = outcome_of(*accepted, refused=refused, waiting=waiting)
    await queue.settle(item, outcome)
    assert [(delivery.event, delivery.recipients, delivery.reply) for delivery in told] == [
        *([(Event.SENT, accepted, SENT)] if accepted else []),
        *([(Event.REFUSED, refused, REFUSED.reply)] if refused else []),
    ]
    if refused:  # Whoever hears of it can have it sent again.
        assert [told[-1].id] == [entry.failure.spooled.id for entry in queue.failed]
    assert item.verdict
    assert item.verdict.done() == bool(accepted or refused)
    if item.verdict.done():
        assert item.verdict.result() == Verdict(
            accepted=accepted,
            refused=tuple(Refusal(name, REFUSED) for name in refused),
            waiting=waiting,
            fault=BUSY if waiting else None,
            reply=outcome.reply,
            message_id="<abc@server>",
        )
    for state in (queue, await started_again(queue)):
        assert [entry.recipients for entry in state.items] == ([waiting] if waiting else [])
        failed = [entry.failure.spooled.record.envelope.recipients for entry in state.failed]
        assert failed == ([refused] if refused else [])
    if waiting:
        assert read(queue.spool, item.spooled) == content_of(1)


async def test_settled_after_it_was_put_off(queue: Queue, item: Item, told: list[Delivery]) -> None:
    """Who had to wait for the message hears of both, and whoever waits for the verdict of one."""
    queue.put_off(item, BUSY)
    await queue.settle(item, outcome_of(ANNA, BERT, CARL))
    assert [delivery.event for delivery in told] == [Event.QUEUED, Event.SENT]
    assert item.verdict
    assert item.verdict.result() == Verdict(waiting=(ANNA, BERT, CARL), fault=BUSY)


async def test_an_answer_that_comes_late(queue: Queue, item: Item, told: list[Delivery]) -> None:
    """A message that is no longer there was sent all the same, and that is told."""
    await queue.cancel(item.spooled.id)
    await queue.settle(item, outcome_of(ANNA, BERT, CARL))
    assert [delivery.event for delivery in told] == [Event.SENT]
    assert not files(queue.spool.folder)


@pytest.mark.parametrize(
    ("fault", "event"), [(REFUSED, Event.REFUSED), (UNSPEAKABLE, Event.FAILED)]
)
async def test_refused_for_all(
    queue: Queue, item: Item, told: list[Delivery], fault: Fault, event: Event
) -> None:
    """The server's word is told from what cannot be said to it, at once and in the list."""
    await queue.refuse(item, fault)
    assert [(delivery.event, delivery.fault) for delivery in told] == [(event, fault)]
    (failed,) = (await started_again(queue)).failed
    assert (failed.failure.event, failed.failure.problem) == (event, fault.problem)
    assert failed.failure.spooled == item.spooled


async def test_settled_on_a_broken_disk(
    queue: Queue, item: Item, told: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gets the message twice before a restart; after it rather twice than never."""
    with broken(queue.spool.folder / WAITING), broken(queue.spool.folder / FAILED):
        await queue.settle(item, outcome_of(ANNA, refused=(BERT,), waiting=(CARL,)))
    assert item.recipients == (CARL,)
    assert [delivery.event for delivery in told] == [Event.SENT, Event.REFUSED]
    assert "The outbox on disk is behind" in caplog.text
    assert read(queue.spool, item.spooled) == content_of(1)
    (kept,) = (await started_again(queue)).items
    assert kept.recipients == (ANNA, BERT, CARL)


async def test_settled_when_the_file_was_damaged(
    queue: Queue, item: Item, told: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    """Those who got the message in time are told so all the same."""
    path = queue.spool.folder / WAITING / item.spooled.name
    path.write_bytes(path.read_bytes()[:-1])
    await queue.settle(item, outcome_of(ANNA, refused=(BERT,), waiting=(CARL,)))
    assert [delivery.event for delivery in told] == [Event.SENT, Event.REFUSED]
    assert item.recipients == (CARL,)
    assert "its content was changed or cut off" in caplog.text


async def test_refused_on_a_broken_disk(queue: Queue, item: Item) -> None:
    """A message that cannot be moved is not tried again before a restart, and not lost."""
    with broken(queue.spool.folder / FAILED):
        await queue.refuse(item, REFUSED)
    assert not queue.items
    assert not queue.failed
    assert titles(await started_again(queue)) == ["Alarm 1"]


@pytest.fixture
async def failed(queue: Queue) -> list[str]:
    """Return the ids of two failed messages, one that waits beside them."""
    items = [await add(queue, number) for number in (1, 2, 3)]
    for item in items[:2]:
        await queue.refuse(item, REFUSED)
    return [item.spooled.id for item in items[:2]]


async def test_one_is_tried_again(queue: Queue, failed: list[str], told: list[Delivery]) -> None:
    """It waits behind all others, for its whole lifetime, and whoever takes it away is told."""
    added: list[Item] = []
    queue.on_added = added.append
    assert await queue.retry(failed[0]) == 1
    assert titles(queue) == ["Alarm 3", "Alarm 1"]
    assert added == queue.items[1:]
    assert added[0].spooled.id == failed[0]
    assert not told
    again = await started_again(queue)
    assert titles(again) == titles(queue)
    assert [entry.failure.spooled.id for entry in again.failed] == failed[1:]


async def test_all_are_tried_again(queue: Queue, failed: list[str]) -> None:
    """They wait in the order in which they failed; then there is none left."""
    assert await queue.retry() == len(failed)
    assert titles(queue) == ["Alarm 3", "Alarm 1", "Alarm 2"]
    assert await queue.retry() == 0
    assert not files(queue.spool.folder / FAILED)


async def test_tried_again_twice_at_once(queue: Queue, failed: list[str]) -> None:
    """Each is sent once, however often somebody asks for it."""
    counts = await asyncio.gather(queue.retry(), queue.retry())
    assert sum(counts) == len(failed)
    assert titles(await started_again(queue)) == ["Alarm 3", "Alarm 1", "Alarm 2"]


async def test_tried_again_while_it_is_forgotten(queue: Queue, failed: list[str]) -> None:
    """Of two who want different things of a message one has his way, and nothing fails."""
    gone = queue.failed[1]
    _, count = await asyncio.gather(queue.cancel(failed[1]), queue.retry())
    assert count == 1
    assert gone not in queue.failed
    assert titles(await started_again(queue)) == titles(queue) == ["Alarm 3", "Alarm 1"]


async def test_tried_again_as_its_week_ends(
    queue: Queue, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody sends again at that moment is sent, and those before it are forgotten."""
    go_on = threading.Event()
    discard = queue.spool.discard
    monkeypatch.setattr(queue.spool, "discard", lambda item: go_on.wait(5) and discard(item))
    queue.failed[0].born, queue.failed[1].born = 0.0, 0.0
    expiring = asyncio.create_task(queue.expire(inf, KEEP_FAILED))
    await asyncio.sleep(0)
    assert await queue.retry(failed[1]) == 1
    go_on.set()
    await expiring
    assert not queue.failed
    again = await started_again(queue)
    assert titles(again) == titles(queue) == ["Alarm 3", "Alarm 2"]
    assert not again.failed


async def test_stopped_while_one_is_tried_again(
    queue: Queue, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automation that is stopped in the middle leaves a message that waits or has failed."""
    go_on, requeue = threading.Event(), queue.spool.requeue
    monkeypatch.setattr(queue.spool, "requeue", lambda *args: go_on.wait(5) and requeue(*args))
    retrying = asyncio.create_task(queue.retry(failed[0]))
    await until(lambda: len(queue.failed) == 1)
    retrying.cancel()
    go_on.set()
    await until(lambda: titles(queue) == ["Alarm 3", "Alarm 1"])
    assert retrying.cancelled()


async def test_stopped_while_one_is_canceled(queue: Queue) -> None:
    """Who waits for a message is answered, even if the automation that cancels it is stopped."""
    queue.on_added = lambda _item: None
    item = await add(queue)
    assert item.verdict
    canceling = asyncio.create_task(queue.cancel(item.spooled.id))
    await until(lambda: not queue.items)
    canceling.cancel()
    assert await asyncio.wait_for(item.verdict, 5) == Verdict()
    assert not files(queue.spool.folder)


async def test_unknown_ones_are_not_tried(queue: Queue, failed: list[str]) -> None:
    """What waits has not failed."""
    with pytest.raises(UnknownMessageError):
        await queue.retry(queue.items[0].spooled.id)


async def test_no_room_to_try_again(queue: Queue, failed: list[str]) -> None:
    """As many wait as have room; the others stay failed."""
    queue.limits = Limits(2, 1_000_000)
    with pytest.raises(OutboxFullError):
        await queue.retry()
    assert titles(queue) == ["Alarm 3", "Alarm 1"]
    assert [entry.failure.spooled.id for entry in queue.failed] == failed[1:]


async def test_tried_again_on_a_broken_disk(queue: Queue, failed: list[str]) -> None:
    """What cannot be moved stays failed, and can be tried once the disk is well."""
    with broken(queue.spool.folder / FAILED), pytest.raises(FileNotFoundError):
        await queue.retry(failed[0])
    assert titles(queue) == ["Alarm 3"]
    assert await queue.retry() == len(failed)
