"""A connection is encrypted and verified, or there is none; a failed one leaves nothing open."""

import _socket
import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
import errno
import socket
from threading import Event
import time
from typing import Any

import pytest
from pytest_socket import socket_allow_hosts

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.delivery.network import RELEASED
from custom_components.outlook_smtp.smtp.connection import StageTimer, open_socket
from custom_components.outlook_smtp.smtp.probe import probe
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.settings import Security, Server
from tests.fake_microsoft import (
    IMAP_GREETING,
    POP_GREETING,
    Certificate,
    FakeServer,
    Script,
    Step,
    blocked_port,
    closed_port,
)

from .helpers import (
    HOST,
    SHORT,
    account_on,
    commands,
    nothing_left_open,
    probe_fault,
    server_sending,
)

# The record in which a TLS 1.1 server chooses its version and a cipher.
SERVER_HELLO_11 = bytes.fromhex("160302002a 02000026 0302") + bytes(32) + bytes.fromhex("00002f00")


@pytest.fixture(params=["starttls", "tls"])
def any_fake_server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """Run a fake server of each encryption."""
    name = "tls_fake_server" if request.param == "tls" else "fake_server"
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return a list that replaces the DNS response."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    return found


def address(port: int, protocol: int = socket.IPPROTO_TCP) -> tuple[Any, ...]:
    """Return one DNS response."""
    return (socket.AF_INET, socket.SOCK_STREAM, protocol, "", (HOST, port))


async def test_connection_is_encrypted_and_verified(any_fake_server: FakeServer) -> None:
    """Both modes end in modern TLS with a server of a known name."""
    report = await probe(account_on(any_fake_server))
    assert report.server_info.tls_version in ("TLSv1.2", "TLSv1.3")
    assert report.server_info.certificate["subjectAltName"]
    await nothing_left_open(any_fake_server)


async def test_system_probes_a_silent_connection(fake_server: FakeServer) -> None:
    """It probes a silent server, and does not give it up before it has."""
    for timeout in (1.0, 120.0):
        server = Server(HOST, fake_server.port)
        with await open_socket(server, timeout, StageTimer()) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, interval, count, limit = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            )
        assert idle < 60
        assert limit > 1000 * (idle + interval * (count - 1))
        assert limit >= 1000 * timeout


async def test_ehlo_has_an_address_literal(any_fake_server: FakeServer) -> None:
    """EHLO has an address literal, which every server accepts, whatever this host's name."""
    await probe(account_on(any_fake_server))
    hellos = [line for line in commands(any_fake_server) if line.startswith("EHLO")]
    assert set(hellos) == {"EHLO [127.0.0.1]"}


async def test_ipv6_address_literal_is_tagged(socket_enabled: None) -> None:
    """An IPv6 address is tagged as such."""
    socket_allow_hosts(["::1"])
    try:
        with FakeServer(host="::1") as fake_server:
            await probe_fault(fake_server, server=Server("::1", fake_server.port))
    except OSError:
        pytest.skip("This machine has no IPv6.")
    assert commands(fake_server)[0] == "EHLO [IPv6:::1]"


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "problem", "text"),
    [
        (Certificate.EXPIRED, Problem.CERTIFICATE_EXPIRED, "certificate has expired"),
        (Certificate.WRONG_HOST, Problem.CERTIFICATE_WRONG_HOST, "mismatch"),
        (Certificate.UNTRUSTED, Problem.CERTIFICATE_UNTRUSTED, "unable to get local issuer"),
        (Certificate.OLD_TLS, Problem.TLS_TOO_OLD, "ALERT_PROTOCOL_VERSION"),
        (
            Certificate.NO_KEY_IDENTIFIER,
            Problem.CERTIFICATE_NONCOMPLIANT,
            "Missing Authority Key Identifier",
        ),
        (
            Certificate.UNCRITICAL_CONSTRAINTS,
            Problem.CERTIFICATE_NONCOMPLIANT,
            "Basic Constraints of CA cert not marked critical",
        ),
    ],
)
async def test_bad_certificates_are_rejected(
    socket_enabled: None, security: Any, certificate: Certificate, problem: Problem, text: str
) -> None:
    """A server that cannot prove its identity, or only supports broken TLS, gets no password."""
    with FakeServer(security=security, certificate=certificate) as fake_server:
        fault = await probe_fault(fake_server)
        assert (fault.kind, fault.problem) == (Kind.SETUP, problem)
        assert text in fault.detail
        assert not [line for line in commands(fake_server) if line.startswith("AUTH")]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "clock", "problem"),
    [
        (Certificate.NOT_YET_VALID, RELEASED - 1, Problem.CLOCK_WRONG),
        (Certificate.NOT_YET_VALID, RELEASED + 1e9, Problem.CLOCK_WRONG),
        (Certificate.EXPIRED, RELEASED - 1, Problem.CLOCK_WRONG),
        (Certificate.EXPIRED, RELEASED, Problem.CERTIFICATE_EXPIRED),
    ],
)
async def test_wrong_clock_is_a_temporary_fault(
    socket_enabled: None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    security: Any,
    certificate: Certificate,
    clock: float,
    problem: Problem,
) -> None:
    """A future certificate, or any one while the clock is before this release, blames the clock."""
    with FakeServer(security=security, certificate=certificate) as fake_server:
        monkeypatch.setattr(time, "time", lambda: clock)
        fault = await probe_fault(fake_server)
    assert fault.problem is problem
    assert fault.kind is (Kind.TRANSIENT if problem is Problem.CLOCK_WRONG else Kind.SETUP)


def test_release_date_is_not_in_the_future() -> None:
    """A right clock is never considered wrong."""
    assert datetime.fromtimestamp(RELEASED, UTC) == datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "kind", "problem"),
    [
        (SERVER_HELLO_11, Kind.SETUP, Problem.TLS_TOO_OLD),
        (b"\x15\x03\x03\x00\x02\x02\x28", Kind.TRANSIENT, Problem.TLS_FAILED),
        (b"220 mail.example.com ESMTP\r\n", Kind.SETUP, Problem.WRONG_SECURITY),
        (b"* OK IMAP4 ready\r\n", Kind.SETUP, Problem.WRONG_SECURITY),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Kind.SETUP, Problem.WRONG_SECURITY),
    ],
    ids=["TLS 1.1", "handshake failure", "SMTP", "IMAP", "HTTP"],
)
async def test_replies_to_a_tls_hello_are_distinguished(
    fake_server: FakeServer, answer: bytes, kind: Kind, problem: Problem
) -> None:
    """Old TLS and unencrypted replies are distinguished from other TLS failures."""
    async with server_sending(answer) as port:
        fault = await probe_fault(fake_server, server=Server(HOST, port, Security.TLS))
    assert (fault.kind, fault.problem) == (kind, problem)


async def test_password_is_not_sent_without_starttls(fake_server: FakeServer) -> None:
    """A server that does not offer encryption gets EHLO and nothing else."""
    fake_server.script = Script(offer_starttls=False)
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.STARTTLS_NOT_OFFERED)
    assert commands(fake_server) == ["EHLO [127.0.0.1]"]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step.CONNECT, Problem.CONNECTION_LOST),
        (Step.GREETING, Problem.CONNECTION_LOST),
        (Step.EHLO, Problem.CONNECTION_LOST),
        (Step.STARTTLS, Problem.CONNECTION_LOST),
        (Step.HANDSHAKE, Problem.TLS_FAILED),
        (Step.EHLO_TLS, Problem.CONNECTION_LOST),
        (Step.AUTH, Problem.CONNECTION_LOST),
    ],
)
async def test_disconnect_after_starttls_is_a_fault(
    fake_server: FakeServer, step: Step, problem: Problem, reset: bool
) -> None:
    """A disconnect at any step is temporary; during the handshake, it is about TLS."""
    fake_server.script = Script(drop=step, reset=reset)
    fault = await probe_fault(fake_server)
    if step is Step.STARTTLS and reset:
        problem = Problem.TLS_FAILED  # It looks no different from inside.
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, problem)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step.CONNECT, Problem.TLS_FAILED),
        (Step.HANDSHAKE, Problem.TLS_FAILED),
        (Step.GREETING, Problem.CONNECTION_LOST),
        (Step.EHLO_TLS, Problem.CONNECTION_LOST),
        (Step.AUTH, Problem.CONNECTION_LOST),
    ],
)
async def test_disconnect_over_implicit_tls_is_a_fault(
    tls_fake_server: FakeServer, step: Step, problem: Problem
) -> None:
    """With implicit TLS, there is only the handshake before the greeting."""
    tls_fake_server.script = Script(drop=step)
    fault = await probe_fault(tls_fake_server)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, problem)


@pytest.mark.parametrize(
    "step",
    [Step.CONNECT, Step.GREETING, Step.STARTTLS, Step.HANDSHAKE, Step.EHLO_TLS, Step.AUTH],
)
async def test_silence_is_a_timeout(any_fake_server: FakeServer, step: Step) -> None:
    """Each step has its own timeout, after which the connection is cut."""
    if any_fake_server.security == "tls" and step is Step.STARTTLS:
        step = Step.EHLO_TLS
    any_fake_server.script = Script(stall=step)
    fault = await probe_fault(any_fake_server, timeout=SHORT)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.TIMEOUT)


@pytest.mark.parametrize("step", [Step.GREETING, Step.HANDSHAKE, Step.EHLO_TLS, Step.AUTH], ids=str)
async def test_canceled_connection_leaves_nothing_open(
    any_fake_server: FakeServer, step: Step
) -> None:
    """Canceling a connection attempt leaves nothing open."""
    any_fake_server.script = Script(stall=step)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await Session.open(account_on(any_fake_server))
    await nothing_left_open(any_fake_server)


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_mailbox_server_is_recognized(any_fake_server: FakeServer, greeting: str) -> None:
    """An IMAP or POP server is recognized by its greeting, which is quoted."""
    any_fake_server.script = Script(greeting=greeting)
    fault = await probe_fault(any_fake_server)
    assert (fault.kind, fault.problem, fault.text) == (Kind.SETUP, Problem.NOT_SMTP, greeting)


async def test_closed_port_is_refused(fake_server: FakeServer) -> None:
    """A closed port refuses at once."""
    fault = await probe_fault(fake_server, server=Server(HOST, closed_port()))
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.CONNECTION_REFUSED)


async def test_blocked_port_is_a_timeout(fake_server: FakeServer) -> None:
    """A connection without a response suggests a firewall."""
    with blocked_port() as port:
        fault = await probe_fault(fake_server, server=Server(HOST, port), timeout=SHORT)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.PORT_BLOCKED)


@pytest.mark.parametrize("refuses", [True, False], ids=["refused", "blocked"])
async def test_next_address_is_tried(
    fake_server: FakeServer, addresses: list[tuple[Any, ...]], refuses: bool
) -> None:
    """A host with several addresses is reached over any that responds."""
    with blocked_port() as blocked:
        addresses += [address(closed_port() if refuses else blocked), address(fake_server.port)]
        report = await probe(account_on(fake_server))
    assert report.server_info.extensions
    await nothing_left_open(fake_server)


@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, socket.IPPROTO_UDP])
async def test_refusal_counts_among_several_errors(
    fake_server: FakeServer, addresses: list[tuple[Any, ...]], protocol: int
) -> None:
    """A refusal counts, even if another address failed in another way."""
    addresses += [address(closed_port()), address(closed_port(), protocol)]
    fault = await probe_fault(fake_server)
    assert fault.problem is Problem.CONNECTION_REFUSED


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "ä" * 60])
async def test_invalid_host_name_is_not_resolved(
    fake_server: FakeServer, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid host name is never resolved."""
    # Home Assistant's test plugin blocks name resolution; these do not reach DNS.
    monkeypatch.setattr(socket, "getaddrinfo", _socket.getaddrinfo)
    fault = await probe_fault(fake_server, server=Server(host, 587))
    assert fault == Fault(Kind.SETUP, Problem.HOST_NOT_FOUND)


async def test_unknown_host_is_a_fault(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that DNS does not know may be known once the network is back."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.HOST_NOT_FOUND)
    assert "not known" in fault.detail


async def test_silent_name_server_is_a_timeout(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DNS lookup has the same timeout as any other step."""
    end = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait())
    try:
        fault = await probe_fault(fake_server, timeout=SHORT)
    finally:
        end.set()
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.HOST_NOT_FOUND)


async def test_unreachable_network_is_recognized(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing network is distinguished from a server that is down."""

    async def unreachable(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", unreachable)
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.NETWORK_UNREACHABLE)
