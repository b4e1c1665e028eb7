"""The certificate authority of the stand-in and the certificates it shows."""

import atexit
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
import ssl
from tempfile import TemporaryDirectory
import warnings

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")
OTHER_NAME = "mail.example.com"
LONG_AGO = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))


class Certificate(StrEnum):
    """What the server shows in the TLS handshake."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_HOST = "wrong_host"
    UNTRUSTED = "untrusted"
    OLD_TLS = "old_tls"


class OutspokenTLS(ssl.SSLObject):
    """TLS that tells a client why it is refused; asyncio by itself hangs up without a word."""

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        try:
            super().do_handshake()
        except ssl.SSLWantReadError, ssl.SSLWantWriteError:
            raise
        except ssl.SSLError as error:
            # Only while it waits for more does asyncio send what is written, here the alert.
            raise ssl.SSLWantReadError from error


class Authority:
    """A certificate authority that lives as long as the process."""

    def __init__(self) -> None:
        """Make the authority and write its certificate to a file."""
        self._ca = trustme.CA()
        folder = TemporaryDirectory(prefix="outlook-standin-")
        atexit.register(folder.cleanup)
        self.file = Path(folder.name) / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server_context(self, certificate: Certificate) -> ssl.SSLContext:
        """Build the server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = OutspokenTLS
        self._issue(certificate).configure_cert(context)
        if certificate is Certificate.OLD_TLS:
            # OpenSSL 3 refuses the hashes of TLS 1.0 and 1.1 at any higher security level.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def client_context(self) -> ssl.SSLContext:
        """Build a client's side of TLS that trusts this authority and nobody else."""
        return ssl.create_default_context(cafile=self.file)

    def _issue(self, certificate: Certificate) -> trustme.LeafCert:
        """Sign the certificate asked for."""
        if certificate is Certificate.EXPIRED:
            not_before, not_after = LONG_AGO
            return self._ca.issue_cert(*NAMES, not_before=not_before, not_after=not_after)
        if certificate is Certificate.NOT_YET_VALID:
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            year = timedelta(days=365)
            return self._ca.issue_cert(*NAMES, not_before=tomorrow, not_after=tomorrow + year)
        if certificate is Certificate.WRONG_HOST:
            return self._ca.issue_cert(OTHER_NAME)
        if certificate is Certificate.UNTRUSTED:
            return trustme.CA().issue_cert(*NAMES)
        return self._ca.issue_cert(*NAMES)


@cache
def authority() -> Authority:
    """Return the authority that all servers of this process share.

    Home Assistant builds its TLS contexts once a process, so a trusted file must not change.
    """
    return Authority()
