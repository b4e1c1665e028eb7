"""Map the exceptions of sockets, TLS and aiosmtplib to faults, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import logging
import ssl
import time
from typing import Final

import aiosmtplib

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .replies import clean, read_reply

_LOGGER = logging.getLogger(__name__)

# The date of this release, 2026-11-28, in seconds since the epoch: an earlier time is wrong.
RELEASED: Final = 1_795_824_000.0
# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h). It checks the rules once it trusts the issuer; for
# what Python enforces since 3.13 see
# https://docs.python.org/3/library/ssl.html#ssl.VERIFY_X509_STRICT
_BROKEN_RULES: Final = (24, 25, 26, 32, 34, 37, 41, 42, 66, 67, 68, *range(76, 95))
_VERIFY_PROBLEMS: Final[dict[int, Problem]] = {
    **dict.fromkeys(_BROKEN_RULES, Problem.CERTIFICATE_NONCOMPLIANT),
    9: Problem.CLOCK_WRONG,  # Not yet valid: servers do not present future certificates.
    10: Problem.CERTIFICATE_EXPIRED,
    62: Problem.CERTIFICATE_WRONG_HOST,
    64: Problem.CERTIFICATE_WRONG_HOST,
}
_TLS_PROBLEMS: Final[dict[str, Problem]] = {
    "NO_PROTOCOLS_AVAILABLE": Problem.TLS_TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": Problem.TLS_TOO_OLD,
    "UNSUPPORTED_PROTOCOL": Problem.TLS_TOO_OLD,
    "WRONG_SSL_VERSION": Problem.TLS_TOO_OLD,
    "PACKET_LENGTH_TOO_LONG": Problem.WRONG_SECURITY,
    "RECORD_LAYER_FAILURE": Problem.WRONG_SECURITY,
    "WRONG_VERSION_NUMBER": Problem.WRONG_SECURITY,
}
# Values that cannot be sent: a host name, a password or an address with odd characters.
_UNSENDABLE: Final[dict[Stage, tuple[Kind, Problem]]] = {
    Stage.RESOLVE: (Kind.SETUP, Problem.HOST_NOT_FOUND),
    Stage.AUTH: (Kind.CREDENTIALS, Problem.INVALID_CREDENTIALS),
    Stage.MAIL: (Kind.MESSAGE, Problem.MESSAGE_REFUSED),
    Stage.RCPT: (Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
}
_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


# How aiohappyeyeballs reports several addresses that failed in different ways.
_ONE_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"
MALFORMED: Final = "Malformed SMTP response line: "  # How aiosmtplib reports a line.


@contextmanager
def faults_of(stage: Stage) -> Iterator[None]:
    """Raise exceptions inside as a `SubmissionError` of a stage."""
    try:
        yield
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise SubmissionError(read_error(stage, error)) from error


def read_error(stage: Stage, error: Exception) -> Fault:
    """Map an exception to its fault."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _read_response(stage, error)
    if isinstance(error.__cause__, OSError) and not isinstance(error, TimeoutError):
        return read_error(stage, error.__cause__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _read_verification(error)
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or ""  # Python's own SSL errors have none.
        problem = _TLS_PROBLEMS.get(reason, Problem.TLS_FAILED)
        kind = Kind.TRANSIENT if problem is Problem.TLS_FAILED else Kind.SETUP
        return Fault(kind, problem, text=clean(reason or str(error)))
    if isinstance(error, ValueError):
        if (unsendable := _UNSENDABLE.get(stage)) is None:
            # Its text may quote a piece of the password.
            _LOGGER.warning("Unexpected %s at stage %s", type(error).__name__, stage)
        return Fault(*unsendable or (Kind.SETUP, Problem.UNFORESEEN))
    return Fault(Kind.TRANSIENT, _network_problem(stage, error), text=clean(str(error)))


def _read_verification(error: ssl.SSLCertVerificationError) -> Fault:
    """Distinguish an invalid certificate from a wrong clock on this machine."""
    problem = _VERIFY_PROBLEMS.get(error.verify_code, Problem.CERTIFICATE_UNTRUSTED)
    if problem is Problem.CERTIFICATE_EXPIRED and time.time() < RELEASED:
        problem = Problem.CLOCK_WRONG
    kind = Kind.TRANSIENT if problem is Problem.CLOCK_WRONG else Kind.SETUP
    return Fault(kind, problem, text=clean(error.verify_message))


def _read_response(stage: Stage, error: aiosmtplib.SMTPResponseException) -> Fault:
    """Map a reply, or a line that no SMTP server would send."""
    if error.code != aiosmtplib.SMTPStatus.invalid_response:
        return read_reply(stage, error.code, error.message)
    text = clean(error.message.removeprefix(MALFORMED))
    if stage in (Stage.GREETING, Stage.CERTIFICATE):
        return Fault(Kind.SETUP, Problem.NOT_SMTP, text=text)
    return Fault(Kind.TRANSIENT, Problem.UNEXPECTED_REPLY, text=text)


def _network_problem(stage: Stage, error: Exception) -> Problem:
    """Return the problem of a network error."""
    if stage is Stage.RESOLVE:
        return Problem.HOST_NOT_FOUND
    if isinstance(error, ConnectionRefusedError) or _ONE_REFUSED in str(error):
        return Problem.CONNECTION_REFUSED
    # The second is asyncio's text for a TLS handshake timeout.
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return Problem.PORT_BLOCKED if stage is Stage.CONNECT else Problem.TIMEOUT
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Problem.NETWORK_UNREACHABLE
    if stage is Stage.CERTIFICATE and not isinstance(error, aiosmtplib.SMTPException):
        return Problem.TLS_FAILED  # The server closed the connection during the handshake.
    return Problem.CONNECTION_LOST
