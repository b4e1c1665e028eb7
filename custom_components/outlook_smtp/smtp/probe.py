"""The connection check of an account, with a diagnosis that a person can act on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
import ssl
from typing import Final

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .connection import StageTimer, open_socket
from .replies import clean
from .session import ServerInfo, Session
from .settings import PORTS, SERVERS, Account, AccountKind, Security, Server

OTHER_PORT_TIMEOUT: Final = 5.0  # Seconds; the user has already waited for the first port.
PEEK_TIMEOUT: Final = 5.0

_MAILBOX_GREETINGS: Final = ("* OK", "* PREAUTH", "* BYE", "+OK", "-ERR")  # IMAP and POP.


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a successful check; `timings` holds seconds by stage."""

    server_info: ServerInfo
    timings: dict[Stage, float]


async def probe(account: Account, on_stage: Callable[[Stage], None] | None = None) -> Report:
    """Connect, encrypt, verify, sign in and quit.

    Args:
        account: The account to check.
        on_stage: Called with every stage that begins.

    Raises:
        SubmissionError: With the fault of the stage that failed.

    """
    timer = StageTimer(on_stage)
    async with await Session.open(account, timer) as session:
        return Report(session.server_info, timer.timings)


async def diagnose(fault: Fault, server: Server, tls_context: ssl.SSLContext) -> Fault:
    """Diagnose a fault on the way to the server and return its real cause.

    Args:
        fault: The fault of a check.
        server: The server that was checked.
        tls_context: Verifies the server if the diagnosis needs TLS.

    """
    if fault.problem is Problem.PORT_BLOCKED:
        return await _try_other_port(fault, server)
    if fault.problem is Problem.NOT_SMTP:
        return replace(fault, hint=submission_host(server.host))
    if fault.problem is Problem.WRONG_SECURITY:
        return await _inspect_port(fault, server, None)
    if fault.problem is Problem.TIMEOUT and server.security is Security.STARTTLS:
        return await _inspect_port(fault, server, tls_context)
    return fault


def submission_host(host: str) -> str:
    """Return the submission host for a host that serves IMAP or POP."""
    host = host.lower()
    if host in ("outlook.office365.com", "outlook.office.com"):
        return SERVERS[AccountKind.WORK].host
    if f".{host}".endswith((".outlook.com", ".hotmail.com", ".live.com")):
        return SERVERS[AccountKind.PERSONAL].host
    for prefix in ("imap.", "imaps.", "pop.", "pop3."):
        if host.startswith(prefix):
            return f"smtp.{host.removeprefix(prefix)}"
    return host


async def _try_other_port(fault: Fault, server: Server) -> Fault:
    """Try the port of the other encryption if the first did not answer."""
    other = Security.TLS if server.security is Security.STARTTLS else Security.STARTTLS
    if (port := PORTS[other]) == server.port:
        return fault
    try:
        (
            await open_socket(Server(server.host, port, other), OTHER_PORT_TIMEOUT, StageTimer())
        ).close()
    except SubmissionError:
        return fault
    return replace(fault, problem=Problem.PORT_BLOCKED_OTHER_OPEN, hint=str(port))


async def _inspect_port(fault: Fault, server: Server, tls_context: ssl.SSLContext | None) -> Fault:
    """Distinguish a mailbox server from a submission server with the other encryption.

    With a TLS context, the port is assumed to use TLS from the first byte, without one, to start
    unencrypted.
    """
    try:
        line = await _first_line(server, tls_context)
    except ssl.SSLCertVerificationError:
        return replace(fault, kind=Kind.SETUP, problem=Problem.WRONG_SECURITY)
    except OSError, SubmissionError, ValueError:  # The last one is an incomplete line.
        return fault
    if line.startswith(_MAILBOX_GREETINGS):
        return Fault(Kind.SETUP, Problem.NOT_SMTP, text=line, hint=submission_host(server.host))
    if line:
        return Fault(Kind.SETUP, Problem.WRONG_SECURITY, text=line)
    return fault


async def _first_line(server: Server, tls_context: ssl.SSLContext | None) -> str:
    """Return the first line that a server sends unprompted."""
    async with asyncio.timeout(PEEK_TIMEOUT):
        sock = await open_socket(server, PEEK_TIMEOUT, StageTimer())
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls_context, server_hostname=server.host if tls_context else None
        )
        try:
            return clean((await reader.readline()).decode("utf-8", "replace"))
        finally:
            writer.transport.abort()
