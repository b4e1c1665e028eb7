"""A check tells how far it came, and a closer look tells what was really met."""

import pytest

from custom_components.outlook_smtp.smtp import probe as probe_module
from custom_components.outlook_smtp.smtp.account import PORTS, Account, Security, Server
from custom_components.outlook_smtp.smtp.faults import (
    Fault,
    Kind,
    Problem,
    Stage,
    SubmissionError,
)
from custom_components.outlook_smtp.smtp.probe import explain, probe, right_host
from tests.standin import (
    IMAP_GREETING,
    POP_GREETING,
    Certificate,
    Script,
    StandIn,
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
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a closer look wait for a silent server no longer than a test can."""
    monkeypatch.setattr(probe_module, "OTHER_PORT_TIMEOUT", SHORT)
    monkeypatch.setattr(probe_module, "PEEK_TIMEOUT", SHORT)


async def diagnosis(account: Account, standin: StandIn) -> Fault:
    """Check an account, and look closer at what the check met."""
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    fault = await explain(caught.value.fault, account.server, account.tls_context)
    await nothing_left_open(standin)
    return fault


async def test_report_over_starttls(standin: StandIn) -> None:
    """A check names every stage once, in order, times it and keeps what the server can do."""
    stages: list[Stage] = []
    report = await probe(account_on(standin), stages.append)
    assert stages == list(report.timings) == STARTTLS_STAGES
    assert all(0 <= seconds < 5 for seconds in report.timings.values())
    assert report.server_info.extensions["auth"] == "LOGIN XOAUTH2"
    assert report.server_info.size_limit == 157_286_400
    assert commands(standin)[-1] == "QUIT"
    await nothing_left_open(standin)


async def test_report_over_tls(tls_standin: StandIn) -> None:
    """With TLS from the first byte the certificate comes before the greeting."""
    stages: list[Stage] = []
    report = await probe(account_on(tls_standin), stages.append)
    assert stages == list(report.timings) == TLS_STAGES


async def test_the_stage_that_failed_is_the_last(standin: StandIn) -> None:
    """After a fault no other stage is announced."""
    standin.script = Script(offer_starttls=False)
    stages: list[Stage] = []
    with pytest.raises(SubmissionError):
        await probe(account_on(standin), stages.append)
    assert stages == STARTTLS_STAGES[:4]


@pytest.mark.parametrize("security", Security)
async def test_blocked_port_and_the_other_answers(
    standin: StandIn, security: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one port is blocked and the other is not, the other is named."""
    other = Security.TLS if security is Security.STARTTLS else Security.STARTTLS
    monkeypatch.setitem(PORTS, other, standin.port)
    with blocked_port() as port:
        account = account_on(standin, server=Server(HOST, port, security), timeout=SHORT)
        fault = await diagnosis(account, standin)
    assert (fault.problem, fault.hint) == (Problem.PORT_BLOCKED_OTHER_OPEN, str(standin.port))
    await nothing_left_open(standin, of=1)


@pytest.mark.usefixtures("hurry")
async def test_both_ports_blocked(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other port does not answer either, it stays at that."""
    server = Server(HOST, standin.port)
    context = standin.client_context()
    with blocked_port() as port:
        for other in (port, closed_port(), server.port):
            monkeypatch.setitem(PORTS, Security.TLS, other)
            assert await explain(BLOCKED, server, context) is BLOCKED
    assert standin.connections == 0


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_server_for_reading_mail_in_clear(standin: StandIn, greeting: str) -> None:
    """A server for reading mail is recognised from either security, and the right host named."""
    standin.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, standin.port, security)
        fault = await diagnosis(account_on(standin, server=server), standin)
        expected = Fault(Kind.SETUP, Problem.NOT_SMTP, text=greeting, hint=right_host(HOST))
        assert fault == expected


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
async def test_server_for_reading_mail_behind_tls(tls_standin: StandIn, greeting: str) -> None:
    """The same goes for its TLS port, which says nothing to who waits for a greeting."""
    tls_standin.script = Script(greeting=greeting)
    for security in Security:
        server = Server(HOST, tls_standin.port, security)
        account = account_on(tls_standin, server=server, timeout=SHORT)
        fault = await diagnosis(account, tls_standin)
        assert (fault.problem, fault.text) == (Problem.NOT_SMTP, greeting)


async def test_tls_at_a_starttls_port(standin: StandIn) -> None:
    """TLS at a port that wants STARTTLS does not match, and the greeting shows it."""
    server = Server(HOST, standin.port, Security.TLS)
    fault = await diagnosis(account_on(standin, server=server), standin)
    assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)
    assert fault.text.startswith("220 ")


@pytest.mark.parametrize("certificate", [Certificate.VALID, Certificate.UNTRUSTED])
async def test_starttls_at_a_tls_port(socket_enabled: None, certificate: Certificate) -> None:
    """STARTTLS at a port that wants TLS does not match, whoever answers there."""
    with StandIn(security="tls", certificate=certificate) as standin:
        server = Server(HOST, standin.port)
        fault = await diagnosis(account_on(standin, server=server, timeout=SHORT), standin)
        assert (fault.kind, fault.problem) == (Kind.SETUP, Problem.WRONG_SECURITY)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("security", Security)
async def test_silence_stays_silence(standin: StandIn, security: Security) -> None:
    """A server that says nothing in clear or over TLS leaves nothing to explain."""
    standin.script = Script(silent=True)
    server = Server(HOST, standin.port, security)
    assert await explain(SILENT, server, standin.client_context()) is SILENT
    await nothing_left_open(standin)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("words", [b"", b"x" * 100_000], ids=["none", "without an end"])
async def test_a_port_that_cannot_be_understood(standin: StandIn, words: bytes) -> None:
    """A first line that never ends, or never comes, does not change the finding."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    async with server_saying(words, at_once=True) as port:
        server = Server(HOST, port, Security.TLS)
        assert await explain(fault, server, standin.client_context()) is fault


async def test_a_port_that_hangs_up(standin: StandIn) -> None:
    """Neither does an end of the stream, nor a port that has closed since."""
    fault = Fault(Kind.SETUP, Problem.WRONG_SECURITY)
    server = Server(HOST, standin.port, Security.TLS)
    standin.script = Script(drop=Step.CONNECT)
    assert await explain(fault, server, standin.client_context()) is fault
    standin.stop()
    assert await explain(fault, server, standin.client_context()) is fault


async def test_other_faults_need_no_explanation(standin: StandIn) -> None:
    """What the server itself has said is not second-guessed."""
    fault = Fault(Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED, 535, "5.7.139")
    assert await explain(fault, Server(HOST, standin.port), standin.client_context()) is fault
    assert standin.connections == 0


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
