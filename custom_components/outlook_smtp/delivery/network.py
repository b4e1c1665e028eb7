"""Network and TLS failures, classified the same way for every route."""

import errno
import re
import ssl
import time
from typing import Final

from .faults import Fault, Kind, Problem
from .secrets import one_line, shorten

# The date of this release, 2026-11-28, in seconds since the epoch; an earlier time is wrong.
RELEASED: Final = 1_795_824_000.0
# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h). It checks these rules once it trusts the issuer; for
# those that Python enforces since 3.13, see
# https://docs.python.org/3/library/ssl.html#ssl.VERIFY_X509_STRICT
_BROKEN_RULES: Final = (24, 25, 26, 32, 34, 37, 41, 42, 66, 67, 68, *range(76, 95))
_VERIFY_PROBLEMS: Final[dict[int, Problem]] = {
    **dict.fromkeys(_BROKEN_RULES, Problem.CERTIFICATE_NONCOMPLIANT),
    9: Problem.CLOCK_WRONG,  # Not yet valid; servers do not use a certificate early.
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
_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
_NUMBER: Final = re.compile(r"\[Errno -?\d+\]:? ?")
# In the text of an aiohappyeyeballs error, if several addresses failed in different ways.
_ONE_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"


def read_tls_error(error: ssl.SSLError) -> Fault:
    """Turn a TLS failure into a fault."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _read_verification(error)
    reason = getattr(error, "reason", None) or ""  # Python's own SSL errors have none.
    problem = _TLS_PROBLEMS.get(reason, Problem.TLS_FAILED)
    kind = Kind.TRANSIENT if problem is Problem.TLS_FAILED else Kind.SETUP
    return Fault(kind, problem, detail=shorten(one_line(reason or str(error))))


def without_number(text: str) -> str:
    """Return what the system says without the numbers of its errors, which tell users nothing."""
    return _NUMBER.sub("", text)


def describe(error: BaseException) -> str:
    """Return what the system says about an error, on one line."""
    return shorten(one_line(without_number(str(error)) or type(error).__name__))


def network_problem(error: Exception) -> Problem:
    """Classify a network failure, at whatever stage it occurred."""
    if isinstance(error, ConnectionRefusedError) or _ONE_REFUSED in str(error):
        return Problem.CONNECTION_REFUSED
    # asyncio raises the second if a TLS handshake takes too long.
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return Problem.TIMEOUT
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Problem.NETWORK_UNREACHABLE
    return Problem.CONNECTION_LOST


def _read_verification(error: ssl.SSLCertVerificationError) -> Fault:
    """Turn a verification failure into a fault: a bad certificate or a wrong system clock."""
    problem = _VERIFY_PROBLEMS.get(error.verify_code, Problem.CERTIFICATE_UNTRUSTED)
    if problem is Problem.CERTIFICATE_EXPIRED and time.time() < RELEASED:
        problem = Problem.CLOCK_WRONG
    kind = Kind.TRANSIENT if problem is Problem.CLOCK_WRONG else Kind.SETUP
    return Fault(kind, problem, detail=shorten(one_line(error.verify_message)))
