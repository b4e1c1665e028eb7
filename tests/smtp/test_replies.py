"""Every refusal of the server is mapped to its problem."""

from hypothesis import given, strategies as st
import pytest

from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
    Stage,
    SubmissionError,
)
from custom_components.outlook_smtp.smtp.replies import clean, decode, read_reply
from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step
from tests.promises import MAX_TEXT

from .helpers import nothing_left_open, send

MARK = "[LO2P265CA0356.GBRP265.PROD.OUTLOOK.COM 2025-01-26T18:54:30.055Z 08DD3DD7D75D7743]"
BUSY = "421 4.3.2 Service not available"


async def fault_of_sending(fake_server: FakeServer) -> Fault:
    """Send a message to one recipient, and return why it was refused."""
    try:
        outcome = await send(fake_server)
    except SubmissionError as error:
        return error.fault
    finally:
        await nothing_left_open(fake_server)
    assert outcome.accepted == ()
    return next(iter(outcome.refused.values()))


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
async def test_every_reply_of_the_catalogue_is_recognized(
    fake_server: FakeServer, row: Row
) -> None:
    """The server's text decides, whatever its code, and is quoted without its trace data."""
    fake_server.script = Script.for_row(row)
    fault = await fault_of_sending(fake_server)
    assert f"{fault.kind} {fault.problem}" == row.meaning
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
async def test_the_last_reply_of_a_server_is_read(fake_server: FakeServer, step: Step) -> None:
    """A 421 says why the connection ends, at whatever command it comes."""
    fake_server.script = Script(replies={step: f"{BUSY} {MARK}"})
    fault = await fault_of_sending(fake_server)
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
async def test_unknown_replies_are_classified_by_code(
    fake_server: FakeServer, step: Step, reply: str, kind: Kind, problem: Problem
) -> None:
    """An unknown text is classified by its code and its stage."""
    fake_server.script = Script(replies={step: reply})
    fault = await fault_of_sending(fake_server)
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
        ("x" * (MAX_TEXT - 1) + " yz", "x" * (MAX_TEXT - 1) + "…"),
        (f"No. Visit {'x' * MAX_TEXT} for more information.", "No."),
    ],
)
def test_reply_is_cleaned(raw: str, cleaned: str) -> None:
    """Only the text of a reply is kept: no trace, no diagnostics, no control characters."""
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
def test_spam_verdict_is_kept(raw: str, verdict: str) -> None:
    """It is what a person can act on, wherever it is in the removed part."""
    text = clean(raw.format(verdict, verdict))
    assert text.startswith("No ")
    assert text.endswith(f"Actual verdict is {verdict}.")
    assert text.count("verdict") == 1
    assert len(text) <= MAX_TEXT


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.AUTH, Step.MAIL, Step.RCPT])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
async def test_characters_of_other_languages_are_kept(
    fake_server: FakeServer, step: Step, encoding: str
) -> None:
    """They are kept, even if a server does not use UTF-8."""
    words = "Empfänger ungültig: déjà vu, mañana"
    raw = words.encode(encoding).decode("utf-8", "surrogateescape")
    fake_server.script = Script(replies={step: f"550 5.9.9 {raw}"})
    assert (await fault_of_sending(fake_server)).text == words


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"M\xfcller \x84OK\x93 \x80 5", "Müller „OK“ € 5"),
        ("Müller".encode() + b" M\xfcller", "Müller Müller"),
        (b"\x81", "\ufffd"),
    ],
)
def test_invalid_utf8_is_windows_1252(data: bytes, text: str) -> None:
    """It is decoded as Windows-1252, which has a character for almost every byte."""
    assert decode(data) == text


@pytest.mark.parametrize("code", [f"5.7.{number}" for number in (200, 251, 299, 700, 750, 799)])
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
def test_unknown_limits_and_blocks_are_the_accounts(code: str, stage: Stage) -> None:
    """They belong to the account: no message fails because of them."""
    fault = read_reply(stage, 550, f"{code} Something new")
    assert (fault.kind, fault.problem) == (Kind.ACCOUNT, Problem.SENDER_BLOCKED)


@pytest.mark.parametrize("code", ["5.7.1", "5.7.23", "5.7.26", "5.7.70", "5.7.300", "5.7.2000"])
def test_other_policies_are_about_the_message(code: str) -> None:
    """Similar codes are of another kind."""
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
def test_sign_in_codes_at_other_stages_are_the_accounts(
    stage: Stage, code: int, kind: Kind, problem: Problem
) -> None:
    """They are not about the message, whatever the text."""
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
def test_deferral_in_reply_to_a_recipient_is_the_recipients(reply: str, own: bool) -> None:
    """It only affects that recipient, unless it is about the server, account or connection."""
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
def test_enhanced_status_code_is_separated(text: str, enhanced: str | None, sentence: str) -> None:
    """The enhanced status code is separated from the text, on every line."""
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
def test_any_reply_is_a_fault(stage: Stage, code: int, text: str) -> None:
    """Any text of a server gives a fault with one printable line."""
    fault = read_reply(stage, code, text)
    assert fault.code == code
    assert fault.text.isprintable()
    assert fault.text == fault.text.strip()
    assert len(fault.text) <= MAX_TEXT


def test_bad_address_in_reply_to_mail_is_the_senders() -> None:
    """The text is the same, but the recipients are not blamed."""
    refused = {stage: read_reply(stage, 550, "5.1.7 Invalid address") for stage in Stage}
    assert refused[Stage.MAIL].problem is Problem.SENDER_NOT_ALLOWED
    assert refused[Stage.RCPT].problem is Problem.RECIPIENT_REFUSED
