"""The accounts of the tests, and how Microsoft's fakes treat them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, override

from tests.fake_microsoft import (
    CATALOGUE,
    FakeServer,
    Identity,
    MailReceiver,
    Received,
    Script,
    Step,
)

from .api import PATIENCE, Api
from .ui import Ui
from .user_texts import text

DOMAIN: Final = "outlook_smtp"
OWN: Final = "demo@outlook.com"  # The account on the dashboard.
OWN_PASSWORD: Final = "app-password"
OTHER: Final = "alex@outlook.com"
OTHER_PASSWORD: Final = "summer-2026"
WITHOUT_SMTP: Final = "robin@outlook.com"  # Made in 2026, with its SMTP switched off.
FAMILY: Final = ("anna@example.com", "bert@example.com")

_ROWS: Final = {row.name: row for row in CATALOGUE}
SMTP_OFF: Final = Script.for_row(_ROWS["mailbox_disabled"])


class IdentityPlatform(Identity):
    """A fake of Microsoft's sign-in that sends people to the URL of Microsoft's page.

    No one opens it: the tests approve the codes themselves.
    """

    @property
    @override
    def authority(self) -> str:
        """Return the URL that people see."""
        return "https://login.microsoft.com"

    @property
    def address(self) -> str:
        """Return the URL that programs use."""
        return super().authority


def add_with_password(api: Api, server: FakeServer) -> str:
    """Add the dashboard's account and a recipient, and return the entry ID."""
    step = api.start_flow(
        DOMAIN,
        {"next_step_id": "password"},
        {"account_kind": "other", "email": OWN, "password": OWN_PASSWORD},
        {"host": server.host, "port": server.port, "security": "starttls"},
    )
    entry_id = api.finish_flow(step)
    api.add_recipient(entry_id, "Family", FAMILY)
    return entry_id


def add_with_code(api: Api, identity: IdentityPlatform, address: str) -> None:
    """Add an account with a code."""
    step = api.start_flow(
        DOMAIN,
        {"next_step_id": "code"},
        {"client_id": identity.client_id},
    )
    code = step["description_placeholders"]["code"]
    identity.approve(code, address)
    api.finish_flow(step)


@contextmanager
def refusing(server: FakeServer, row: str) -> Iterator[None]:
    """Let the mail server refuse with the reply of a row of the catalogue."""
    server.script = Script.for_row(_ROWS[row])
    yield
    server.script = Script()


@contextmanager
def stalled(server: FakeServer, step: Step) -> Iterator[None]:
    """Let the mail server be silent from a step on, until the end."""
    server.script.stall = step
    yield
    server.script.stall = None
    server.go_on()


@contextmanager
def away(server: FakeServer) -> Iterator[None]:
    """Stop the mail server for a while."""
    server.stop()
    try:
        yield
    finally:
        server.start()


def sign_in_with_code(ui: Ui, identity: IdentityPlatform, address: str) -> None:
    """Choose the sign-in with a code in a menu, and follow it to the account check."""
    begin_sign_in(ui, identity)
    approve(ui, identity, address)


def begin_sign_in(ui: Ui, identity: IdentityPlatform) -> None:
    """Choose the sign-in with a code in a menu, and follow it to the code."""
    ui.choose(text("config.step.user.menu_options.code"), ui.dialog)
    ui.see(text("config.step.code.description"))
    ui.fill(text("config.step.code.data.client_id"), identity.client_id)
    ui.submit()
    ui.see(text("config.progress.wait_for_sign_in"))


def approve(ui: Ui, identity: IdentityPlatform, address: str) -> None:
    """Enter a dialog's code on Microsoft's page, and sign in there."""
    code = identity.user_codes[-1]
    ui.see(code)
    identity.approve(code, address)


def receive(server: MailReceiver, count: int = 1) -> Received:
    """Wait for a number of messages, and return the last."""
    return server.wait_for_mail(count, PATIENCE)[count - 1]


def about(mail: Received) -> tuple[str, tuple[str, ...], str]:
    """Return the sender, the recipients and the title of an email."""
    return (mail.sender, mail.recipients, str(mail.message["Subject"]))
