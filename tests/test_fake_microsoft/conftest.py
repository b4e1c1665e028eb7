"""Fixtures for the tests of the fake server."""

from collections.abc import Iterator

import pytest

from tests.fake_microsoft import FakeServer

from .client import ALIAS, ALICE, PASSWORD, TOKEN


@pytest.fixture
def fake_server(socket_enabled: None) -> Iterator[FakeServer]:
    """Run a fake server with one mailbox."""
    with FakeServer() as server:
        server.add_mailbox(ALICE, PASSWORD, aliases=(ALIAS,))
        server.access_tokens[TOKEN] = ALICE
        yield server
