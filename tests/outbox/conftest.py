"""Fixtures: a queue on disk, a fake server, and no Home Assistant."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_components.outlook_smtp.outbox.events import Delivery
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.spool import Spool
from tests.conftest import ADDRESS, PASSWORD
from tests.fake_microsoft import FakeServer

from .worker_helpers import open_queue


@pytest.fixture
def fake_server(socket_enabled: None) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox."""
    with FakeServer() as server:
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
    """Return an open, empty queue with room for all messages."""
    return await open_queue(spool_folder)


@pytest.fixture
def told(queue: Queue) -> list[Delivery]:
    """Return a list of the events that the queue's listeners receive."""
    deliveries: list[Delivery] = []
    queue.subscribe(lambda delivery: deliveries.append(delivery) if delivery else None)
    return deliveries
