"""Shared helpers: an account, a message, and their results."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.delivery.faults import Fault, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.credentials import Password
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.settings import Account, Security, Server
from tests.conftest import ADDRESS, PASSWORD, until
from tests.fake_microsoft import FakeServer

HOST = "127.0.0.1"
ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"
CONTENT = f"From: {ADDRESS}\r\nTo: {ANNA}\r\nSubject: Test\r\n\r\nIt works.\r\n".encode()
UNKNOWN = "550 5.1.1 User unknown"
LONG = 10.0  # Seconds that no test reaches.
SHORT = 0.2


def account_on(fake_server: FakeServer, **changes: Any) -> Account:
    """Return an account on a fake server."""
    values: dict[str, Any] = {
        "address": ADDRESS,
        "server": Server(HOST, fake_server.port, Security(fake_server.security)),
        "credentials": Password(ADDRESS, PASSWORD),
        "tls_context": fake_server.client_context(),
        "timeout": LONG,
    }
    values |= changes
    patience = dict.fromkeys(("content_timeout", "final_timeout"), values["timeout"])
    return Account(**patience | values)


def envelope_to(*recipients: str, sender: str = ADDRESS, utf8: bool = False) -> Envelope:
    """Return an envelope from the account's own address."""
    return Envelope(sender, recipients, utf8)


async def send(fake_server: FakeServer, *recipients: str, **changes: Any) -> Outcome:
    """Submit the message over a new connection."""
    async with await Session.open(account_on(fake_server, **changes)) as session:
        return await session.submit(envelope_to(*recipients or (ANNA,)), Content.of(CONTENT))


async def send_fault(fake_server: FakeServer, *recipients: str, **changes: Any) -> Fault:
    """Submit the message, and return why it was refused for all recipients."""
    with pytest.raises(SubmissionError) as caught:
        await send(fake_server, *recipients, **changes)
    await nothing_left_open(fake_server)
    return caught.value.fault


async def probe_fault(fake_server: FakeServer, **changes: Any) -> Fault:
    """Check the account, and return the fault of the check."""
    with pytest.raises(SubmissionError) as caught:
        await probe(account_on(fake_server, **changes))
    await nothing_left_open(fake_server)
    return caught.value.fault


async def nothing_left_open(fake_server: FakeServer, *, of: int = 0) -> None:
    """Wait for the server to see every connection closed, of at least a number."""
    await until(lambda: not fake_server.open_connections and fake_server.connections >= of)


def grow_impatient(session: Session) -> None:
    """Shorten the timeout of an open session."""
    session._account = replace(session._account, timeout=SHORT)


def commands(fake_server: FakeServer, session: int = -1) -> list[str]:
    """Return a client's commands in one of the sessions."""
    return [line for speaker, line in fake_server.sessions[session] if speaker == "C"]


@asynccontextmanager
async def server_saying(words: bytes, *, at_once: bool = False) -> AsyncIterator[int]:
    """Yield the port of a server that sends a text, at once or after input, and no more."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not at_once:
            await reader.read(1)
        writer.write(words)
        try:
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, HOST) as server:
        yield server.sockets[0].getsockname()[1]
