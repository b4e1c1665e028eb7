"""The complete server: its life cycle and its interface for tests."""

import asyncio
import gc
import socket
import sys
import threading

import aiosmtplib
from freezegun import freeze_time
import pytest

from tests.fake_microsoft import FakeServer, Script, Step, closed_port

from .client import ALICE, PASSWORD, Pipeline, logged_in, outgoing

pytestmark = pytest.mark.usefixtures("socket_enabled")


def test_server_can_be_restarted() -> None:
    """A server can be stopped and restarted on its port, and leaves no thread behind."""
    before = threading.active_count()
    fake_server = FakeServer()
    assert fake_server.port == 0
    with fake_server:
        port = fake_server.port
        assert port
        with Pipeline(port) as pipeline:
            assert pipeline.read()
            with pytest.raises(RuntimeError):
                fake_server.start()
            fake_server.stop()
            assert pipeline.read() == []
        with pytest.raises(ConnectionRefusedError):
            Pipeline(port)
    assert threading.active_count() == before
    with fake_server:
        assert fake_server.port == port
        with Pipeline(port) as pipeline:
            assert pipeline.read()
    fake_server.stop()
    assert threading.active_count() == before


def test_port_in_use_is_an_error() -> None:
    """Starting raises an error, and can be tried again."""
    with FakeServer(closed_port()) as first:
        second = FakeServer(first.port)
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            second.start()
    with second:
        assert second.port == first.port


def test_stopping_ends_conversations(fake_server: FakeServer) -> None:
    """Stopping ends conversations wherever they are."""
    fake_server.script_next(Script(stall=Step.GREETING))
    fake_server.script_next(Script(stall=Step.HANDSHAKE))
    with (
        Pipeline(fake_server.port),
        Pipeline(fake_server.port) as shaking,
        Pipeline.signed_in(fake_server),
    ):
        shaking.read()
        shaking.ask("EHLO client.example")
        assert shaking.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
        assert fake_server.open_connections == 3
        fake_server.stop()
    assert fake_server.open_connections == 0
    assert fake_server.connections == 3
    gc.collect()


@pytest.mark.parametrize("last_reply", [None, "421 4.4.2 Connection timed out"])
def test_sessions_can_be_closed(fake_server: FakeServer, last_reply: str | None) -> None:
    """A test can close all sessions like idle ones."""
    with Pipeline.signed_in(fake_server) as pipeline:
        fake_server.hang_up(last_reply)
        assert pipeline.read() == ([last_reply] if last_reply else [])
        assert pipeline.read() == []


def test_waiting_for_mail_returns_or_times_out(fake_server: FakeServer) -> None:
    """Waiting returns all mail so far, or times out."""
    with pytest.raises(TimeoutError, match="0 of 1 messages"):
        fake_server.wait_for_mail(timeout=0.01)
    with logged_in(fake_server) as client:
        client.send_message(outgoing(text="one"))
        client.send_message(outgoing(text="two"))
    assert len(fake_server.wait_for_mail(2)) == 2
    assert fake_server.received[1].message.get_content() == "two\r\n"


async def test_server_works_with_an_event_loop(fake_server: FakeServer) -> None:
    """An asynchronous client and an asynchronous wait, all on localhost."""
    waiting = asyncio.create_task(fake_server.async_wait_for_mail())
    await aiosmtplib.send(
        outgoing(),
        hostname="127.0.0.1",
        port=fake_server.port,
        username=ALICE,
        password=PASSWORD,
        start_tls=True,
        tls_context=fake_server.client_context(),
        local_hostname="client.example",
    )
    mail = (await waiting)[0]
    assert mail.sender == ALICE


def test_clock_of_the_server_is_not_frozen(fake_server: FakeServer) -> None:
    """The server's clock continues while a test freezes its own."""
    with freeze_time("2026-12-24"):
        fake_server.script = Script(refusal_delay=0.05)
        with Pipeline(fake_server.port) as pipeline:
            assert "24 Dec 2026" in pipeline.read()[0]
            assert pipeline.ask("NONSENSE").startswith("500 ")
        with logged_in(fake_server) as client:
            client.send_message(outgoing())
        assert f"{fake_server.wait_for_mail()[0].at:%Y-%m-%d}" == "2026-12-24"


def test_last_connection_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops while a client is signed in leaves no socket open."""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    for _ in range(50):
        with FakeServer() as server:
            socket.create_connection(("127.0.0.1", server.port)).close()
    gc.collect()
    assert told == []
