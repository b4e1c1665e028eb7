"""The fake servers that all messages are sent to, in a separate process."""

from typing import Final

from tests.fake_microsoft import FakeGraph, FakeServer, Script

from . import ADDRESS, PASSWORD, TOKEN

SERVERS: Final[list[FakeServer]] = []
GRAPH: Final = FakeGraph()


def start() -> tuple[list[int], str]:
    """Start two servers, the second without CHUNKING, and Graph; return their ports and CA."""
    for without in ((), ("CHUNKING",)):
        server = FakeServer()
        server.script = Script(without=without)
        server.add_mailbox(ADDRESS, PASSWORD)
        server.start()
        SERVERS.append(server)
    GRAPH.grant(TOKEN, ADDRESS)
    GRAPH.start()
    return [server.port for server in (*SERVERS, GRAPH)], str(SERVERS[0].ca_file)


def count() -> int:
    """Return how many messages they have received since the last call."""
    received = len(GRAPH.received)
    GRAPH.received.clear()
    GRAPH.requests.clear()
    for server in SERVERS:
        received += len(server.received)
        server.received.clear()
        server.sessions.clear()
    return received
