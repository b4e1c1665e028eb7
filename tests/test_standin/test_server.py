"""The server as a whole: its life, and what it offers to tests."""

import asyncio
import gc
import socket
import sys
import threading

import aiosmtplib
from freezegun import freeze_time
import pytest

from tests.standin import Script, StandIn, Step, closed_port

from .client import ALICE, PASSWORD, Wire, letter, logged_in

pytestmark = pytest.mark.usefixtures("socket_enabled")


def test_life() -> None:
    """A server can be stopped and started again on its port, and leaves no thread behind."""
    before = threading.active_count()
    standin = StandIn()
    assert standin.port == 0
    with standin:
        port = standin.port
        assert port
        with Wire(port) as wire:
            assert wire.read()
            with pytest.raises(RuntimeError):
                standin.start()
            standin.stop()
            assert wire.read() == []
        with pytest.raises(ConnectionRefusedError):
            Wire(port)
    assert threading.active_count() == before
    with standin:
        assert standin.port == port
        with Wire(port) as wire:
            assert wire.read()
    standin.stop()
    assert threading.active_count() == before


def test_a_port_that_is_taken() -> None:
    """Starting tells what is wrong, and may be tried again."""
    with StandIn(closed_port()) as first:
        second = StandIn(first.port)
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            second.start()
    with second:
        assert second.port == first.port


def test_stopping_in_the_middle(standin: StandIn) -> None:
    """Stopping ends conversations wherever they are."""
    standin.script_next(Script(stall=Step.GREETING))
    standin.script_next(Script(stall=Step.HANDSHAKE))
    with Wire(standin.port), Wire(standin.port) as shaking, Wire.signed_in(standin):
        shaking.read()
        shaking.ask("EHLO client.example")
        assert shaking.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
        assert standin.open_connections == 3
        standin.stop()
    assert standin.open_connections == 0
    assert standin.connections == 3
    gc.collect()


@pytest.mark.parametrize("farewell", [None, "421 4.4.2 Connection timed out"])
def test_hang_up(standin: StandIn, farewell: str | None) -> None:
    """A test may end all sessions as idle ones end."""
    with Wire.signed_in(standin) as wire:
        standin.hang_up(farewell)
        assert wire.read() == ([farewell] if farewell else [])
        assert wire.read() == []


def test_wait_for_mail(standin: StandIn) -> None:
    """Waiting returns all mail so far, or gives up."""
    with pytest.raises(TimeoutError, match="0 of 1 messages"):
        standin.wait_for_mail(timeout=0.01)
    with logged_in(standin) as client:
        client.send_message(letter(text="one"))
        client.send_message(letter(text="two"))
    assert len(standin.wait_for_mail(2)) == 2
    assert standin.received[1].message.get_content() == "two\r\n"


async def test_from_an_event_loop(standin: StandIn) -> None:
    """An asynchronous client and an asynchronous wait, all at localhost."""
    waiting = asyncio.create_task(standin.async_wait_for_mail())
    await aiosmtplib.send(
        letter(),
        hostname="127.0.0.1",
        port=standin.port,
        username=ALICE,
        password=PASSWORD,
        start_tls=True,
        tls_context=standin.client_context(),
        local_hostname="client.example",
    )
    mail = (await waiting)[0]
    assert mail.sender == ALICE


def test_frozen_time(standin: StandIn) -> None:
    """The clock of the server goes on while a test stops its own."""
    with freeze_time("2026-12-24"):
        standin.script = Script(refusal_delay=0.05)
        with Wire(standin.port) as wire:
            assert "24 Dec 2026" in wire.read()[0]
            assert wire.ask("NONSENSE").startswith("500 ")
        with logged_in(standin) as client:
            client.send_message(letter())
        assert f"{standin.wait_for_mail()[0].at:%Y-%m-%d}" == "2026-12-24"


def test_who_comes_at_the_last_moment_is_not_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends while somebody is let in leaves no socket behind, which would be told."""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    for _ in range(50):
        with StandIn() as server:
            socket.create_connection(("127.0.0.1", server.port)).close()
    gc.collect()
    assert told == []
