"""The catalogue of replies: which sentence of the server means which problem.

Microsoft reuses one code for many problems, so that the sentence decides and not the code. To
teach the integration a new reply, add one line to `CATALOGUE`; the first line that fits wins.
"""

import re
from typing import Final

from .faults import Fault, Kind, Problem, Stage

MAX_TEXT: Final = 500  # Characters of a reply that are kept; some carry pages of diagnostics.

# Every line of a reply begins with it (RFC 2034, section 4).
_ENHANCED: Final = re.compile(r"^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)", re.MULTILINE)
_NOISE: Final = re.compile(
    r"\[BeginDiagnosticData\].*?(?:\[EndDiagnosticData\]|$)"
    r"|\[Hostname=[^\]]*\]"
    r"|\[[0-9A-F]{16}\]"
    r"|\[[A-Z0-9]+\.[A-Z0-9]+\.PROD\.OUTLOOK\.COM [^\]]*\]",
    re.DOTALL | re.IGNORECASE,
)

CATALOGUE: Final[tuple[tuple[str, Kind, Problem], ...]] = (
    # Signing in: https://aka.ms/smtp_auth_disabled and the pages that it leads to.
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
    ("5.7.139 Authentication unsuccessful", Kind.CREDENTIALS, Problem.AUTH_REFUSED),
    ("5.7.3 Authentication unsuccessful", Kind.CREDENTIALS, Problem.IDENTITY_REFUSED),
    ("Unrecognized authentication type", Kind.SETUP, Problem.MECHANISM_NOT_OFFERED),
    ("Client not authenticated", Kind.SETUP, Problem.NOT_AUTHENTICATED),
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
    ("Insufficient system resources", Kind.TRANSIENT, Problem.TEMPORARY_SERVER_ERROR),
    ("452 4.5.3 ", Kind.TRANSIENT, Problem.RECIPIENT_LIMIT),
    ("Connection dropped due to", Kind.TRANSIENT, Problem.CONNECTION_LOST),
    ("Connection timed out", Kind.TRANSIENT, Problem.TIMEOUT),
    # The account: https://support.microsoft.com/office/279ee200-594c-40f0-9ec8-bb6af7735c2e
    ("verdict is RefuseQuota", Kind.QUOTA, Problem.SENDING_QUOTA),
    ("verdict is Hip", Kind.ACCOUNT, Problem.VERIFICATION_REQUIRED),
    ("verdict is Suspend", Kind.ACCOUNT, Problem.SUSPENDED),
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

# As the answer to a sign-in they may hide that it is refused for good.
_PASSING_AT_SIGN_IN: Final = (Problem.TEMPORARY_SERVER_ERROR, Problem.TRY_AGAIN_LATER)


def clean(text: str) -> str:
    """Return the reply's sentence: on one line, without the server's own trace, cut to length.

    Microsoft ends every reply in the name of the server, a time and a trace identifier.
    """
    return _on_one_line(_NOISE.sub("", text))[:MAX_TEXT].rstrip()


def read_reply(stage: Stage, code: int, text: str) -> Fault:
    """Turn a refusal into a fault.

    Args:
        stage: The step that the reply answered.
        code: The reply code (RFC 5321, section 4.2).
        text: The reply's text, its lines joined by line feeds, enhanced status code included.

    """
    kind, problem = _look_up(stage, code, f"{code} {_on_one_line(text)} ")
    if stage is Stage.MAIL and problem is Problem.RECIPIENT_REFUSED:
        problem = Problem.SENDER_NOT_ALLOWED
    if stage is Stage.AUTH and problem in _PASSING_AT_SIGN_IN:
        problem = Problem.TEMPORARY_AUTH_FAILURE
    enhanced = match[1] if (match := _ENHANCED.match(text)) else None
    return Fault(kind, problem, code, enhanced, clean(_ENHANCED.sub("", text)))


def _on_one_line(text: str) -> str:
    """Return a text of several lines as one of printable characters only."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _look_up(stage: Stage, code: int, line: str) -> tuple[Kind, Problem]:
    """Return what the catalogue says of a whole reply, else what its code says at this stage."""
    line = line.casefold()
    for pattern, kind, problem in CATALOGUE:
        if pattern.casefold() in line:
            return kind, problem
    if 400 <= code < 500:
        return Kind.TRANSIENT, Problem.TRY_AGAIN_LATER
    if stage is Stage.AUTH and code in (530, 534, 535, 538):
        return Kind.CREDENTIALS, Problem.AUTH_REFUSED
    if stage is Stage.RCPT:
        return Kind.MESSAGE, Problem.RECIPIENT_REFUSED
    if stage in (Stage.MAIL, Stage.DATA):
        return Kind.MESSAGE, Problem.MESSAGE_REFUSED
    return Kind.SETUP, Problem.UNEXPECTED_REPLY
