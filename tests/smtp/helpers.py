"""Shared helpers: an account, a message, and their results."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.delivery.faults import Fault, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.credentials import Password
from custom_components.outlook_smtp.smtp.pipeline import Pipeline
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.protocol_log import ProtocolLog
from custom_components.outlook_smtp.smtp.session import ServerInfo, Session
from custom_components.outlook_smtp.smtp.settings import Account, Security, Server
from custom_components.outlook_smtp.smtp.transaction import Transaction
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
        return await submit_over(session, *recipients or (ANNA,))


async def submit_over(
    session: Session,
    *recipients: str,
    content: bytes | Content = CONTENT,
    lockstep: bool = False,
    **envelope: Any,
) -> Outcome:
    """Submit a message over an open session."""
    content = Content.of(content) if isinstance(content, bytes) else content
    return await Transaction(
        session, envelope_to(*recipients, **envelope), content, lockstep=lockstep
    ).run()


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


def shorten_timeouts(session: Session) -> None:
    """Shorten the timeout of an open session."""
    session.account = replace(session.account, timeout=SHORT)


def commands(fake_server: FakeServer, session: int = -1) -> list[str]:
    """Return a client's commands in one of the sessions."""
    return [line for speaker, line in fake_server.sessions[session] if speaker == "C"]


@asynccontextmanager
async def server_sending(words: bytes, *, at_once: bool = False) -> AsyncIterator[int]:
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


@asynccontextmanager
async def pipeline_to(
    *replies: str, after: int = 1, then: Iterable[str] = ()
) -> AsyncIterator[Pipeline]:
    """Connect to a server that reads `after` bytes, sends all its replies and disconnects.

    The replies in `then` answer the next lines, one by one.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(after)
        writer.write("".join(f"{reply}\r\n" for reply in replies).encode())
        if then:
            await reader.readline()
        for reply in then:
            await reader.readline()
            writer.write(f"{reply}\r\n".encode())
        writer.write_eof()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, HOST) as server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, port)
        pipeline = Pipeline(transport, ProtocolLog())
        transport.set_protocol(pipeline)
        try:
            yield pipeline
        finally:
            pipeline.close()


@asynccontextmanager
async def session_to(
    fake_server: FakeServer,
    *replies: str,
    after: int = 1,
    extensions: Collection[str] = ("pipelining", "chunking", "enhancedstatuscodes"),
) -> AsyncIterator[Session]:
    """Open a session over such a connection, for an account on another server."""
    info = ServerInfo(dict.fromkeys(extensions, ""), None, tls_version="", certificate={})
    async with (
        pipeline_to(*replies, after=after) as pipeline,
        Session(account_on(fake_server), info, pipeline) as session,
    ):
        yield session
