"""The fakes of Microsoft's servers that the demo runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, Self

from tests.fake_microsoft import CATALOGUE, FakeGraph, FakeServer, Identity, MailReceiver, Script

ADDRESS: Final = "demo@outlook.com"
PASSWORD: Final = "app-password"
ROWS: Final = {row.name: row for row in CATALOGUE}
SMTP_OFF: Final = "mailbox_disabled"


@dataclass(frozen=True, kw_only=True)
class Fakes:
    """The mail server, the identity platform if people sign in, and Microsoft Graph if it sends."""

    server: FakeServer
    identity: Identity | None = None
    graph: FakeGraph | None = None

    @property
    def receiver(self) -> MailReceiver:
        """Return the server that receives the account's email."""
        return self.graph or self.server

    @classmethod
    @contextmanager
    def running(cls, mail_port: int, *, sign_in: bool, graph: bool) -> Iterator[Self]:
        """Run the fakes; with Microsoft Graph, SMTP is switched off for the mailbox."""
        with ExitStack() as stack:
            server = stack.enter_context(FakeServer(mail_port))
            server.add_mailbox(ADDRESS, PASSWORD)
            identity = stack.enter_context(Identity(server)) if sign_in else None
            if identity:
                identity.interval = 1
            other = stack.enter_context(FakeGraph()) if graph else None
            if identity and other:
                other.access_tokens = identity.access_tokens
                server.script = Script.for_row(ROWS[SMTP_OFF])
            yield cls(server=server, identity=identity, graph=other)
