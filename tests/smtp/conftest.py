"""Fixtures: a fake server, and no Home Assistant."""

from collections.abc import Iterator

import pytest

from tests.conftest import ADDRESS, PASSWORD
from tests.fake_microsoft import FakeServer


@pytest.fixture
def fake_server(socket_enabled: None) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox."""
    with FakeServer() as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server


@pytest.fixture
def tls_fake_server(socket_enabled: None) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox that uses implicit TLS."""
    with FakeServer(security="tls") as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server
