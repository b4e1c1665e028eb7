"""The complete server: its thread, its port, its mailboxes and the accepted messages."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import ssl
from typing import Literal

from .certificates import Certificate, authority
from .line import Line
from .mailbox import Mailbox
from .receiver import MailReceiver
from .script import Script
from .session import Conversation

MICROSOFT_SIZE = 157_286_400


class FakeServer(MailReceiver):
    """A local server that behaves like Microsoft's submission servers."""

    def __init__(
        self,
        port: int = 0,
        security: Literal["starttls", "tls"] = "starttls",
        host: str = "127.0.0.1",
        certificate: Certificate = Certificate.VALID,
        size: int = MICROSOFT_SIZE,
    ) -> None:
        """Prepare the server; port 0 picks a free port at the first start and keeps it."""
        super().__init__("fake-submission", port)
        self.host = "localhost"
        self.security = security
        self.size = size
        self.mailboxes: dict[str, Mailbox] = {}
        self.access_tokens: dict[str, str] = {}
        self.script = Script()
        self.sessions: list[list[tuple[str, str]]] = []
        self.most_connections = 0  # That were open at the same time.
        self._bind = host
        self._tls = authority().server_context(certificate)
        self._next_scripts: deque[Script] = deque()
        self._conversations: list[Line] = []
        self._silences: list[asyncio.Future[None]] = []

    # Life

    @asynccontextmanager
    async def listening(self, stopping: asyncio.Event) -> AsyncIterator[int]:
        """Listen, yield the port, and close all connections at the end."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Conversation(self, self._tls), self._bind, self.port, reuse_address=True
        )
        yield server.sockets[0].getsockname()[1]
        # A new connection becomes a conversation within three turns of the loop; a server closed
        # before that would leave it open.
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        await self._hang_up(None)
        server.abort_clients()  # Connections that have not acknowledged the end of TLS.
        await server.wait_closed()

    # What tests and people do with it

    @property
    def ca_file(self) -> Path:
        """Return the PEM file of the server's CA."""
        return authority().file

    @property
    def connections(self) -> int:
        """Return the number of connections made so far."""
        return len(self.sessions)

    @property
    def open_connections(self) -> int:
        """Return the number of open connections."""
        return len(self._conversations)

    def client_context(self) -> ssl.SSLContext:
        """Return a client's TLS context that trusts the server."""
        return authority().client_context()

    def add_mailbox(
        self,
        address: str,
        password: str,
        aliases: tuple[str, ...] = (),
        script: Script | None = None,
    ) -> Mailbox:
        """Add an account."""
        mailbox = Mailbox(
            address=address, password=password, aliases=aliases, script=script or Script()
        )
        self.mailboxes[address.lower()] = mailbox
        return mailbox

    def show(self, certificate: Certificate) -> None:
        """Present another certificate from now on."""
        self._tls = authority().server_context(certificate)

    def script_next(self, script: Script, connections: int = 1) -> None:
        """Apply a script to the next connections only."""
        self._next_scripts.extend([script] * connections)

    def go_on(self) -> None:
        """End all stalls."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._end_silences)

    def hang_up(self, last_reply: str | None = None) -> None:
        """Close all connections as if they were idle: with a 421 reply, or without any."""
        if self._loop:
            asyncio.run_coroutine_threadsafe(self._hang_up(last_reply), self._loop).result()

    # What the conversations need

    def welcome(self, conversation: Line) -> Script | None:
        """Register a new conversation, and return its own script."""
        self._conversations.append(conversation)
        self.most_connections = max(self.most_connections, len(self._conversations))
        self.sessions.append(conversation.transcript)
        return self._next_scripts.popleft() if self._next_scripts else None

    def forget(self, conversation: Line) -> None:
        """Unregister a conversation."""
        if conversation in self._conversations:
            self._conversations.remove(conversation)

    def rank(self, conversation: Line) -> int:
        """Return how many open sessions of the same account are older."""
        same = [other for other in self._conversations if other.account is conversation.account]
        return same.index(conversation)

    def find_mailbox(self, name: str) -> Mailbox | None:
        """Find the mailbox of an address."""
        return next((box for box in self.mailboxes.values() if box.may_send_as(name)), None)

    async def silence(self) -> None:
        """Wait until `go_on` is called."""
        end = asyncio.get_running_loop().create_future()
        self._silences.append(end)
        await end

    def _end_silences(self) -> None:
        """Resume all stalled conversations that are still connected."""
        for end in self._silences:
            if not end.done():
                end.set_result(None)
        self._silences.clear()

    async def _hang_up(self, last_reply: str | None) -> None:
        """Close all connections, and without a last reply wait for the conversations to end."""
        tasks = [conversation.hang_up(last_reply) for conversation in tuple(self._conversations)]
        # A 421 reply over TLS needs an acknowledgment, and the client may be waiting for this call.
        if last_reply is None:
            await asyncio.gather(*filter(None, tasks), return_exceptions=True)
