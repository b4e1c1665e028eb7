"""Ports without a server: one that refuses connections, one that never responds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
import socket

LOOPBACK = "127.0.0.1"

# A backlog of 0 still accepts one connection; the others ensure that it is full.
QUEUE_FILLERS = 4


def closed_port() -> int:
    """Return a loopback port that refuses connections."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def blocked_port() -> Iterator[int]:
    """Yield a loopback port on which connections time out, as behind a firewall.

    Linux drops the first packet of a connection when the accept queue is full.
    """
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(QUEUE_FILLERS):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
