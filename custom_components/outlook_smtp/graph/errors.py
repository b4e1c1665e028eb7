"""Maps aiohttp's exceptions to faults, in one place."""

import ssl

import aiohttp

from ..delivery.faults import Fault, Kind, Problem
from ..delivery.network import describe, network_problem, read_tls_error
from ..delivery.secrets import Secrets, one_line, shorten


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
    words = describe(error)
    if isinstance(error, aiohttp.ClientConnectorError):  # Its message quotes the TLS context.
        words = f"Cannot connect to {error.host}, port {error.port}: {describe(error.os_error)}"
    return shorten(one_line(secrets.mask(words)))
