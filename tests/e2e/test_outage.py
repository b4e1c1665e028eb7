"""The mail server goes down and comes back."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import FAMILY, OWN, about, away, receive
from .overflow import cut_off
from .screenshots import Screenshots
from .ui import DASHBOARD, Ui
from .user_texts import text

PICTURE = (OWN, FAMILY, "Somebody is at the front door")


@pytest.mark.usefixtures("account", "camera")
def test_outage(ui: Ui, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """A snapshot is sent; the next one waits, and is sent automatically when the server is back."""
    tiles = ui.page.locator("hui-tile-card")
    status, outbox = tiles.filter(has_text="Status"), tiles.filter(has_text="Outbox")
    ui.open(DASHBOARD)
    ui.see("Email can be sent.")
    ui.see("Connected")
    ui.tap("Mail this picture to the family")
    assert about(receive(mail_server)) == PICTURE
    ui.page.locator("hui-picture-entity-card img").first.wait_for()
    screenshots.take("dashboard", ui.page.locator("hui-section"), margin=8)

    with away(mail_server):
        ui.tap("Mail this picture to the family")
        ui.see("1", outbox)
        ui.see(text("entity.sensor.status.state.retrying"), status)
        ui.see("Disconnected")
        ui.see(text("entity.sensor.status.state.connection_refused"), status)
        assert cut_off(ui.page.locator("hui-sections-view")) == []
        screenshots.take("outbox", ui.page.locator("hui-tile-card"), margin=4)

        ui.open_tools("outlook_smtp.list_outbox")
        ui.see(text("services.list_outbox.description"))
        ui.choose_account(OWN)
        ui.press("Perform action")
        ui.see("title: Somebody is at the front door")

        ui.open(DASHBOARD)
        ui.see("Disconnected")
    ui.see("Email can be sent.")
    ui.see(text("entity.sensor.status.state.ok"), status)
    ui.see("0", outbox)
    assert about(receive(mail_server, 2)) == PICTURE
    assert cut_off(ui.page.locator("hui-sections-view")) == []
