"""Open an encrypted connection to a submission server, stage by stage."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
import logging
import socket
import ssl
import time
from typing import Any, Final, override

import aiohappyeyeballs

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.secrets import Secrets
from .fault_mapping import faults_of
from .protocol_log import LoggingSMTP
from .settings import Security, Server

_LOGGER = logging.getLogger(__name__)

HAPPY_EYEBALLS_DELAY: Final = 0.25  # Seconds; the value that RFC 8305 recommends.
# Probe a silent connection after 20 s; it is dead after three probes without an answer. Linux
# counts no probes but applies the user timeout, which is as long.
KEEP_ALIVE: Final = {
    "TCP_KEEPIDLE": 20,  # Seconds.
    "TCP_KEEPINTVL": 5,  # Seconds.
    "TCP_KEEPCNT": 3,
}
DEAD_AFTER: Final = 34.0  # Seconds; slightly less, because the system checks every five.


@dataclass(slots=True)
class StageTimer:
    """Reports each new stage to a listener and keeps how long it took.

    `timings` holds seconds by stage.
    """

    on_stage: Callable[[Stage], None] | None = None
    timings: dict[Stage, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Report a stage, time it, and raise exceptions inside it as its fault."""
        if self.on_stage and stage not in self.timings:
            self.on_stage(stage)
        started = time.monotonic()
        try:
            with faults_of(stage):
                yield
        finally:
            _LOGGER.debug("%s took %.0f ms", stage, (time.monotonic() - started) * 1000)
            self.timings[stage] = self.timings.get(stage, 0.0) + time.monotonic() - started


class Client(LoggingSMTP):
    """An SMTP client that closes its connection at once.

    A clean TLS shutdown waits up to 30 seconds for close_notify from a server that may be gone.
    """

    @override
    def close(self) -> None:
        """Abort the connection."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


async def connect(
    server: Server,
    tls_context: ssl.SSLContext,
    timeout: float,
    timer: StageTimer,
    secrets: Secrets | None = None,
) -> Client:
    """Return a client with an encrypted connection, a verified server and EHLO done.

    Args:
        server: Where to connect and how to encrypt the connection.
        tls_context: Verifies the server's certificate and name.
        timeout: The longest wait for each stage, in seconds.
        timer: Receives every stage.
        secrets: Secrets sent to this server before, which it may echo.

    Raises:
        SubmissionError: With the fault of the stage that failed; nothing is left open.

    """
    sock = await open_socket(server, timeout, timer)
    with ExitStack() as undo:
        undo.callback(sock.close)
        client = Client(
            hostname=server.host,
            port=None,
            sock=sock,
            local_hostname=_client_name(sock),
            use_tls=server.security is Security.TLS,
            start_tls=False,
            tls_context=tls_context,
            timeout=timeout,
            secrets=secrets,
        )
        undo.callback(client.close)
        await _encrypt(client, server.security, timer)
        undo.pop_all()
    return client


async def _encrypt(client: Client, security: Security, timer: StageTimer) -> None:
    """Encrypt the connection from the start or with STARTTLS, then send EHLO."""
    if security is Security.STARTTLS:
        await _upgrade(client, timer)
    else:
        with timer.stage(Stage.CERTIFICATE):
            await client.connect()
    with timer.stage(Stage.GREETING):
        await client.ehlo()


async def open_socket(server: Server, timeout: float, timer: StageTimer) -> socket.socket:
    """Resolve the host and connect to the first address that answers (RFC 8305)."""
    with timer.stage(Stage.RESOLVE):
        async with asyncio.timeout(timeout):
            addresses = await asyncio.get_running_loop().getaddrinfo(
                server.host, server.port, type=socket.SOCK_STREAM
            )
    with timer.stage(Stage.CONNECT):
        async with asyncio.timeout(timeout):
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, interleave=1
            )
    _enable_keepalive(sock, timeout)
    return sock


def _enable_keepalive(sock: socket.socket, timeout: float) -> None:
    """Let the system detect a dead connection, where it can.

    A connection is also dead if the server accepts no data for long (RFC 5482), but not before the
    user's timeout.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    user_timeout = round(max(DEAD_AFTER, timeout) * 1000)
    for name, value in {**KEEP_ALIVE, "TCP_USER_TIMEOUT": user_timeout}.items():
        with suppress(AttributeError, OSError):  # Not every system knows all of these options.
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _upgrade(client: Client, timer: StageTimer) -> None:
    """Read the greeting and encrypt the connection with STARTTLS (RFC 3207)."""
    with timer.stage(Stage.GREETING):
        await client.connect()
    with timer.stage(Stage.STARTTLS):
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise SubmissionError(Fault(Kind.SETUP, Problem.STARTTLS_NOT_OFFERED))
    with timer.stage(Stage.CERTIFICATE):
        await client.starttls()


def _client_name(sock: socket.socket) -> str:
    """Return the client's address literal (RFC 5321, section 4.1.3).

    A host name may have characters that Microsoft refuses (an underscore, a trailing dot), and
    finding it needs a DNS lookup.
    """
    address: tuple[Any, ...] = sock.getsockname()
    host = str(address[0]).partition("%")[0]
    return f"[IPv6:{host}]" if sock.family is socket.AF_INET6 else f"[{host}]"
