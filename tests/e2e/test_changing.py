"""Change an account: its recipients, its options and its server."""

import pytest

from tests.fake_microsoft import FakeServer, blocked_port

from .accounts import FAMILY, OWN, about, receive
from .api import Api
from .screenshots import Screenshots
from .ui import INTEGRATION, Ui

pytestmark = pytest.mark.usefixtures("account")


def close_changed(ui: Ui) -> None:
    """Close the dialog that confirms a change in Home Assistant's words."""
    ui.see("Reconfiguration was successful")
    ui.finish("Close")


def test_recipients(ui: Ui, api: Api, mail_server: FakeServer) -> None:
    """A recipient is added after two mistakes; a new name and address take effect."""
    ui.open(INTEGRATION)
    ui.press("Menu", ui.entry(OWN))
    ui.choose_item("Add recipient")
    ui.see("A recipient becomes a notifier of its own.")
    ui.fill("Name", "Family")
    ui.fill_list("Addresses", ("carl@",))
    ui.submit()
    ui.see("Another recipient of this account already has this name.")
    ui.see("has nothing after the @.")
    ui.fill("Name", "Carl")
    ui.fill_list("Addresses", ("carl@example.com",))
    ui.submit()
    ui.finish()
    api.wait_for_state("notify.carl", "unknown")

    ui.press("Change recipient", ui.subentry("Carl"))
    ui.see("Change recipient", ui.dialog)
    ui.fill("Name", "Carla")
    ui.fill_list("Addresses", ("carla@example.com",))
    ui.submit()
    close_changed(ui)
    ui.subentry("Carla").wait_for()
    api.call("notify.send_message", {"entity_id": "notify.carl", "message": "Hello"})
    assert receive(mail_server).recipients == ("carla@example.com",)


def test_options_and_server(ui: Ui, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """The next email has the sender's name; with a short timeout, another server fails soon."""
    ui.open(INTEGRATION)
    ui.press("Configure", ui.entry(OWN))
    ui.see("The name that recipients see beside the address.")
    ui.fill("Sender name", "Our house")
    ui.fill("Time-out", "4")
    ui.fill("Time-out", "5")
    screenshots.take_dialog("options", ui.frame)
    ui.submit()
    ui.finish()

    ui.press("Menu", ui.entry(OWN))
    ui.choose_item("Reconfigure")
    ui.see("What do you want to change for")
    ui.choose("Change the server or port", ui.dialog)
    ui.see("The server that takes your outgoing mail.")
    with blocked_port() as port:
        ui.fill_server("127.0.0.1", port)
        ui.see("blocks the port, or the host is wrong")
    ui.fill_server(mail_server.host, mail_server.port)
    close_changed(ui)

    ui.open_tools("notify.send_message")
    ui.add_target("Family")
    ui.fill_row("Title", "Washing machine")  # It exists once the target is set.
    ui.fill_row("Message", "The washing is done.")
    ui.press("Perform action")
    mail = receive(mail_server)
    assert about(mail) == (OWN, FAMILY, "Washing machine")
    assert "Our house" in str(mail.message["From"])
