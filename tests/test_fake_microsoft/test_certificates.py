"""The certificates, as seen by a client."""

import smtplib
import ssl
from typing import Literal

import pytest

from tests.fake_microsoft import Certificate, FakeServer

pytestmark = pytest.mark.usefixtures("socket_enabled")

NAME = "client.example"
TROUBLE = {
    Certificate.EXPIRED: "certificate has expired",
    Certificate.NOT_YET_VALID: "certificate is not yet valid",
    Certificate.WRONG_HOST: "mismatch|not valid for",
    Certificate.UNTRUSTED: "unable to get local issuer certificate",
    Certificate.OLD_TLS: "protocol version|unsupported protocol",
    Certificate.NO_KEY_IDENTIFIER: "missing authority key identifier",
    Certificate.UNCRITICAL_CONSTRAINTS: "basic constraints of ca cert not marked critical",
}


def handshake_with(fake_server: FakeServer, context: ssl.SSLContext) -> str | None:
    """Connect, and return the negotiated TLS version."""
    if fake_server.security == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            "127.0.0.1", fake_server.port, NAME, context=context
        )
    else:
        client = smtplib.SMTP("127.0.0.1", fake_server.port, NAME)
    with client:
        if fake_server.security == "starttls":
            client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        client.ehlo()
        return client.sock.version()


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("certificate", TROUBLE)
def test_bad_certificates_cause_errors(
    certificate: Certificate, security: Literal["starttls", "tls"]
) -> None:
    """Each certificate but the valid one causes its own error, and the server keeps running."""
    with FakeServer(certificate=certificate, security=security) as fake_server:
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match=f"(?i){TROUBLE[certificate]}"):
                handshake_with(fake_server, fake_server.client_context())


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_valid_certificate_is_trusted(security: Literal["starttls", "tls"]) -> None:
    """The valid one is only trusted with the CA file."""
    with FakeServer(security=security) as fake_server:
        trusting = ssl.create_default_context(cafile=fake_server.ca_file)
        assert handshake_with(fake_server, trusting) == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError, match=r"local issuer"):
            handshake_with(fake_server, ssl.create_default_context())


def test_old_tls_is_supported() -> None:
    """A client that still allows TLS 1.1 gets it."""
    with FakeServer(certificate=Certificate.OLD_TLS) as fake_server:
        context = fake_server.client_context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.options &= ~ssl.OP_NO_TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        assert handshake_with(fake_server, context) == "TLSv1.1"


def test_wrong_tls_mode_fails() -> None:
    """Implicit TLS on a STARTTLS port fails as with Microsoft's servers."""
    with (
        FakeServer() as fake_server,
        pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"),
    ):
        smtplib.SMTP_SSL("127.0.0.1", fake_server.port, NAME, context=fake_server.client_context())
