"""Fixtures of the tests of the stand-in."""

from collections.abc import Iterator

import pytest

from tests.standin import StandIn

from .client import ALIAS, ALICE, PASSWORD, TOKEN


@pytest.fixture
def standin(socket_enabled: None) -> Iterator[StandIn]:
    """Run a stand-in with one mailbox."""
    with StandIn() as server:
        server.add_mailbox(ALICE, PASSWORD, aliases=(ALIAS,))
        server.access_tokens[TOKEN] = ALICE
        yield server
