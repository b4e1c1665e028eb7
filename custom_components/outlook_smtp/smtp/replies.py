"""The catalogue of replies: the problem behind each of the server's texts.

Microsoft reuses one code for many problems, so the text decides and not the code. To
teach the integration a new reply, add one line to `CATALOGUE`; the first line that fits wins.
"""

import re
from typing import Final

from ..delivery.faults import Fault, Kind, Problem, Stage
from ..delivery.secrets import MAX_TEXT, cut, one_line, shorten

# Begins every line of a reply (RFC 2034, section 4).
_ENHANCED: Final = re.compile(r"^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)", re.MULTILINE)
_DIAGNOSTICS: Final = re.compile(
    r"\[BeginDiagnosticData\](.*?)(?:\[EndDiagnosticData\]|$)", re.DOTALL | re.IGNORECASE
)
# The spam filter's verdict is somewhere in the diagnostics, and is all that a person can act on.
_VERDICT: Final = re.compile(r"Actual verdict is \w+(?:, \w+)*", re.IGNORECASE)
_TRACE: Final = re.compile(
    r"\[Hostname=[^\[\]]*+\]"
    r"|\[[0-9A-F]{16}\]"
    r"|\[[A-Z0-9-]+(?:\.[A-Z0-9-]+)*\.(?:OUTLOOK\.COM|PARTNER\.OUTLOOK\.CN|OFFICE365\.(?:COM|US))"
    r"(?:\s[^\[\]]*+)?\]",
    re.IGNORECASE,
)
# What `surrogateescape` makes of bytes that are not UTF-8, and the characters in Windows-1252.
_NOT_UTF8: Final = {
    0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(128, 256)
}

CATALOGUE: Final[tuple[tuple[str, Kind, Problem], ...]] = (
    # Signing in: https://aka.ms/smtp_auth_disabled and the pages that it links to.
    ("basic authentication is disabled", Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED),
    ("Basic authentication is not supported", Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED),
    (
        "SmtpClientAuthentication is disabled for the Tenant",
        Kind.ACCOUNT,
        Problem.SMTP_DISABLED_TENANT,
    ),
    (
        "SmtpClientAuthentication is disabled for the Mailbox",
        Kind.ACCOUNT,
        Problem.SMTP_DISABLED_MAILBOX,
    ),
    ("user credentials were incorrect", Kind.CREDENTIALS, Problem.INVALID_CREDENTIALS),
    ("did not meet the criteria", Kind.ACCOUNT, Problem.CONDITIONAL_ACCESS),
    ("security defaults policy", Kind.ACCOUNT, Problem.SECURITY_DEFAULTS),
    ("account locked", Kind.ACCOUNT, Problem.ACCOUNT_LOCKED),
    # Microsoft cannot reach the organization's own sign-in server.
    ("federated", Kind.TRANSIENT, Problem.FEDERATION_UNREACHABLE),
    ("STS service", Kind.TRANSIENT, Problem.FEDERATION_UNREACHABLE),
    ("5.7.139 Authentication unsuccessful", Kind.CREDENTIALS, Problem.AUTH_REFUSED),
    ("5.7.3 Authentication unsuccessful", Kind.CREDENTIALS, Problem.IDENTITY_REFUSED),
    ("Unrecognized authentication type", Kind.SETUP, Problem.MECHANISM_NOT_OFFERED),
    ("504 5.7.4 ", Kind.SETUP, Problem.MECHANISM_NOT_OFFERED),
    ("Client not authenticated", Kind.SETUP, Problem.NOT_AUTHENTICATED),
    ("Client was not authenticated", Kind.SETUP, Problem.NOT_AUTHENTICATED),
    ("issue a STARTTLS command first", Kind.SETUP, Problem.TLS_REQUIRED),
    ("451 5.7.3 ", Kind.SETUP, Problem.TLS_REQUIRED),
    ("Invalid XOAUTH2 auth data", Kind.SETUP, Problem.MALFORMED_AUTH),
    ("Temporary authentication failure", Kind.TRANSIENT, Problem.TEMPORARY_AUTH_FAILURE),
    # The conversation as a whole.
    ("TLS 1.0 and 1.1 are not supported", Kind.SETUP, Problem.TLS_TOO_OLD),
    ("Invalid domain name", Kind.SETUP, Problem.INVALID_CLIENT_NAME),
    ("connections limit exceeded", Kind.TRANSIENT, Problem.TOO_MANY_CONNECTIONS),
    ("sender thread limit exceeded", Kind.TRANSIENT, Problem.TOO_MANY_CONNECTIONS),
    ("Service not a", Kind.TRANSIENT, Problem.SERVICE_UNAVAILABLE),
    ("Server busy", Kind.TRANSIENT, Problem.SERVER_BUSY),
    ("Organization queue quota exceeded", Kind.TRANSIENT, Problem.SERVER_BUSY),
    ("Temporary server error", Kind.TRANSIENT, Problem.TEMPORARY_SERVER_ERROR),
    ("Insufficient system", Kind.TRANSIENT, Problem.TEMPORARY_SERVER_ERROR),
    ("452 4.5.3 ", Kind.TRANSIENT, Problem.RECIPIENT_LIMIT),
    ("452 Too many recipients", Kind.TRANSIENT, Problem.RECIPIENT_LIMIT),
    ("Connection dropped due to", Kind.TRANSIENT, Problem.CONNECTION_LOST),
    ("Connection timed out", Kind.TRANSIENT, Problem.TIMEOUT),
    # The account: https://support.microsoft.com/office/279ee200-594c-40f0-9ec8-bb6af7735c2e
    ("verdict is Hip", Kind.ACCOUNT, Problem.VERIFICATION_REQUIRED),
    ("verdict is Suspend", Kind.ACCOUNT, Problem.SUSPENDED),
    ("verdict is Throttle", Kind.TRANSIENT, Problem.SENDER_THROTTLED),
    ("OutboundSpamException", Kind.QUOTA, Problem.SENDING_QUOTA),
    ("Actual verdict is", Kind.QUOTA, Problem.SENDING_QUOTA),
    # https://learn.microsoft.com/exchange/mail-flow-best-practices/continuous-error-throttling-smtp-auth-submissions
    ("continuous mailbox full errors", Kind.ACCOUNT, Problem.MAILBOX_FULL),
    ("Sender throttled", Kind.ACCOUNT, Problem.SENDER_THROTTLED),
    *(
        (f"550 5.2.{detail} ", Kind.ACCOUNT, Problem.SENDER_THROTTLED)
        for detail in (251, 253, 254, 255)
    ),
    # External recipients of a tenant, and of its onmicrosoft.com addresses, in 24 hours.
    *((f"5.7.{detail} ", Kind.QUOTA, Problem.DAILY_LIMIT) for detail in (232, 233, 236)),
    ("SubmissionQuotaExceeded", Kind.QUOTA, Problem.DAILY_LIMIT),
    ("Submission quota exceeded", Kind.QUOTA, Problem.DAILY_LIMIT),
    ("daily limit", Kind.QUOTA, Problem.DAILY_LIMIT),
    ("550 5.1.90 ", Kind.QUOTA, Problem.DAILY_LIMIT),
    ("QuotaExceededException", Kind.ACCOUNT, Problem.MAILBOX_FULL),
    ("bad outbound sender", Kind.ACCOUNT, Problem.SENDER_BLOCKED),
    *(
        (f"5.7.{detail} ", Kind.ACCOUNT, Problem.SENDER_BLOCKED)
        for detail in (501, 502, 503, 511, 705, 708)
    ),
    # The message.
    ("SendAsDenied", Kind.MESSAGE, Problem.SENDER_NOT_ALLOWED),
    ("permissions to send as this sender", Kind.MESSAGE, Problem.SENDER_NOT_ALLOWED),
    ("552 5.3.4 ", Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE),
    ("MaxSubmissionExceeded", Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE),
    ("BareLinefeedsAreIllegal", Kind.MESSAGE, Problem.BARE_LINEFEED),
    ("550 5.1.1 ", Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
    ("501 5.1.3 ", Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
    ("550 5.1.7 ", Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
)

_FOLDED: Final = tuple((text.casefold(), kind, problem) for text, kind, problem in CATALOGUE)
# In reply to a sign-in they may hide a permanent refusal.
_TRANSIENT_AT_SIGN_IN: Final = (Problem.TEMPORARY_SERVER_ERROR, Problem.TRY_AGAIN_LATER)

_SUBMITTING: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA)
_GREETED: Final = (Stage.GREETING, Stage.STARTTLS)
# The meaning of a code with an unknown text: first by command, then by stage.
_BY_CODE: Final[dict[tuple[Stage, int], tuple[Kind, Problem]]] = {
    **{
        (stage, code): (Kind.CREDENTIALS, Problem.AUTH_REFUSED)
        for stage in (Stage.AUTH, *_SUBMITTING)
        for code in (530, 534, 535, 538)
    },
    **{(stage, 530): (Kind.SETUP, Problem.NOT_AUTHENTICATED) for stage in _SUBMITTING},
    **{
        (stage, code): (Kind.SETUP, Problem.UNEXPECTED_REPLY)
        for stage in _SUBMITTING
        for code in (500, 502, 503)
    },
    **{
        (stage, code): (Kind.SETUP, Problem.EHLO_REFUSED)
        for stage in _GREETED
        for code in (500, 502, 503)
    },
    **{
        (stage, code): (Kind.SETUP, Problem.INVALID_CLIENT_NAME)
        for stage in _GREETED
        for code in (501, 504)
    },
    **{
        (Stage.CERTIFICATE, code): (Kind.SETUP, Problem.STARTTLS_NOT_OFFERED)
        for code in range(500, 505)
    },
}
_BY_STAGE: Final = {
    Stage.MAIL: (Kind.MESSAGE, Problem.MESSAGE_REFUSED),
    Stage.RCPT: (Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
    Stage.DATA: (Kind.MESSAGE, Problem.MESSAGE_REFUSED),
}
# Limits and blocks of a sender (https://learn.microsoft.com/exchange/troubleshoot/email-delivery/).
_ACCOUNT_REFUSAL: Final = re.compile(r" 5\.7\.[27][0-9]{2} ")
# A 4xx reply to a recipient that is not about the recipient: the server is out of order or busy,
# has had too many, or accepts none from this sender.
_SERVER_DEFERRAL: Final = re.compile(
    r"421 |4[0-9]{2} 4\.(?:[35]\.|7\.[0-9]{3} )"
    r"|.*(?:client host|helo command|sender address) rejected",
    re.IGNORECASE,
)
# Addresses, mailboxes, contents and policies (RFC 3463, section 3), whatever the command.
_SUBJECT_REFUSAL: Final = re.compile(r"5\.[1267]\.")
_COMMAND_CODES: Final = (500, 501, 502, 503, 504, 555)  # RFC 5321, sections 4.2.4 and 4.1.1.11.
_COMMAND_DETAILS: Final = ("5.5.1", "5.5.2", "5.5.4")  # RFC 3463, section 3.6.


def decode(data: bytes) -> str:
    """Decode a server's text: UTF-8 (RFC 6531), or Windows-1252 where it is invalid."""
    return legible(data.decode("utf-8", "surrogateescape"))


def legible(text: str) -> str:
    """Return a text of UTF-8 with its invalid bytes decoded."""
    return text.translate(_NOT_UTF8)


def clean(text: str) -> str:
    """Return the reply's text: on one line, without the server's trace data, cut to length.

    Microsoft ends every reply with the server's name, a time and a trace ID. The verdict of its
    spam filter is kept, wherever it is.
    """
    text = legible(cut(text))
    sentence = one_line(_TRACE.sub("", _DIAGNOSTICS.sub("", text)))
    verdict = match[0] if (match := _VERDICT.search(one_line(text))) else ""
    if verdict in sentence[:MAX_TEXT]:
        return shorten(sentence)
    return f"{shorten(sentence, MAX_TEXT - len(verdict) - 2)} {verdict}.".strip()


def read_reply(stage: Stage, code: int, text: str) -> Fault:
    """Map a refusal to a fault.

    Args:
        stage: The stage that the reply belongs to.
        code: The reply code (RFC 5321, section 4.2).
        text: The reply's text, its lines joined by line feeds, enhanced status code included.

    """
    text = cut(text)
    enhanced = match[1] if (match := _ENHANCED.match(text)) else None
    line = f"{code} {one_line(text)} "
    kind, problem = _look_up(line) or _by_code(stage, code, enhanced, line)
    if stage is Stage.MAIL and problem is Problem.RECIPIENT_REFUSED:
        problem = Problem.SENDER_NOT_ALLOWED
    if stage is Stage.AUTH and problem in _TRANSIENT_AT_SIGN_IN:
        problem = Problem.TEMPORARY_AUTH_FAILURE
    recipient_only = (
        stage is Stage.RCPT
        and problem is Problem.TRY_AGAIN_LATER
        and not _SERVER_DEFERRAL.match(line)
    )
    text = clean(_ENHANCED.sub("", text))
    return Fault(kind, problem, code, enhanced, text, recipient_only=recipient_only)


def is_about_command(fault: Fault) -> bool:
    """Return whether a refusal means that the command is not understood, whatever its subject."""
    return (
        fault.problem in (Problem.MESSAGE_REFUSED, Problem.UNEXPECTED_REPLY)
        and (fault.code in _COMMAND_CODES or fault.enhanced in _COMMAND_DETAILS)
        and not _SUBJECT_REFUSAL.match(fault.enhanced or "")
    )


def _look_up(line: str) -> tuple[Kind, Problem] | None:
    """Return the catalogue entry for a complete reply."""
    line = line.casefold()
    for pattern, kind, problem in _FOLDED:
        if pattern in line:
            return kind, problem
    return None


def _by_code(stage: Stage, code: int, enhanced: str | None, line: str) -> tuple[Kind, Problem]:
    """Return the meaning of a reply's codes at a stage.

    A reply that is no refusal belongs to another command.
    """
    if code < 400:
        return Kind.TRANSIENT, Problem.UNEXPECTED_REPLY
    if 400 <= code < 500:
        return Kind.TRANSIENT, Problem.TRY_AGAIN_LATER
    if stage in _SUBMITTING and _ACCOUNT_REFUSAL.search(line):
        return Kind.ACCOUNT, Problem.SENDER_BLOCKED
    by_stage = _BY_STAGE.get(stage, (Kind.SETUP, Problem.UNEXPECTED_REPLY))
    if code < 530 and _SUBJECT_REFUSAL.match(enhanced or ""):
        return by_stage
    return _BY_CODE.get((stage, code), by_stage)
