"""Every refusal of the server is read as the problem that it means."""

from hypothesis import given, strategies as st
import pytest

from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem, Stage, SubmissionError
from custom_components.outlook_smtp.smtp.replies import clean, read_reply
from tests.promises import MAX_TEXT
from tests.standin import CATALOGUE, Row, Script, StandIn, Step

from .helpers import nothing_left_open, send

PROBLEMS = {
    # Signing in.
    "basic_auth_disabled": Problem.BASIC_AUTH_DISABLED,
    "tenant_disabled": Problem.SMTP_DISABLED_TENANT,
    "mailbox_disabled": Problem.SMTP_DISABLED_MAILBOX,
    "credentials_incorrect": Problem.INVALID_CREDENTIALS,
    "criteria_not_met": Problem.CONDITIONAL_ACCESS,
    "security_defaults": Problem.SECURITY_DEFAULTS,
    "account_locked": Problem.ACCOUNT_LOCKED,
    "unsuccessful": Problem.AUTH_REFUSED,
    "identity_refused": Problem.IDENTITY_REFUSED,
    "basic_auth_not_supported": Problem.BASIC_AUTH_DISABLED,
    "unrecognized_mechanism": Problem.MECHANISM_NOT_OFFERED,
    "invalid_xoauth2": Problem.MALFORMED_AUTH,
    "temporary_auth_failure": Problem.TEMPORARY_AUTH_FAILURE,
    "temporary_server_error": Problem.TEMPORARY_AUTH_FAILURE,
    # The conversation as a whole.
    "old_tls": Problem.TLS_TOO_OLD,
    "not_authenticated": Problem.NOT_AUTHENTICATED,
    "not_authenticated_tenant_disabled": Problem.SMTP_DISABLED_TENANT,
    "not_authenticated_incorrect": Problem.INVALID_CREDENTIALS,
    "starttls_first": Problem.TLS_REQUIRED,
    "starttls_required": Problem.TLS_REQUIRED,
    "service_not_active": Problem.SERVICE_UNAVAILABLE,
    "service_not_available": Problem.SERVICE_UNAVAILABLE,
    "too_many_connections": Problem.TOO_MANY_CONNECTIONS,
    "sender_thread_limit": Problem.TOO_MANY_CONNECTIONS,
    "server_busy": Problem.SERVER_BUSY,
    "temporary_server_error_mrh1": Problem.TEMPORARY_SERVER_ERROR,
    "insufficient_resources": Problem.TEMPORARY_SERVER_ERROR,
    "organization_queue_quota": Problem.SERVER_BUSY,
    "socket_error": Problem.CONNECTION_LOST,
    "timed_out": Problem.TIMEOUT,
    "too_many_recipients": Problem.RECIPIENT_LIMIT,
    "other_4xx": Problem.TRY_AGAIN_LATER,
    # The sender.
    "send_as_denied": Problem.SENDER_NOT_ALLOWED,
    "send_as_denied_store": Problem.SENDER_NOT_ALLOWED,
    "send_as_no_permission": Problem.SENDER_NOT_ALLOWED,
    "send_as_denied_nested": Problem.SENDER_NOT_ALLOWED,
    "quota_refused": Problem.SENDING_QUOTA,
    "quota_refused_upgrade": Problem.SENDING_QUOTA,
    "hip_notify": Problem.VERIFICATION_REQUIRED,
    "hip_notify_upgrade": Problem.VERIFICATION_REQUIRED,
    "hip_send": Problem.VERIFICATION_REQUIRED,
    "suspended": Problem.SUSPENDED,
    "suspended_upgrade": Problem.SUSPENDED,
    "submission_quota_store": Problem.DAILY_LIMIT,
    "submission_quota": Problem.DAILY_LIMIT,
    "daily_limit": Problem.DAILY_LIMIT,
    "mailbox_full": Problem.MAILBOX_FULL,
    "mailbox_full_visit": Problem.MAILBOX_FULL,
    "bad_outbound_sender": Problem.SENDER_BLOCKED,
    "spam_abuse": Problem.SENDER_BLOCKED,
    "banned_sender_502": Problem.SENDER_BLOCKED,
    "banned_sender_503": Problem.SENDER_BLOCKED,
    "banned_sender_511": Problem.SENDER_BLOCKED,
    "tenant_threshold": Problem.SENDER_BLOCKED,
    "traffic_not_accepted": Problem.SENDER_BLOCKED,
    # The message.
    "too_big": Problem.MESSAGE_TOO_LARGE,
    "too_big_for_mailbox": Problem.MESSAGE_TOO_LARGE,
    "recipient_unknown": Problem.RECIPIENT_REFUSED,
    "recipient_invalid": Problem.RECIPIENT_REFUSED,
    "recipient_malformed": Problem.RECIPIENT_REFUSED,
    "bare_linefeeds": Problem.BARE_LINEFEED,
    "other_5xx": Problem.MESSAGE_REFUSED,
}
MARK = "[LO2P265CA0356.GBRP265.PROD.OUTLOOK.COM 2025-01-26T18:54:30.055Z 08DD3DD7D75D7743]"
BUSY = "421 4.3.2 Service not available"


async def fault_of_sending(standin: StandIn) -> Fault:
    """Send a message to one recipient and return why it was refused."""
    try:
        outcome = await send(standin)
    except SubmissionError as error:
        return error.fault
    finally:
        await nothing_left_open(standin)
    assert outcome.accepted == ()
    return outcome.refused[0].fault


def test_every_row_has_its_problem() -> None:
    """No refusal of the catalogue is left out below."""
    assert PROBLEMS.keys() == {row.name for row in CATALOGUE}


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
async def test_catalogue(standin: StandIn, row: Row) -> None:
    """The server's sentence decides, whatever its code, and is quoted without its trace."""
    standin.script = Script.for_row(row)
    fault = await fault_of_sending(standin)
    assert (fault.kind, fault.problem) == (row.kind, PROBLEMS[row.name])
    assert row.reply.startswith(f"{fault.code} {fault.enhanced} ")
    assert fault.text
    assert len(fault.text) < 300
    assert "[Begin" not in fault.text
    assert "PROD.OUTLOOK.COM" not in fault.text.upper()


@pytest.mark.parametrize(
    "step",
    [
        Step.GREETING,
        Step.EHLO,
        Step.STARTTLS,
        Step.EHLO_TLS,
        Step.AUTH,
        Step.MAIL,
        Step.RCPT,
        Step.DATA,
        Step.FINAL,
    ],
)
async def test_the_last_words_of_a_server_are_heard(standin: StandIn, step: Step) -> None:
    """A 421 says why the connection ends, at whatever command it comes."""
    standin.script = Script(replies={step: f"{BUSY} {MARK}"})
    fault = await fault_of_sending(standin)
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.SERVICE_UNAVAILABLE)
    assert fault.reply == BUSY


@pytest.mark.parametrize(
    ("step", "reply", "kind", "problem"),
    [
        (Step.GREETING, "554 No SMTP service here", Kind.SETUP, Problem.UNEXPECTED_REPLY),
        (Step.EHLO, "501 5.5.4 Invalid domain name", Kind.SETUP, Problem.INVALID_CLIENT_NAME),
        (Step.STARTTLS, "454 4.7.0 TLS not available", Kind.TRANSIENT, Problem.TRY_AGAIN_LATER),
        (Step.AUTH, "535 Wrong", Kind.CREDENTIALS, Problem.AUTH_REFUSED),
        (Step.AUTH, "503 5.5.1 Not now", Kind.SETUP, Problem.UNEXPECTED_REPLY),
        (Step.MAIL, "550 5.7.1 Denied", Kind.MESSAGE, Problem.MESSAGE_REFUSED),
        (Step.RCPT, "550 Denied", Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
        (Step.DATA, "554 5.5.1 No valid recipients", Kind.MESSAGE, Problem.MESSAGE_REFUSED),
        (Step.MAIL, "This is no reply", Kind.TRANSIENT, Problem.UNEXPECTED_REPLY),
    ],
)
async def test_unknown_replies(
    standin: StandIn, step: Step, reply: str, kind: Kind, problem: Problem
) -> None:
    """A sentence that nobody has heard yet counts by its code and where it comes."""
    standin.script = Script(replies={step: reply})
    fault = await fault_of_sending(standin)
    assert (fault.kind, fault.problem, fault.reply) == (kind, problem, reply)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (f"No. {MARK}", "No."),
        ("No. [Hostname=PS2PR06MB3510.apcprd06.prod.outlook.com]", "No."),
        ("No [BeginDiagnosticData]1.2:3\n4[EndDiagnosticData] way", "No way"),
        (f"No [BeginDiagnosticData]{'0.1:AF, ' * 400}", "No"),
        ("a\tb\r\nc\x00\x1b[31md\u202ee\udcff", "a b c [31md e"),
        ("[192.0.2.7] stays", "[192.0.2.7] stays"),
        ("x" * (MAX_TEXT - 1) + " yz", "x" * (MAX_TEXT - 1)),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    """Of a reply its sentence is kept: no trace, no diagnostics, no control characters."""
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("text", "enhanced", "sentence"),
    [
        ("5.7.3 Authentication unsuccessful", "5.7.3", "Authentication unsuccessful"),
        ("5.7.3", "5.7.3", ""),
        ("5.7.3 Authentication\n5.7.3 unsuccessful", "5.7.3", "Authentication unsuccessful"),
        ("Try 5.7.3 again", None, "Try 5.7.3 again"),
        ("5.7.3.1 is a version", None, "5.7.3.1 is a version"),
    ],
)
def test_enhanced_status_code(text: str, enhanced: str | None, sentence: str) -> None:
    """The enhanced status code is told apart from the sentence, on every line."""
    fault = read_reply(Stage.AUTH, 535, text)
    assert (fault.enhanced, fault.text) == (enhanced, sentence)


@given(
    stage=st.sampled_from(Stage),
    code=st.integers(0, 999),
    text=st.lists(
        st.one_of(
            st.text(st.characters()),
            st.sampled_from(["5.7.139 ", "\n", "[BeginDiagnosticData]", "[Hostname=", "]", MARK]),
        )
    ).map("".join),
)
def test_no_reply_is_too_odd(stage: Stage, code: int, text: str) -> None:
    """Whatever a server says, it is read as a fault with one printable line."""
    fault = read_reply(stage, code, text)
    assert fault.code == code
    assert fault.text.isprintable()
    assert fault.text == fault.text.strip()
    assert len(fault.text) <= MAX_TEXT


def test_a_bad_address_at_mail_is_the_senders() -> None:
    """The words are the same, and nobody is sent to look at the recipients."""
    refused = {stage: read_reply(stage, 550, "5.1.7 Invalid address") for stage in Stage}
    assert refused[Stage.MAIL].problem is Problem.SENDER_NOT_ALLOWED
    assert refused[Stage.RCPT].problem is Problem.RECIPIENT_REFUSED
