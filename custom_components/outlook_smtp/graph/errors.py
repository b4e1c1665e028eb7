"""Maps aiohttp's exceptions to faults, in one place."""

import ssl

import aiohttp

from ..delivery.faults import Fault, Kind, Problem
from ..delivery.network import network_problem, read_tls_error
from ..delivery.secrets import MAX_TEXT, Secrets, one_line


def read_error(error: Exception) -> Fault:
    """Turn an exception into a fault."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault(Kind.TRANSIENT, Problem.HOST_NOT_FOUND)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return read_error(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return read_error(error.os_error)
    if isinstance(error, ssl.SSLError):
        return read_tls_error(error)
    return Fault(Kind.TRANSIENT, network_problem(error))


def masked_text(error: Exception, secrets: Secrets) -> str:
    """Return an exception's message on one line, with secrets masked."""
    words = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):  # Its message quotes the TLS context.
        reason = error.os_error.strerror or error.os_error
        words = f"Cannot connect to {error.host}, port {error.port}: {reason}"
    return one_line(secrets.mask(words))[:MAX_TEXT]
