"""Send mail: from the developer tools, an automation and a button."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import FAMILY, OWN, about, receive
from .api import Api, until
from .screenshots import Screenshots
from .ui import Ui

CARLA = "carla@example.com"


pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def carla(api: Api, account: str) -> None:
    """Add a second recipient."""
    api.add_recipient(account, "Carla", (CARLA,))


def open_send_message(ui: Ui) -> None:
    """Open the integration's own action in the developer tools."""
    ui.open_tools("outlook_smtp.send_message")
    ui.see("Sends one mail, with everything that a mail can have.")


def add_action(ui: Ui, name: str) -> None:
    """Add an action to the automation in the editor."""
    ui.press("Add action")
    ui.dialog.locator("input").first.fill(name)
    ui.choose(name, ui.dialog)
    ui.see_no_dialog()
    ui.see(name, ui.page.locator("ha-automation-sidebar"))


@pytest.mark.usefixtures("carla")
def test_many_fields(ui: Ui, mail_server: FakeServer) -> None:
    """outlook_smtp.send_message has many fields, and a response."""
    open_send_message(ui)
    ui.choose_account(OWN)
    ui.fill_row_list("To", ("Anna <anna@example.com>", "notify.carla"))
    ui.fill_row("Title", "Somebody is at the front door")
    ui.fill_row("Message", "The bell rang at five to twelve.")
    ui.select_row("Priority", "High")
    ui.press("Perform action")
    ui.see("status: sent")
    recipients = ("anna@example.com", CARLA)
    assert about(receive(mail_server)) == (OWN, recipients, "Somebody is at the front door")


@pytest.mark.usefixtures("carla")
def test_excluded_target(ui: Ui, mail_server: FakeServer) -> None:
    """outlook_smtp.send_message can exclude a target."""
    open_send_message(ui)
    ui.add_target("Family")
    ui.add_target("Carla")
    ui.add_target("Carla", "Exclude target")
    ui.fill_row("Message", "Dinner is ready.")
    ui.press("Perform action")
    ui.see("status: sent")
    assert receive(mail_server).recipients == FAMILY


def test_wrong_address(ui: Ui) -> None:
    """outlook_smtp.send_message names an invalid email address."""
    open_send_message(ui)
    ui.choose_account(OWN)
    ui.fill_row_list("To", ("nobody",))
    ui.fill_row("Message", "This is not sent.")
    ui.press("Perform action")
    ui.see('"nobody"')


def test_automation(ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """An automation with both ways to send is created in the editor, saved and run."""
    ui.open("/config/automation/edit/new")
    add_action(ui, "Send a notification message")
    ui.add_target("Family")
    ui.fill_row("Title", "Basement")
    ui.fill_row("Message", "Go and look.")
    add_action(ui, "Outlook.com SMTP: Send message")
    ui.see("Sends one mail, with everything that a mail can have.")
    ui.choose_account(OWN)
    ui.fill_row_list("To", ("Carla <carla@example.com>",))
    ui.fill_row("Title", "Water")
    ui.fill_row("Message", "There is a leak in the basement.")
    with screenshots.on_high_page():
        ui.row("Account").scroll_into_view_if_needed()
        screenshots.take("send-message", ui.page.locator("ha-automation-sidebar"))
    ui.press("Save")
    ui.see("Name", ui.dialog)
    ui.dialog.locator("input").first.fill("Water alarm")
    ui.finish("Save")
    api.wait_for_state("automation.water_alarm", "on")
    ui.press("Menu", ui.page.locator("ha-automation-editor"))
    ui.choose_item("Run actions")
    assert about(receive(mail_server)) == (OWN, FAMILY, "Basement")
    assert about(receive(mail_server, 2)) == (OWN, (CARLA,), "Water")


def test_buttons(ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """The account's page has buttons to check the connection and to send a test email."""
    before = mail_server.connections
    ui.open(f"/config/devices/device/{api.render('{{ device_id("notify.demo_outlook_com") }}')}")
    ui.see("Service info")
    buttons = ui.page.locator("hui-button-entity-row")
    ui.press("Press", buttons.filter(has_text="Check now"))
    until(lambda: mail_server.connections > before, lambda: "Check now did not check anything.")
    ui.press("Press", buttons.filter(has_text="Send test mail"))
    assert about(receive(mail_server)) == (OWN, (OWN,), "Test mail from Home Assistant")
    ui.see("recipients")
    with screenshots.on_high_page():
        cards = ui.page.locator("ha-device-entities-card")
        screenshots.take("device", cards, margin=8)
