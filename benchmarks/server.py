"""The fakes of Microsoft's server that everything is sent to, in a process of their own."""

from typing import Final

from tests.fake_microsoft import FakeServer, Script

from . import ADDRESS, PASSWORD

SERVERS: Final[list[FakeServer]] = []


def start() -> tuple[list[int], str]:
    """Start two, the second one without CHUNKING; return their ports and their authority."""
    for without in ((), ("CHUNKING",)):
        server = FakeServer()
        server.script = Script(without=without)
        server.add_mailbox(ADDRESS, PASSWORD)
        server.start()
        SERVERS.append(server)
    return [server.port for server in SERVERS], str(SERVERS[0].ca_file)


def count() -> int:
    """Return how many messages they have received since the last time."""
    received = 0
    for server in SERVERS:
        received += len(server.received)
        server.received.clear()
        server.sessions.clear()
    return received
