"""Clients for the tests: one that sends exactly what it is given, and shortcuts for smtplib."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
import smtplib
import socket
import ssl
from typing import Self

from tests.fake_microsoft import FakeServer

ALICE = "alice@outlook.com"
ALIAS = "al@outlook.com"
BOB = "bob@example.com"
PASSWORD = "open sesame"
TOKEN = "EwB4" + "x" * 3000
TIMEOUT = 5


class Pipeline:
    """A bare connection: the test writes every line."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        """Return the open connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def wait_at_most(self, seconds: float) -> None:
        """Shorten the timeout."""
        self._socket.settimeout(seconds)

    def send(self, line: str) -> None:
        """Send one line."""
        self._socket.sendall(f"{line}\r\n".encode())

    def read(self) -> list[str]:
        """Read one reply, which may have several lines; empty at the end of the stream."""
        lines: list[str] = []
        while line := self._file.readline().decode().rstrip("\r\n"):
            lines.append(line)
            if line[3:4] != "-":
                break
        return lines

    def ask(self, line: str) -> str:
        """Send one line and return the last line of the reply."""
        self.send(line)
        return self.read()[-1]

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Switch to TLS."""
        self._file.close()
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._file = self._socket.makefile("rb")

    @classmethod
    def secured(cls, fake_server: FakeServer) -> Self:
        """Connect and continue up to the EHLO after STARTTLS."""
        pipeline = cls(fake_server.port)
        pipeline.read()
        pipeline.ask("EHLO client.example")
        pipeline.ask("STARTTLS")
        pipeline.encrypt(fake_server.client_context())
        pipeline.ask("EHLO client.example")
        return pipeline

    @classmethod
    def signed_in(
        cls, fake_server: FakeServer, address: str = ALICE, password: str = PASSWORD
    ) -> Self:
        """Connect and continue up to a successful AUTH."""
        pipeline = cls.secured(fake_server)
        pipeline.ask(f"AUTH LOGIN {encoded(address)}")
        assert pipeline.ask(encoded(password)).startswith("235 ")
        return pipeline


def encoded(text: str) -> str:
    """Encode a response of AUTH."""
    return b64encode(text.encode()).decode()


def xoauth2(user: str, token: str) -> str:
    """Build an XOAUTH2 response."""
    return encoded(f"user={user}\x01auth=Bearer {token}\x01\x01")


def outgoing(sender: str = ALICE, to: str = BOB, text: str = "It works.") -> EmailMessage:
    """Return a message."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = "Test"
    message.set_content(text)
    return message


@contextmanager
def connected(fake_server: FakeServer, timeout: float = TIMEOUT) -> Iterator[smtplib.SMTP]:
    """Yield an smtplib client that has switched to TLS."""
    client = smtplib.SMTP("127.0.0.1", fake_server.port, "client.example", timeout)
    try:
        # smtplib checks the name it connected to, and the certificate covers the address, too.
        client.starttls(context=fake_server.client_context())
        yield client
    finally:
        client.close()


@contextmanager
def logged_in(fake_server: FakeServer, timeout: float = TIMEOUT) -> Iterator[smtplib.SMTP]:
    """Yield an smtplib client that has signed in."""
    with connected(fake_server, timeout) as client:
        client.login(ALICE, PASSWORD)
        yield client
