"""Fixtures of this room: a queue on disk, a stand-in in nobody's place, and no Home Assistant."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_components.outlook_smtp.outbox.delivery import Delivery
from custom_components.outlook_smtp.outbox.item import Limits
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from tests.conftest import ADDRESS, PASSWORD
from tests.standin import StandIn


@pytest.fixture
def standin(socket_enabled: None) -> Iterator[StandIn]:
    """Run a stand-in with one mailbox."""
    with StandIn() as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server


@pytest.fixture
def spool_folder(tmp_path: Path) -> Path:
    """Return the folder of an account's outbox, which does not exist yet."""
    return tmp_path / "outbox"


@pytest.fixture
def spool(spool_folder: Path) -> Spool:
    """Return an empty spool, opened."""
    spool = Spool(spool_folder)
    spool.open()
    return spool


@pytest.fixture
async def queue(spool_folder: Path) -> Queue:
    """Return an empty queue with room for all, opened."""
    queue = Queue(Spool(spool_folder), Limits(1000, 500_000_000))
    await queue.open()
    return queue


@pytest.fixture
def told(queue: Queue) -> list[Delivery]:
    """Return what the queue's listeners are told of messages, as it comes."""
    deliveries: list[Delivery] = []
    queue.subscribe(lambda delivery: deliveries.append(delivery) if delivery else None)
    return deliveries
