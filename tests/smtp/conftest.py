"""Fixtures of this room: a stand-in in nobody's place, and no Home Assistant."""

from collections.abc import Iterator

import pytest

from tests.conftest import ADDRESS, PASSWORD
from tests.standin import StandIn


@pytest.fixture
def standin(socket_enabled: None) -> Iterator[StandIn]:
    """Run a stand-in with one mailbox."""
    with StandIn() as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server


@pytest.fixture
def tls_standin(socket_enabled: None) -> Iterator[StandIn]:
    """Run a stand-in with one mailbox that speaks TLS from the first byte."""
    with StandIn(security="tls") as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        yield server
