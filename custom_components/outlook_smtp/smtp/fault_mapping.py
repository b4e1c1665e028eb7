"""Map the exceptions of sockets, TLS and aiosmtplib to faults, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
import logging
import ssl
from typing import Final

import aiosmtplib

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.network import describe, network_problem, read_tls_error
from .replies import clean, read_reply

_LOGGER = logging.getLogger(__name__)

# Values that cannot be sent: a host name, a password or an address with odd characters.
_UNSENDABLE: Final[dict[Stage, tuple[Kind, Problem]]] = {
    Stage.RESOLVE: (Kind.SETUP, Problem.HOST_NOT_FOUND),
    Stage.AUTH: (Kind.CREDENTIALS, Problem.INVALID_CREDENTIALS),
    Stage.MAIL: (Kind.MESSAGE, Problem.MESSAGE_REFUSED),
    Stage.RCPT: (Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
}
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
    if isinstance(error, ssl.SSLError):
        return read_tls_error(error)
    if isinstance(error, ValueError):
        if (unsendable := _UNSENDABLE.get(stage)) is None:
            # Its text may quote a piece of the password.
            _LOGGER.warning("Unexpected %s at stage %s", type(error).__name__, stage)
        return Fault(*unsendable or (Kind.SETUP, Problem.UNFORESEEN))
    return Fault(Kind.TRANSIENT, _network_problem(stage, error), detail=describe(error))


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
    problem = network_problem(error)
    if problem is Problem.TIMEOUT and stage is Stage.CONNECT:
        return Problem.PORT_BLOCKED
    is_raw = not isinstance(error, aiosmtplib.SMTPException)
    if problem is Problem.CONNECTION_LOST and stage is Stage.CERTIFICATE and is_raw:
        return Problem.TLS_FAILED  # The server closed the connection during the handshake.
    return problem
