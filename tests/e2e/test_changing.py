"""Change an account: its recipients, its options and its server."""

import pytest

from tests.fake_microsoft import FakeServer, blocked_port

from .accounts import FAMILY, OWN, about, receive
from .api import Api
from .screenshots import Screenshots
from .ui import INTEGRATION, Ui
from .user_texts import text

NAME = text("config_subentries.recipient.step.user.data.name")
ADDRESSES = text("config_subentries.recipient.step.user.data.recipients")

pytestmark = pytest.mark.usefixtures("account")


def close_changed(ui: Ui) -> None:
    """Close the dialog that confirms a change in Home Assistant's words."""
    ui.see("Reconfiguration was successful")
    ui.finish("Close")


def test_recipients(ui: Ui, api: Api, mail_server: FakeServer) -> None:
    """A recipient is added after two mistakes; a new name and address take effect."""
    ui.open(INTEGRATION)
    ui.press("Menu", ui.entry(OWN))
    ui.choose_item(text("config_subentries.recipient.initiate_flow.user"))
    ui.see(text("config_subentries.recipient.step.user.description"))
    ui.fill(NAME, "Family")
    ui.fill_list(ADDRESSES, ("carl@",))
    ui.submit()
    ui.see(text("config_subentries.recipient.error.name_taken"))
    ui.see(text("config_subentries.recipient.error.nothing_after_at", value="carl@"))
    ui.fill(NAME, "Carl")
    ui.fill_list(ADDRESSES, ("carl@example.com",))
    ui.submit()
    ui.finish()
    api.wait_for_state("notify.carl", "unknown")

    ui.press(text("config_subentries.recipient.initiate_flow.reconfigure"), ui.subentry("Carl"))
    ui.see(text("config_subentries.recipient.step.reconfigure.title"), ui.dialog)
    ui.fill(NAME, "Carla")
    ui.fill_list(ADDRESSES, ("carla@example.com",))
    ui.submit()
    close_changed(ui)
    ui.subentry("Carla").wait_for()
    api.call("notify.send_message", {"entity_id": "notify.carl", "message": "Hello"})
    assert receive(mail_server).recipients == ("carla@example.com",)


def test_options_and_server(ui: Ui, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """The next email has the sender's name; with a short timeout, another server fails soon."""
    ui.open(INTEGRATION)
    ui.press("Configure", ui.entry(OWN))
    ui.see(text("options.step.init.data_description.sender_name"))
    ui.fill(text("options.step.init.data.sender_name"), "Our house")
    ui.fill(text("options.step.init.data.timeout"), "5")
    with screenshots.on_high_page():
        screenshots.take_dialog("options", ui.frame)
    ui.submit()
    ui.finish()

    ui.press("Menu", ui.entry(OWN))
    ui.choose_item("Reconfigure")
    ui.see(text("config.step.reconfigure.description", address=OWN))
    ui.choose(text("config.step.reconfigure.menu_options.server"), ui.dialog)
    ui.see(text("config.step.server.description"))
    with blocked_port() as port:
        ui.fill_server("127.0.0.1", port)
        ui.see(text("config.error.port_blocked", host="127.0.0.1", port=str(port)))
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
