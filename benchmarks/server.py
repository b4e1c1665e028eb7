"""The fake servers that all messages are sent to, in a separate process."""

from typing import Final

from tests.fake_microsoft import FakeServer, Script

from . import ADDRESS, PASSWORD

SERVERS: Final[list[FakeServer]] = []


def start() -> tuple[list[int], str]:
    """Start two servers, the second without CHUNKING; return their ports and their CA."""
    for without in ((), ("CHUNKING",)):
        server = FakeServer()
        server.script = Script(without=without)
        server.add_mailbox(ADDRESS, PASSWORD)
        server.start()
        SERVERS.append(server)
    return [server.port for server in SERVERS], str(SERVERS[0].ca_file)


def count() -> int:
    """Return how many messages they have received since the last call."""
    received = 0
    for server in SERVERS:
        received += len(server.received)
        server.received.clear()
        server.sessions.clear()
    return received
