"""Fixtures: a fake Microsoft Graph over TLS, without Home Assistant."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from custom_components.outlook_smtp.graph.route import GraphRoute
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeGraph

from .helpers import TOKEN, Tokens, route_to


@pytest.fixture
def fake_graph(socket_enabled: None) -> Iterator[FakeGraph]:
    """Run a fake Microsoft Graph with one mailbox, and a token that permits sending."""
    with FakeGraph() as server:
        server.grant(TOKEN, ADDRESS)
        yield server


@pytest.fixture
async def http(socket_enabled: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Provide an HTTP session that verifies nothing, because the route does."""
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
def tokens() -> Tokens:
    """Return the account's tokens: a single valid one."""
    return Tokens(TOKEN)


@pytest.fixture
def route(fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens) -> GraphRoute:
    """Return the account's route to the fake."""
    return route_to(fake_graph, http, tokens)
