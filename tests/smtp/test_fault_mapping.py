"""Network errors are named, including those that cannot be provoked here."""

import errno
import ssl

import aiosmtplib
import pytest

from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
    Stage,
    SubmissionError,
)
from custom_components.outlook_smtp.smtp.fault_mapping import faults_of, read_error


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error with the cause that a library gives it."""
    error.__cause__ = cause
    return error


def verify_error(code: int) -> ssl.SSLCertVerificationError:
    """Return OpenSSL's error for a rejected certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "certificate is not acceptable"
    return error


def tls_error(reason: str) -> ssl.SSLError:
    """Return OpenSSL's error for a failed handshake."""
    error = ssl.SSLError(1, "handshake failed")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("stage", "error", "problem"),
    [
        (Stage.RESOLVE, TimeoutError(), Problem.HOST_NOT_FOUND),
        (Stage.CONNECT, OSError(errno.ETIMEDOUT, "Timed out"), Problem.PORT_BLOCKED),
        (Stage.CONNECT, OSError(errno.EHOSTUNREACH, "No route"), Problem.NETWORK_UNREACHABLE),
        (Stage.CONNECT, OSError(errno.ECONNREFUSED, "Refused"), Problem.CONNECTION_REFUSED),
        (Stage.CERTIFICATE, aiosmtplib.SMTPTimeoutError("Late"), Problem.TIMEOUT),
        (
            Stage.CERTIFICATE,
            caused(aiosmtplib.SMTPConnectError("Lost"), ConnectionAbortedError("Too long")),
            Problem.TIMEOUT,
        ),
        (
            Stage.CERTIFICATE,
            caused(aiosmtplib.SMTPConnectTimeoutError("Late"), TimeoutError()),
            Problem.TIMEOUT,
        ),
        (Stage.CERTIFICATE, ConnectionResetError("Reset"), Problem.TLS_FAILED),
        (
            Stage.GREETING,
            caused(aiosmtplib.SMTPConnectError("Lost"), ConnectionResetError("Reset")),
            Problem.CONNECTION_LOST,
        ),
        (Stage.MAIL, aiosmtplib.SMTPServerDisconnected("Lost"), Problem.CONNECTION_LOST),
        (Stage.MAIL, aiosmtplib.SMTPException("Anything else"), Problem.CONNECTION_LOST),
        (Stage.CERTIFICATE, tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), Problem.TLS_FAILED),
        (Stage.CERTIFICATE, verify_error(9), Problem.CLOCK_WRONG),
        (Stage.MAIL, ssl.SSLError(1, "No reason"), Problem.TLS_FAILED),
    ],
    ids=repr,
)
def test_network_faults_are_temporary(stage: Stage, error: Exception, problem: Problem) -> None:
    """Network failures may be over the next time."""
    fault = read_error(stage, error)
    assert (fault.kind, fault.problem, fault.code) == (Kind.TRANSIENT, problem, None)


@pytest.mark.parametrize(
    ("error", "problem", "text"),
    [
        (verify_error(10), Problem.CERTIFICATE_EXPIRED, "certificate is not acceptable"),
        (verify_error(62), Problem.CERTIFICATE_WRONG_HOST, "certificate is not acceptable"),
        (verify_error(66), Problem.CERTIFICATE_NONCOMPLIANT, "certificate is not acceptable"),
        (verify_error(92), Problem.CERTIFICATE_NONCOMPLIANT, "certificate is not acceptable"),
        (verify_error(18), Problem.CERTIFICATE_UNTRUSTED, "certificate is not acceptable"),
        (tls_error("UNSUPPORTED_PROTOCOL"), Problem.TLS_TOO_OLD, "UNSUPPORTED_PROTOCOL"),
        (tls_error("NO_PROTOCOLS_AVAILABLE"), Problem.TLS_TOO_OLD, "NO_PROTOCOLS_AVAILABLE"),
        (tls_error("PACKET_LENGTH_TOO_LONG"), Problem.WRONG_SECURITY, "PACKET_LENGTH_TOO_LONG"),
        (ValueError("No server name"), Problem.UNFORESEEN, ""),
    ],
    ids=repr,
)
def test_permanent_faults_are_about_settings(error: Exception, problem: Problem, text: str) -> None:
    """Permanent problems are for the user to change."""
    wrapped = caused(aiosmtplib.SMTPConnectError("Error connecting"), error)
    for shown in (error, wrapped if isinstance(error, OSError) else error):
        assert read_error(Stage.CERTIFICATE, shown) == Fault(Kind.SETUP, problem, detail=text)


def test_error_quotes_the_server() -> None:
    """A submission error shows its key and the server's reply, and has its cause."""
    refusal = aiosmtplib.SMTPSenderRefused(554, "5.2.0 SendAsDenied; not you", "me@outlook.com")
    with pytest.raises(SubmissionError) as caught, faults_of(Stage.MAIL):
        raise refusal
    assert str(caught.value) == "sender_not_allowed: 554 5.2.0 SendAsDenied; not you"
    assert caught.value.__cause__ is refusal


def test_other_errors_are_bugs() -> None:
    """An error unrelated to the network is not hidden as one."""
    with pytest.raises(KeyError), faults_of(Stage.MAIL):
        raise KeyError


def test_unexpected_error_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says where to look, and quotes nothing that may be a secret."""
    fault = read_error(Stage.CONNECT, ValueError("a piece of the password"))
    assert (fault.problem, fault.text) == (Problem.UNFORESEEN, "")
    assert "Unexpected ValueError at stage connect" in caplog.text
    assert "password" not in caplog.text
