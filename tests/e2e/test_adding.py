"""Add accounts in their dialogs."""

from tests.fake_microsoft import IMAP_GREETING, FakeServer, Script

from .accounts import (
    FAMILY,
    OTHER,
    OTHER_PASSWORD,
    OWN,
    OWN_PASSWORD,
    IdentityPlatform,
    approve,
    begin_sign_in,
    refusing,
)
from .api import Api
from .screenshots import Screenshots
from .ui import ADD, INTEGRATION, Ui


def begin_adding(ui: Ui) -> None:
    """Open the dialog from the documentation's link, and choose the password."""
    ui.open(ADD)
    ui.submit("OK")
    ui.see("Add a mail account")
    ui.choose("Password or app password", ui.dialog)
    ui.see("Where the mailbox is.")


def test_password_account(
    ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots
) -> None:
    """A wrong host, an IMAP server, a wrong password, the right ones; and a first recipient."""
    begin_adding(ui)
    ui.choose("Another server")
    ui.fill("E-mail address", OWN)
    ui.fill("Password", "wrong-password")
    ui.submit()

    ui.see("The server that takes your outgoing mail.")
    ui.fill("Host", "mail.example.invalid")
    ui.submit()
    ui.see("There is no server by the name of mail.example.invalid")

    with FakeServer() as imap:
        imap.script = Script(greeting=IMAP_GREETING)
        ui.fill_server(imap.host, imap.port)
        ui.see("is no server for sending mail; it may be one for reading it")

    ui.fill_server(mail_server.host, mail_server.port)
    ui.see("The address or the password is wrong.")
    ui.fill("Password", OWN_PASSWORD)
    ui.submit()
    ui.submit()  # The server form shows the previous input.

    ui.see("A recipient becomes a notifier of its own.")
    ui.fill("Name", "Family")
    ui.fill_list("Addresses", FAMILY)
    screenshots.take_dialog("recipients", ui.frame)
    ui.submit()
    ui.finish()
    api.wait_for_state("notify.family", "unknown")


def test_refused_password_leads_to_the_sign_in(
    ui: Ui, mail_server: FakeServer, identity: IdentityPlatform, screenshots: Screenshots
) -> None:
    """Microsoft accepts no passwords: the same dialog continues with a code."""
    with refusing(mail_server, "basic_auth_disabled"):
        begin_adding(ui)
        ui.fill("E-mail address", OTHER)
        ui.fill("Password", OTHER_PASSWORD)
        screenshots.take_dialog("password", ui.frame)
        ui.submit()
        ui.see("Signing in to")
        screenshots.take_dialog("check", ui.frame)
        ui.see("Microsoft no longer accepts passwords for")
        screenshots.take_dialog("passwords-refused", ui.frame)
    begin_sign_in(ui, identity)
    screenshots.take_dialog("code", ui.frame)
    approve(ui, identity, OTHER)
    ui.see("A recipient becomes a notifier of its own.")
    ui.press("Close", ui.dialog)
    ui.see_no_dialog()
    ui.open(INTEGRATION)
    ui.see(OTHER)
