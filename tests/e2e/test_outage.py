"""The mail server goes down and comes back."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import FAMILY, OWN, about, away, receive
from .screenshots import Screenshots
from .ui import DASHBOARD, Ui

PICTURE = (OWN, FAMILY, "Somebody is at the front door")


@pytest.mark.usefixtures("account", "camera")
def test_outage(ui: Ui, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """A camera snapshot is sent; the next one waits for the server, and is sent in the end."""
    ui.open(DASHBOARD)
    ui.see("Mail can be sent.")
    ui.see("Connected")
    ui.tap("Mail this picture to the family")
    assert about(receive(mail_server)) == PICTURE
    ui.page.locator("hui-picture-entity-card img").first.wait_for()
    screenshots.take("dashboard", ui.page.locator("hui-section"), margin=8)

    with away(mail_server):
        ui.tap("Mail this picture to the family")
        ui.see("1 messages")
        ui.see("Disconnected")
        ui.see("Connection refused")
        screenshots.take("outbox", ui.page.locator("hui-tile-card"), margin=4)

        ui.open_tools("outlook_smtp.list_outbox")
        ui.see("Returns the messages that are waiting and those that failed")
        ui.choose_account(OWN)
        ui.press("Perform action")
        ui.see("title: Somebody is at the front door")

        ui.open(DASHBOARD)
        ui.see("Disconnected")
    ui.tap("Check now")
    ui.see("Mail can be sent.")
    ui.see("0 messages")
    assert about(receive(mail_server, 2)) == PICTURE
