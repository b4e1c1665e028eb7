"""A check reports how far it got, and a diagnosis finds the real cause."""

import pytest

from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
    Stage,
    SubmissionError,
)
from custom_components.outlook_smtp.smtp import probe as probe_module
from custom_components.outlook_smtp.smtp.probe import diagnose, probe, submission_host
from custom_components.outlook_smtp.smtp.settings import PORTS, Account, Security, Server
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

from .helpers import HOST, SHORT, account_on, commands, nothing_left_open, server_sending

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
    """Shorten the diagnosis timeout for a silent server."""
    monkeypatch.setattr(probe_module, "OTHER_PORT_TIMEOUT", SHORT)
    monkeypatch.setattr(probe_module, "PEEK_TIMEOUT", SHORT)


async def diagnosis(account: Account, fake_server: FakeServer) -> Fault:
    """Check an account, and diagnose the fault of the check."""
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    fault = await diagnose(caught.value.fault, account.server, account.tls_context)
    await nothing_left_open(fake_server)
    return fault


async def test_check_reports_all_stages_over_starttls(fake_server: FakeServer) -> None:
    """A check reports every stage once, in order, times it, and keeps the server's extensions."""
    stages: list[Stage] = []
    report = await probe(account_on(fake_server), stages.append)
    assert stages == list(report.timings) == STARTTLS_STAGES
    assert all(0 <= seconds < 5 for seconds in report.timings.values())
    assert report.server_info.extensions["auth"] == "LOGIN XOAUTH2"
    assert report.server_info.size_limit == 157_286_400
    assert commands(fake_server)[-1] == "QUIT"
    await nothing_left_open(fake_server)


async def test_check_reports_all_stages_over_implicit_tls(tls_fake_server: FakeServer) -> None:
    """With implicit TLS, the certificate comes before the greeting."""
    stages: list[Stage] = []
    report = await probe(account_on(tls_fake_server), stages.append)
    assert stages == list(report.timings) == TLS_STAGES


async def test_failed_stage_is_the_last(fake_server: FakeServer) -> None:
    """After a fault, no other stage is reported."""
    fake_server.script = Script(offer_starttls=False)
    stages: list[Stage] = []
    with pytest.raises(SubmissionError):
        await probe(account_on(fake_server), stages.append)
    assert stages == STARTTLS_STAGES[:4]


@pytest.mark.parametrize("security", Security)
async def test_other_port_is_suggested(
    fake_server: FakeServer, security: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only one port is blocked, the other is suggested."""
    other = Security.TLS if security is Security.STARTTLS else Security.STARTTLS
    monkeypatch.setitem(PORTS, other, fake_server.port)
    with blocked_port() as port:
        account = account_on(fake_server, server=Server(HOST, port, security), timeout=SHORT)
        fault = await diagnosis(account, fake_server)
    assert (fault.problem, fault.hint) == (Problem.PORT_BLOCKED_OTHER_OPEN, str(fake_server.port))
    await nothing_left_open(fake_server, of=1)


@pytest.mark.usefixtures("short_timeouts")
async def test_both_ports_may_be_blocked(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the other port does not respond either, the fault stays the same."""
    server = Server(HOST, fake_server.port)
    context = fake_server.client_context()
    with blocked_port() as port:
        for other in (port, closed_port(), server.port):
            monkeypatch.setitem(PORTS, Security.TLS, other)
            assert await diagnose(BLOCKED, server, context) is BLOCKED
    assert fake_server.connections == 0


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_mailbox_server_is_recognized_unencrypted(
    fake_server: FakeServer, greeting: str
) -> None:
    """A mailbox server is recognized with either encryption, and the right host is suggested."""
    fake_server.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, fake_server.port, security)
        fault = await diagnosis(account_on(fake_server, server=server), fake_server)
        expected = Fault(Kind.SETUP, Problem.NOT_SMTP, text=greeting, hint=submission_host(HOST))
        assert fault == expected


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_mailbox_server_is_recognized_over_tls(
    tls_fake_server: FakeServer, greeting: str
) -> None:
    """The same applies to its TLS port, which sends nothing to a client waiting for a greeting."""
    tls_fake_server.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, tls_fake_server.port, security)
        account = account_on(tls_fake_server, server=server, timeout=SHORT)
        fault = await diagnosis(account, tls_fake_server)
        assert (fault.problem, fault.text) == (Problem.NOT_SMTP, greeting)


async def test_implicit_tls_on_a_starttls_port_is_a_mismatch(fake_server: FakeServer) -> None:
    """Implicit TLS on a STARTTLS port does not match, and the greeting shows it."""
    server = Server(HOST, fake_server.port, Security.TLS)
    fault = await diagnosis(account_on(fake_server, server=server), fake_server)
    assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)
    assert fault.text.startswith("220 ")


@pytest.mark.parametrize("certificate", [Certificate.VALID, Certificate.UNTRUSTED])
async def test_starttls_on_a_tls_port_is_a_mismatch(
    socket_enabled: None, certificate: Certificate
) -> None:
    """STARTTLS on an implicit TLS port does not match, whatever server it is."""
    with FakeServer(security="tls", certificate=certificate) as fake_server:
        server = Server(HOST, fake_server.port)
        fault = await diagnosis(account_on(fake_server, server=server, timeout=SHORT), fake_server)
        assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("security", Security)
async def test_silence_stays_silence(fake_server: FakeServer, security: Security) -> None:
    """A server that sends nothing either way leaves nothing to diagnose."""
    fake_server.script = Script(silent=True)
    server = Server(HOST, fake_server.port, security)
    assert await diagnose(SILENT, server, fake_server.client_context()) is SILENT
    await nothing_left_open(fake_server)


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("words", [b"", b"x" * 100_000], ids=["none", "without an end"])
async def test_unreadable_port_changes_nothing(fake_server: FakeServer, words: bytes) -> None:
    """A first line that never ends, or never comes, does not change the result."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    async with server_sending(words, at_once=True) as port:
        server = Server(HOST, port, Security.TLS)
        assert await diagnose(fault, server, fake_server.client_context()) is fault


async def test_closed_port_changes_nothing(fake_server: FakeServer) -> None:
    """Neither does an end of the stream, nor a port that has closed since."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    server = Server(HOST, fake_server.port, Security.TLS)
    fake_server.script = Script(drop=Step.CONNECT)
    assert await diagnose(fault, server, fake_server.client_context()) is fault
    fake_server.stop()
    assert await diagnose(fault, server, fake_server.client_context()) is fault


async def test_other_faults_are_not_diagnosed(fake_server: FakeServer) -> None:
    """The server's own replies are not second-guessed."""
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
def test_submission_host_is_suggested(host: str, right: str) -> None:
    """For a host that serves mailboxes, the submission host is suggested."""
    assert submission_host(host) == right
