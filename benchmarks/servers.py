"""The fake servers that all messages are sent to, in a separate process."""

from contextlib import ExitStack
from typing import Final

from tests.fake_microsoft import FakeGraph, FakeServer, MailReceiver, Script
from tests.fake_microsoft.ports import blocked_port, closed_port

ADDRESS: Final = "bench@outlook.com"
PASSWORD: Final = "app-password"
TOKEN: Final = "access-token"
# The servers: the second one lacks CHUNKING, the fourth refuses connections, the last is silent.
SMTP, LINE_BY_LINE, GRAPH, DEAD, SILENT = range(5)
RUNNING: Final[list[MailReceiver]] = []
SOCKETS: Final = ExitStack()


def start() -> tuple[list[int], str]:
    """Start the servers, and return their ports and the file of their CA."""
    for without in ((), ("CHUNKING",)):
        server = FakeServer()
        server.script = Script(without=without)
        server.add_mailbox(ADDRESS, PASSWORD)
        RUNNING.append(server)
    graph = FakeGraph()
    graph.grant(TOKEN, ADDRESS)
    RUNNING.append(graph)
    for each in RUNNING:
        each.start()
    silent = SOCKETS.enter_context(blocked_port())
    return [*(each.port for each in RUNNING), closed_port(), silent], str(server.ca_file)


def count(recipient: str) -> int:
    """Return how many messages a recipient was sent since the last call."""
    received = [message.recipients for server in RUNNING for message in server.received]
    for server in RUNNING:
        server.received.clear()
    return sum(recipient in recipients for recipients in received)
