"""The outbox sends over this route as over SMTP, without knowing the difference."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
import time

import aiohttp
import pytest

from custom_components.outlook_smtp.delivery.faults import Problem
from custom_components.outlook_smtp.graph import request as request_module
from custom_components.outlook_smtp.graph.route import GraphRoute
from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import Limits, QueuedMessage
from custom_components.outlook_smtp.outbox.schedule import Schedule
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.terms import Terms
from custom_components.outlook_smtp.outbox.worker import DeliveryWorker
from tests.conftest import ADDRESS, until
from tests.fake_microsoft import Cut, FakeGraph, GraphAnswer
from tests.outbox.helpers import add
from tests.outbox.worker_helpers import unpaced
from tests.promises import MOST_CONNECTIONS

from .helpers import ANNA, BERT, CARL, NEWER, TOKEN, Tokens, route_to

LOST = GraphAnswer(status=504, body="", accepts=True)


def has_lost(queued: QueuedMessage, count: int) -> bool:
    """Return whether this many answers to a message were lost."""
    return queued.lost_answers == count


@pytest.fixture
async def queue(tmp_path: Path) -> Queue:
    """Return an empty queue."""
    queue = Queue(Spool(tmp_path / "outbox"), Limits(1000, 500_000_000))
    await queue.open()
    return queue


@pytest.fixture
def told(queue: Queue) -> list[Delivery]:
    """Return the deliveries that the queue reports."""
    deliveries: list[Delivery] = []
    queue.subscribe(lambda delivery: deliveries.append(delivery) if delivery else None)
    return deliveries


@pytest.fixture
def schedule() -> Schedule:
    """Return a schedule without a rate limit."""
    return unpaced()


@pytest.fixture
async def worker(
    route: GraphRoute, queue: Queue, schedule: Schedule
) -> AsyncIterator[DeliveryWorker]:
    """Run a delivery worker over the route."""
    worker = DeliveryWorker(route, queue, terms=lambda: Terms(3600.0), schedule=schedule)
    await worker.start()
    yield worker
    await worker.stop()


async def test_an_unknown_recipient_is_refused_and_the_others_get_the_message(
    worker: DeliveryWorker, queue: Queue, told: list[Delivery], fake_graph: FakeGraph
) -> None:
    """It is retried for them immediately."""
    fake_graph.unresolved = {BERT}
    await add(queue, 1, ANNA, BERT, CARL)
    await until(lambda: not queue.waiting)
    await until(lambda: len(told) == 2)
    assert [sent.recipients for sent in fake_graph.received] == [(ANNA, CARL)]
    assert len(fake_graph.requests) == 2
    events = {delivery.event: delivery.recipients for delivery in told}
    assert events == {Event.REFUSED: (BERT,), Event.SENT: (ANNA, CARL)}
    assert told[-1].reply.startswith("Accepted (request-id ")


async def test_retry_after_delays_all_messages(
    worker: DeliveryWorker, queue: Queue, schedule: Schedule, fake_graph: FakeGraph
) -> None:
    """New mail does not shorten the wait; a user who retries now does."""
    fake_graph.answers.append(
        GraphAnswer(status=429, code="ApplicationThrottled", headers={"Retry-After": "600"})
    )
    await add(queue, 1)
    await until(lambda: schedule.busy_until > 0)
    await add(queue, 2)
    await until(lambda: not queue.under_way)
    assert schedule.due == pytest.approx(time.monotonic() + 600.0, abs=30.0)
    assert len(fake_graph.requests) == 1
    await worker.flush()
    await until(lambda: not queue.waiting)
    assert [sent.message["Subject"] for sent in fake_graph.received] == ["1", "2"]


async def test_a_lost_answer_repeats_the_same_message(
    worker: DeliveryWorker, queue: Queue, fake_graph: FakeGraph
) -> None:
    """It is sent five times at most: a duplicate is better than a lost message."""
    fake_graph.answers.extend([LOST] * 4)
    fake_graph.cuts.append(Cut(sent=10))
    queued = await add(queue, 1)
    for count in range(1, 5):
        await until(partial(has_lost, queued, count))
        await worker.flush()
    await until(lambda: not queue.waiting)
    assert len({sent.content for sent in fake_graph.received}) == 1
    assert len(fake_graph.received) == 5
    assert queued.lost_answers == 4


async def test_an_urgent_message_interrupts_the_wait_for_an_answer(
    worker: DeliveryWorker,
    queue: Queue,
    fake_graph: FakeGraph,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interrupted message is retried after it."""
    monkeypatch.setattr(request_module, "URGENT_PATIENCE", 0.3)
    fake_graph.answers.append(GraphAnswer(status=202, body="", accepts=True, hangs=True))
    stuck = await add(queue, 1)
    await until(lambda: fake_graph.received)
    await add(queue, 2)
    worker.interrupt()
    await until(lambda: not queue.waiting)
    assert [sent.message["Subject"] for sent in fake_graph.received] == ["1", "2", "1"]
    assert stuck.lost_answers == 1


async def test_a_missing_permission_holds_all_messages_until_the_user_acts(
    queue: Queue, fake_graph: FakeGraph, http: aiohttp.ClientSession
) -> None:
    """Refused credentials are not retried automatically; a passed check sends all messages."""
    fake_graph.grant(TOKEN, ADDRESS, permitted=False)
    fake_graph.grant(NEWER, ADDRESS, permitted=False)
    route = route_to(fake_graph, http, Tokens(TOKEN, NEWER))
    worker = DeliveryWorker(route, queue, terms=lambda: Terms(3600.0), schedule=unpaced())
    await worker.start()
    await add(queue, 1)
    await until(lambda: worker.hold)
    await add(queue, 2)
    await until(lambda: not queue.under_way)
    assert worker.refusal
    assert worker.refusal.problem is Problem.NO_SEND_PERMISSION
    assert await worker.check(unless_refused=True) is None
    assert len(fake_graph.requests) == 2
    fake_graph.grant(NEWER, ADDRESS)
    assert await worker.check()
    await until(lambda: not queue.waiting)
    await worker.stop()
    assert len(fake_graph.received) == 2


async def test_urgent_message_overtakes_in_a_second_request(
    worker: DeliveryWorker, queue: Queue, fake_graph: FakeGraph
) -> None:
    """It is the second of the four that Microsoft allows, and there is never a third one."""
    fake_graph.answers.append(GraphAnswer(status=202, body="", accepts=True, hangs=True))
    await add(queue, 1)
    await until(lambda: fake_graph.received)
    for number in (2, 3):
        await add(queue, number, urgent=True)
    await until(lambda: len(queue.waiting) == 1)
    assert len(fake_graph.requests) == 3
    fake_graph.go_on()
    await until(lambda: not queue.waiting)
    assert [mail.message["Subject"] for mail in fake_graph.received] == ["1", "2", "3"]
    assert fake_graph.most_requests == fake_graph.connections == MOST_CONNECTIONS


async def test_token_is_fetched_ahead_of_the_message(
    worker: DeliveryWorker, queue: Queue, fake_graph: FakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is: aiohttp opens connections for requests only."""
    fetched: list[str] = []

    async def get(tokens: Tokens) -> str:
        """Return a token."""
        fetched.append(TOKEN)
        return TOKEN

    monkeypatch.setattr(Tokens, "get", get)
    worker.open_ahead()
    await until(lambda: fetched)
    assert fake_graph.connections == 0
    await add(queue, 1)
    await until(lambda: not queue.waiting)
    assert len(fake_graph.requests) == 1
