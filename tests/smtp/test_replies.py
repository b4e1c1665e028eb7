"""Every refusal of the server is read as the problem that it means."""

from hypothesis import given, strategies as st
import pytest

from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem, Stage, SubmissionError
from custom_components.outlook_smtp.smtp.replies import clean, decode, read_reply
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
    "federation_unreachable": Problem.FEDERATION_UNREACHABLE,
    "federation_without_https": Problem.FEDERATION_UNREACHABLE,
    "unsuccessful": Problem.AUTH_REFUSED,
    "identity_refused": Problem.PASSWORD_REFUSED,
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
    "not_authenticated_older": Problem.NOT_AUTHENTICATED,
    "not_authenticated_identity": Problem.PASSWORD_REFUSED,
    "sign_in_needed": Problem.NOT_AUTHENTICATED,
    "identity_expired": Problem.PASSWORD_REFUSED,
    "sign_in_expired": Problem.AUTH_REFUSED,
    "not_implemented": Problem.UNEXPECTED_REPLY,
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
    "mailbox_busy": Problem.TRY_AGAIN_LATER,
    "mailbox_over_quota": Problem.TRY_AGAIN_LATER,
    "greylisted": Problem.TRY_AGAIN_LATER,
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
    "throttled": Problem.SENDER_THROTTLED,
    "unknown_verdict": Problem.SENDING_QUOTA,
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
    "throttled_mailbox_full": Problem.MAILBOX_FULL,
    "throttled_send_as_denied": Problem.SENDER_THROTTLED,
    "throttled_license": Problem.SENDER_THROTTLED,
    "throttled_too_many_recipients": Problem.SENDER_THROTTLED,
    "throttled_invalid_recipients": Problem.SENDER_THROTTLED,
    "tenant_external_limit": Problem.DAILY_LIMIT,
    "onmicrosoft_limit": Problem.DAILY_LIMIT,
    "unregistered_domain": Problem.SENDER_BLOCKED,
    "other_limit": Problem.SENDER_BLOCKED,
    "other_block": Problem.SENDER_BLOCKED,
    # The message.
    "too_big": Problem.MESSAGE_TOO_LARGE,
    "too_big_for_mailbox": Problem.MESSAGE_TOO_LARGE,
    "recipient_unknown": Problem.RECIPIENT_REFUSED,
    "recipient_invalid": Problem.RECIPIENT_REFUSED,
    "recipient_malformed": Problem.RECIPIENT_REFUSED,
    "bare_linefeeds": Problem.BARE_LINEFEED,
    "other_5xx_in_china": Problem.MESSAGE_REFUSED,
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
    assert "PROD." not in fault.text.upper()


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
        (Step.DATA, "500 What?", Kind.SETUP, Problem.UNEXPECTED_REPLY),
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
        ("a\tb\r\nc\x00\x1b[31md\u202ee\udcff\ud800", "a b c [31md eÿ"),
        ("No. [LNXP123CA0004.GBRP123.PROD.OUTLOOK.COM]", "No."),
        (f"No. {MARK.replace('PROD.OUTLOOK.COM', 'prod.partner.outlook.cn')}", "No."),
        ("No. [SH2PR01CA004.CHNPR01.prod.partner.outlook.cn]", "No."),
        ("No. [BE1P281CA0440.outlook.office365.com]", "No."),
        ("[192.0.2.7] stays", "[192.0.2.7] stays"),
        ("[me@outlook.com] stays", "[me@outlook.com] stays"),
        ("x" * (MAX_TEXT - 1) + " yz", "x" * (MAX_TEXT - 1)),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    """Of a reply its sentence is kept: no trace, no diagnostics, no control characters."""
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    "raw",
    [
        "No [BeginDiagnosticData]0.1:AF Actual verdict is {}. 0.2:AF[EndDiagnosticData]",
        "No [BeginDiagnosticData]Actual verdict is {}. Spam: Actual verdict is {}.",
        f"No {'x' * MAX_TEXT} Actual verdict is {{}}. And so on",
    ],
)
@pytest.mark.parametrize("verdict", ["RefuseQuota, ShowTierUpgrade", "Suspend", "Whatever"])
def test_the_verdict_is_shown(raw: str, verdict: str) -> None:
    """It is what a person can act on, wherever it stands among what is cut."""
    text = clean(raw.format(verdict, verdict))
    assert text.startswith("No ")
    assert text.endswith(f"Actual verdict is {verdict}.")
    assert text.count("verdict") == 1
    assert len(text) <= MAX_TEXT


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.AUTH, Step.MAIL, Step.RCPT])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
async def test_letters_of_other_languages(standin: StandIn, step: Step, encoding: str) -> None:
    """They are kept, though a server speaks as it did before there was UTF-8."""
    words = "Empfänger ungültig: déjà vu, mañana"
    raw = words.encode(encoding).decode("utf-8", "surrogateescape")
    standin.script = Script(replies={step: f"550 5.9.9 {raw}"})
    assert (await fault_of_sending(standin)).text == words


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"M\xfcller \x84OK\x93 \x80 5", "Müller „OK“ € 5"),
        ("Müller".encode() + b" M\xfcller", "Müller Müller"),
        (b"\x81", "\ufffd"),
    ],
)
def test_what_is_no_utf8(data: bytes, text: str) -> None:
    """It is Windows-1252, which has a letter for nearly everything."""
    assert decode(data) == text


@pytest.mark.parametrize("code", [f"5.7.{number}" for number in (200, 251, 299, 700, 750, 799)])
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
def test_limits_and_blocks_that_nobody_knows(code: str, stage: Stage) -> None:
    """They are the account's: no message is given up for them."""
    fault = read_reply(stage, 550, f"{code} Something new")
    assert (fault.kind, fault.problem) == (Kind.ACCOUNT, Problem.SENDER_BLOCKED)


@pytest.mark.parametrize("code", ["5.7.1", "5.7.23", "5.7.26", "5.7.70", "5.7.300", "5.7.2000"])
def test_other_policies_are_about_the_message(code: str) -> None:
    """Codes that only look like it are not of that kind."""
    assert read_reply(Stage.DATA, 550, f"{code} No").kind is Kind.MESSAGE


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    ("code", "kind", "problem"),
    [
        (530, Kind.SETUP, Problem.NOT_AUTHENTICATED),
        (534, Kind.CREDENTIALS, Problem.AUTH_REFUSED),
        (535, Kind.CREDENTIALS, Problem.AUTH_REFUSED),
        (538, Kind.CREDENTIALS, Problem.AUTH_REFUSED),
    ],
)
def test_codes_of_the_sign_in_later_on(
    stage: Stage, code: int, kind: Kind, problem: Problem
) -> None:
    """They are not about the message, whatever the words."""
    fault = read_reply(stage, code, "Not like this")
    assert (fault.kind, fault.problem) == (kind, problem)


@pytest.mark.parametrize(
    ("reply", "own"),
    [
        ("450 4.2.1 The mailbox is busy", True),
        ("450 4.1.1 Unverified address", True),
        ("451 4.4.3 Cannot look up the domain", True),
        ("451 4.7.1 Greylisted", True),
        ("452 4.2.2 Mailbox full", True),
        ("450 Try later", True),
        ("452 4.5.3 Too many recipients", False),
        ("452 Too many recipients", False),
        ("451 4.7.500 Server busy", False),
        ("451 4.7.650 The mail server has been limited", False),
        ("452 4.3.1 Insufficient system storage", False),
        ("451 4.3.5 Server configuration error", False),
        ("450 4.7.1 <x>: Client host rejected: no hostname", False),
        ("450 4.1.8 <me@x.org>: Sender address rejected", False),
        ("421 Good bye", False),
    ],
)
def test_a_deferral_that_answers_a_recipient(reply: str, own: bool) -> None:
    """It is that recipient's, unless it speaks of the server, the account or the connection."""
    code, _, text = reply.partition(" ")
    fault = read_reply(Stage.RCPT, int(code), text)
    assert fault.kind is Kind.TRANSIENT
    assert fault.is_recipients_own is own
    assert not read_reply(Stage.MAIL, int(code), text).is_recipients_own


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
