"""A check tells how far it came, and a closer look tells what was really met."""

import pytest

from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
    Stage,
    SubmissionError,
)
from custom_components.outlook_smtp.smtp import probe as probe_module
from custom_components.outlook_smtp.smtp.account import PORTS, Account, Security, Server
from custom_components.outlook_smtp.smtp.probe import diagnose, probe, right_host
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

from .helpers import HOST, SHORT, account_on, commands, nothing_left_open, server_saying

STARTTLS_STAGES = [
    Stage.RESOLVE,
    Stage.CONNECT,
    Stage.GREETING,
    Stage.STARTTLS,
    Stage.CERTIFICATE,
    Stage.AUTH,
]
TLS_STAGES = [Stage.RESOLVE, Stage.CONNECT, Stage.CERTIFICATE, Stage.GREETING, Stage.AUTH]
BLOCKED = Fault(Kind.TRANSIENT, Problem.PORT_BLOCKED)
SILENT = Fault(Kind.TRANSIENT, Problem.TIMEOUT)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a closer look wait for a silent server no longer than a test can."""
    monkeypatch.setattr(probe_module, "OTHER_PORT_TIMEOUT", SHORT)
    monkeypatch.setattr(probe_module, "PEEK_TIMEOUT", SHORT)


async def diagnosis(account: Account, fake_server: FakeServer) -> Fault:
    """Check an account, and look closer at what the check met."""
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    fault = await diagnose(caught.value.fault, account.server, account.tls_context)
    await nothing_left_open(fake_server)
    return fault


async def test_report_over_starttls(fake_server: FakeServer) -> None:
    """A check names every stage once, in order, times it and keeps what the server can do."""
    stages: list[Stage] = []
    report = await probe(account_on(fake_server), stages.append)
    assert stages == list(report.timings) == STARTTLS_STAGES
    assert all(0 <= seconds < 5 for seconds in report.timings.values())
    assert report.server_info.extensions["auth"] == "LOGIN XOAUTH2"
    assert report.server_info.size_limit == 157_286_400
    assert commands(fake_server)[-1] == "QUIT"
    await nothing_left_open(fake_server)


async def test_report_over_tls(tls_fake_server: FakeServer) -> None:
    """With TLS from the first byte the certificate comes before the greeting."""
    stages: list[Stage] = []
    report = await probe(account_on(tls_fake_server), stages.append)
    assert stages == list(report.timings) == TLS_STAGES


async def test_the_stage_that_failed_is_the_last(fake_server: FakeServer) -> None:
    """After a fault no other stage is announced."""
    fake_server.script = Script(offer_starttls=False)
    stages: list[Stage] = []
    with pytest.raises(SubmissionError):
        await probe(account_on(fake_server), stages.append)
    assert stages == STARTTLS_STAGES[:4]


@pytest.mark.parametrize("security", Security)
async def test_blocked_port_and_the_other_answers(
    fake_server: FakeServer, security: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one port is blocked and the other is not, the other is named."""
    other = Security.TLS if security is Security.STARTTLS else Security.STARTTLS
    monkeypatch.setitem(PORTS, other, fake_server.port)
    with blocked_port() as port:
        account = account_on(fake_server, server=Server(HOST, port, security), timeout=SHORT)
        fault = await diagnosis(account, fake_server)
    assert (fault.problem, fault.hint) == (Problem.PORT_BLOCKED_OTHER_OPEN, str(fake_server.port))
    await nothing_left_open(fake_server, of=1)


@pytest.mark.usefixtures("short_timeouts")
async def test_both_ports_blocked(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other port does not answer either, it stays at that."""
    server = Server(HOST, fake_server.port)
    context = fake_server.client_context()
    with blocked_port() as port:
        for other in (port, closed_port(), server.port):
            monkeypatch.setitem(PORTS, Security.TLS, other)
            assert await diagnose(BLOCKED, server, context) is BLOCKED
    assert fake_server.connections == 0


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_server_for_reading_mail_in_clear(fake_server: FakeServer, greeting: str) -> None:
    """A server for reading mail is recognised from either security, and the right host named."""
    fake_server.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, fake_server.port, security)
        fault = await diagnosis(account_on(fake_server, server=server), fake_server)
        expected = Fault(Kind.SETUP, Problem.NOT_SMTP, text=greeting, hint=right_host(HOST))
        assert fault == expected


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_server_for_reading_mail_behind_tls(
    tls_fake_server: FakeServer, greeting: str
) -> None:
    """The same goes for its TLS port, which says nothing to who waits for a greeting."""
    tls_fake_server.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, tls_fake_server.port, security)
        account = account_on(tls_fake_server, server=server, timeout=SHORT)
        fault = await diagnosis(account, tls_fake_server)
        assert (fault.problem, fault.text) == (Problem.NOT_SMTP, greeting)


async def test_tls_at_a_starttls_port(fake_server: FakeServer) -> None:
    """TLS at a port that wants STARTTLS does not match, and the greeting shows it."""
    server = Server(HOST, fake_server.port, Security.TLS)
    fault = await diagnosis(account_on(fake_server, server=server), fake_server)
    assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)
    assert fault.text.startswith("220 ")


@pytest.mark.parametrize("certificate", [Certificate.VALID, Certificate.UNTRUSTED])
async def test_starttls_at_a_tls_port(socket_enabled: None, certificate: Certificate) -> None:
    """STARTTLS at a port that wants TLS does not match, whoever answers there."""
    with FakeServer(security="tls", certificate=certificate) as fake_server:
        server = Server(HOST, fake_server.port)
        fault = await diagnosis(account_on(fake_server, server=server, timeout=SHORT), fake_server)
        assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("security", Security)
async def test_silence_stays_silence(fake_server: FakeServer, security: Security) -> None:
    """A server that says nothing in clear or over TLS leaves nothing to explain."""
    fake_server.script = Script(silent=True)
    server = Server(HOST, fake_server.port, security)
    assert await diagnose(SILENT, server, fake_server.client_context()) is SILENT
    await nothing_left_open(fake_server)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("words", [b"", b"x" * 100_000], ids=["none", "without an end"])
async def test_a_port_that_cannot_be_understood(fake_server: FakeServer, words: bytes) -> None:
    """A first line that never ends, or never comes, does not change the finding."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    async with server_saying(words, at_once=True) as port:
        server = Server(HOST, port, Security.TLS)
        assert await diagnose(fault, server, fake_server.client_context()) is fault


async def test_a_port_that_hangs_up(fake_server: FakeServer) -> None:
    """Neither does an end of the stream, nor a port that has closed since."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    server = Server(HOST, fake_server.port, Security.TLS)
    fake_server.script = Script(drop=Step.CONNECT)
    assert await diagnose(fault, server, fake_server.client_context()) is fault
    fake_server.stop()
    assert await diagnose(fault, server, fake_server.client_context()) is fault


async def test_other_faults_need_no_explanation(fake_server: FakeServer) -> None:
    """What the server itself has said is not second-guessed."""
    fault = Fault(Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED, 535, "5.7.139")
    assert (
        await diagnose(fault, Server(HOST, fake_server.port), fake_server.client_context()) is fault
    )
    assert fake_server.connections == 0


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("outlook.office365.com", "smtp.office365.com"),
        ("Outlook.Office.com", "smtp.office365.com"),
        ("imap-mail.outlook.com", "smtp-mail.outlook.com"),
        ("pop-mail.outlook.com", "smtp-mail.outlook.com"),
        ("outlook.com", "smtp-mail.outlook.com"),
        ("imap.hotmail.com", "smtp-mail.outlook.com"),
        ("pop3.live.com", "smtp-mail.outlook.com"),
        ("imap.olive.com", "smtp.olive.com"),
        ("imaps.example.com", "smtp.example.com"),
        ("pop.example.com", "smtp.example.com"),
        ("mail.example.com", "mail.example.com"),
    ],
)
def test_right_host(host: str, right: str) -> None:
    """For a host that serves readers the host that takes mail is named."""
    assert right_host(host) == right
