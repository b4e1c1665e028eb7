"""Send mail: from the developer tools, an automation and a button."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import FAMILY, OWN, about, receive
from .api import Api, until
from .overflow import cut_off, lines
from .screenshots import Screenshots
from .ui import Ui
from .user_texts import NAME, text

SECTIONS = tuple(
    text(f"services.send_message.sections.{name}.name")
    for name in ("recipients", "content", "files", "sender", "timing", "account")
)
DESCRIPTION = text("services.send_message.description")
MARKDOWN, MESSAGE, TITLE, TO = (
    text(f"services.send_message.fields.{name}.name")
    for name in ("markdown", "message", "title", "to")
)
CARLA = "carla@example.com"


pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def carla(api: Api, account: str) -> None:
    """Add a second recipient."""
    api.add_recipient(account, "Carla", (CARLA,))


def open_send_message(ui: Ui) -> None:
    """Open the integration's own action in the developer tools."""
    ui.open_tools("outlook_smtp.send_message")
    ui.see(DESCRIPTION)


def add_action(ui: Ui, name: str) -> None:
    """Add an action to the automation in the editor."""
    ui.press("Add action")
    ui.dialog.locator("input").first.fill(name)
    ui.choose(name, ui.dialog)
    ui.see_no_dialog()
    ui.see(name, ui.page.locator("ha-automation-sidebar"))


@pytest.mark.usefixtures("carla")
def test_many_fields(ui: Ui, mail_server: FakeServer) -> None:
    """outlook_smtp.send_message has its few usual fields first, the others, and a response."""
    open_send_message(ui)
    control = ui.page.locator("ha-service-control")
    ui.see("Target", control)
    assert not ui.row(MARKDOWN).is_visible()
    ui.fill_row(TITLE, "Somebody is at the front door")
    ui.fill_row(MESSAGE, "The bell rang at five to twelve.")
    for section in SECTIONS:
        ui.open_section(section)
    ui.row(text("services.send_message.fields.sender_name.name")).wait_for()
    assert not ui.row(MARKDOWN).locator("ha-checkbox input").is_checked()
    descriptions = control.locator("ha-settings-row [slot=description]").locator("visible=true")
    assert descriptions.count() > len(SECTIONS)
    assert [each.inner_text() for each in descriptions.all() if lines(each) != 1] == []
    assert cut_off(control) == []
    ui.choose_account(OWN)
    ui.fill_row_list(TO, ("Anna <anna@example.com>", "notify.carla"))
    ui.select_row(
        text("services.send_message.fields.priority.name"), text("selector.priority.options.high")
    )
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
    ui.fill_row(MESSAGE, "Dinner is ready.")
    ui.press("Perform action")
    ui.see("status: sent")
    assert receive(mail_server).recipients == FAMILY


def test_wrong_address(ui: Ui) -> None:
    """outlook_smtp.send_message names an invalid email address."""
    open_send_message(ui)
    ui.open_section(SECTIONS[0])
    ui.fill_row_list(TO, ("nobody",))
    ui.fill_row(MESSAGE, "This is not sent.")
    ui.press("Perform action")
    ui.see('"nobody"')


def test_automation(ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots) -> None:
    """An automation with both ways to send is created in the editor, saved and run."""
    ui.open("/config/automation/edit/new")
    add_action(ui, "Send a notification message")
    ui.add_target("Family")
    ui.fill_row("Title", "Basement")
    ui.fill_row("Message", "Go and look.")
    add_action(ui, f"{NAME}: {text('services.send_message.name')}")
    ui.see(DESCRIPTION)
    ui.fill_row(TITLE, "Water")
    ui.fill_row(MESSAGE, "There is a leak in the basement.")
    ui.open_section(SECTIONS[0])
    ui.fill_row_list(TO, ("Carla <carla@example.com>",))
    assert cut_off(ui.page.locator("ha-automation-sidebar ha-service-control")) == []
    with screenshots.on_high_page():
        ui.row(TITLE).scroll_into_view_if_needed()
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
    title = text("common.test_mail_title")
    before = mail_server.connections
    ui.open(f"/config/devices/device/{api.render('{{ device_id("notify.demo_outlook_com") }}')}")
    ui.see("Service info")
    ui.press_row(text("entity.button.check_now.name"))
    until(lambda: mail_server.connections > before, lambda: "Check now did not check anything.")
    ui.choose("Notifications")
    ui.see(text("common.check_title", account=OWN))
    ui.see(f"{text('common.check_connected')} 0.")
    ui.page.keyboard.press("Escape")
    ui.press_row(text("entity.button.send_test_mail.name"))
    assert about(receive(mail_server)) == (OWN, (OWN,), title)
    ui.see(text("common.activity_sent", title=title, recipients=OWN))
    with screenshots.on_high_page():
        cards = ui.page.locator("ha-device-entities-card")
        screenshots.take("device", cards, margin=8)
