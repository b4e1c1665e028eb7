"""Ports without a server."""

import socket

import pytest

from tests.fake_microsoft import blocked_port, closed_port


@pytest.mark.usefixtures("socket_enabled")
def test_closed_port_refuses_connections() -> None:
    """Connections are refused."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port()), timeout=5)


@pytest.mark.usefixtures("socket_enabled")
def test_blocked_port_does_not_respond() -> None:
    """Connections time out, one after the other."""
    with blocked_port() as port:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), timeout=0.1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
