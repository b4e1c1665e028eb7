"""The certificate authority of the fake server and its certificates."""

import atexit
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
import ssl
from tempfile import TemporaryDirectory
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
import trustme

NAMES = ("localhost", "127.0.0.1", "::1")
OTHER_NAME = "mail.example.com"
LONG_AGO = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))


class Certificate(StrEnum):
    """The certificate that the server presents in the TLS handshake."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_HOST = "wrong_host"
    UNTRUSTED = "untrusted"
    OLD_TLS = "old_tls"
    NO_KEY_IDENTIFIER = "no_key_identifier"
    UNCRITICAL_CONSTRAINTS = "uncritical_constraints"
    COMMON_NAME_ONLY = "common_name_only"


# Extensions that a current certificate has and this one lacks.
MISSING: dict[Certificate, type[x509.ExtensionType]] = {
    Certificate.NO_KEY_IDENTIFIER: x509.AuthorityKeyIdentifier,
    Certificate.COMMON_NAME_ONLY: x509.SubjectAlternativeName,
}


class AlertingTLS(ssl.SSLObject):
    """TLS that sends an alert when it refuses a client; asyncio alone just disconnects."""

    def do_handshake(self) -> None:
        """Continue the handshake."""
        try:
            super().do_handshake()
        except ssl.SSLWantReadError, ssl.SSLWantWriteError:
            raise
        except ssl.SSLError as error:
            # asyncio sends written data, here the alert, only while it waits for more.
            raise ssl.SSLWantReadError from error


class Authority:
    """A certificate authority that lives as long as the process."""

    def __init__(self) -> None:
        """Create the authority and write its certificate to a file."""
        self._ca = trustme.CA()
        self._contexts: dict[Certificate, ssl.SSLContext] = {}
        folder = TemporaryDirectory(prefix="outlook-fake-")
        atexit.register(folder.cleanup)
        self.file = Path(folder.name) / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server_context(self, certificate: Certificate) -> ssl.SSLContext:
        """Return the server's side of TLS; a key is made once, not for each of many servers."""
        if certificate not in self._contexts:
            self._contexts[certificate] = self._build(certificate)
        return self._contexts[certificate]

    def client_context(self) -> ssl.SSLContext:
        """Return a client's TLS context that trusts only this authority."""
        return ssl.create_default_context(cafile=self.file)

    def _build(self, certificate: Certificate) -> ssl.SSLContext:
        """Build the server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = AlertingTLS
        with self._issue(certificate).tempfile() as file:
            context.load_cert_chain(file)
        if certificate is Certificate.OLD_TLS:
            # OpenSSL 3 refuses the hashes of TLS 1.0 and 1.1 at any higher security level.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context

    def _issue(self, certificate: Certificate) -> trustme.Blob:
        """Return a key and its signed certificate."""
        if certificate is Certificate.EXPIRED:
            not_before, not_after = LONG_AGO
            leaf = self._ca.issue_cert(*NAMES, not_before=not_before, not_after=not_after)
        elif certificate is Certificate.NOT_YET_VALID:
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            year = timedelta(days=365)
            leaf = self._ca.issue_cert(*NAMES, not_before=tomorrow, not_after=tomorrow + year)
        elif certificate is Certificate.WRONG_HOST:
            leaf = self._ca.issue_cert(OTHER_NAME)
        elif certificate is Certificate.UNTRUSTED:
            leaf = trustme.CA().issue_cert(*NAMES)
        elif certificate is Certificate.UNCRITICAL_CONSTRAINTS:
            return self._issue_below_careless_authority()
        else:
            leaf = self._ca.issue_cert(*NAMES, common_name=NAMES[0])
        if missing := MISSING.get(certificate):
            [own] = leaf.cert_chain_pems
            signed = _re_signed(own, self._ca, without=missing)
            return trustme.Blob(leaf.private_key_pem.bytes() + signed)
        return leaf.private_key_and_cert_chain_pem

    def _issue_below_careless_authority(self) -> trustme.Blob:
        """Sign a certificate with an authority whose basic constraints are not critical."""
        careless = self._ca.create_child_ca()
        leaf = careless.issue_cert(*NAMES)
        signed = _re_signed(careless.cert_pem, self._ca, uncritical=x509.BasicConstraints)
        return trustme.Blob(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes() + signed)


def _re_signed(
    certificate: trustme.Blob,
    authority: trustme.CA,
    *,
    without: type[x509.ExtensionType] | None = None,
    uncritical: type[x509.ExtensionType] | None = None,
) -> bytes:
    """Sign again a certificate that violates RFC 5280, as old programs do."""
    old = x509.load_pem_x509_certificate(certificate.bytes())
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        kind = type(extension.value)
        if kind is not without:
            critical = extension.critical and kind is not uncritical
            builder = builder.add_extension(extension.value, critical=critical)
    key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@cache
def authority() -> Authority:
    """Return the authority that all servers of this process share.

    Home Assistant creates its TLS contexts once per process, so a trusted file must not change.
    """
    return Authority()
