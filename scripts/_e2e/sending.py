"""Scenes in which mail is sent: from the tools, from an automation, with a button."""

from scripts._demo.console import DemoError
from tests.standin import Received

from .stage import OWN, TOOLS, Stage, expect_mail

FAMILY = ("anna@example.com", "bert@example.com")
CARLA = ("carla@example.com",)


async def notify_from_tools(stage: Stage) -> None:
    """notify.send_message from the tools, to a target chosen from the list."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.load(f"{TOOLS}notify.send_message")
    await screen.press("Add target")
    await screen.pick("Family")
    await screen.fill_row("Title", "Washing machine")  # It is there when the target is taken.
    await screen.fill_row("Message", "The washing is done.")
    await screen.press("Perform action")
    mail = await stage.receive(before)
    expect_mail(mail, OWN, FAMILY, "Washing machine")
    _expect_sender(mail, "Our house")


async def send_from_tools(stage: Stage) -> None:
    """outlook_smtp.send_message from the tools, with many of its fields, and its response."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.load(f"{TOOLS}outlook_smtp.send_message")
    await screen.see("Sends one mail, with everything that a mail can have.")
    await choose_account(stage, OWN)
    await screen.fill_row_list("To", ("Anna <anna@example.com>", "notify.carl"))
    await screen.fill_row("Title", "Somebody is at the front door")
    await screen.fill_row("Message", "The bell rang at five to twelve.")
    await screen.select_row("Priority", "High")
    await screen.press("Perform action")
    await screen.see("status: sent")
    mail = await stage.receive(before)
    expect_mail(mail, OWN, ("anna@example.com", *CARLA), "Somebody is at the front door")


async def exclude_from_tools(stage: Stage) -> None:
    """outlook_smtp.send_message from the tools, with a target that is excluded again."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.load(f"{TOOLS}outlook_smtp.send_message")
    for name in ("Family", "Carla"):
        await screen.press("Add target")
        await screen.pick(name)
    await screen.press("Exclude target")
    await screen.pick("Carla")
    await screen.fill_row("Message", "Dinner is ready.")
    await screen.press("Perform action")
    await screen.see("status: sent")
    assert (await stage.receive(before)).recipients == FAMILY


async def refuse_from_tools(stage: Stage) -> None:
    """outlook_smtp.send_message from the tools, to somebody who is no e-mail address."""
    screen = stage.screen
    await screen.load(f"{TOOLS}outlook_smtp.send_message")
    await screen.see("Sends one mail, with everything that a mail can have.")
    await choose_account(stage, OWN)
    await screen.fill_row_list("To", ("nobody",))
    await screen.fill_row("Message", "This is not sent.")
    await screen.press("Perform action")
    await screen.see('"nobody"')


async def send_from_automation(stage: Stage) -> None:
    """An automation with both ways to send is made in its editor, saved, and run."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.open("/config/automation/edit/new")
    await _add_action(stage, "Send a notification message")
    await screen.press("Add target")
    await screen.pick("Family")
    await screen.fill_row("Title", "Basement")
    await screen.fill_row("Message", "Go and look.")
    await _add_action(stage, "Outlook.com SMTP: Send message")
    await screen.see("Sends one mail, with everything that a mail can have.")
    await choose_account(stage, OWN)
    await screen.fill_row_list("To", ("Carla <carla@example.com>",))
    await screen.fill_row("Title", "Water")
    await screen.fill_row("Message", "There is a leak in the basement.")
    async with stage.album.on_high_page():
        await screen.row("Account").scroll_into_view_if_needed()
        await stage.album.take("send-message", screen.page.locator("ha-automation-sidebar"))
    await screen.press("Save")
    await screen.see("Name", screen.dialog)
    await screen.dialog.locator("input").first.fill("Water alarm")
    await screen.submit("Save")
    await screen.see_no_dialog()
    await stage.wait_for_state("automation.water_alarm", "on")
    await screen.press("Menu", screen.page.locator("ha-automation-editor"))
    await screen.choose_item("Run actions")
    expect_mail(await stage.receive(before), OWN, FAMILY, "Basement")
    expect_mail(await stage.receive(before + 1), OWN, CARLA, "Water")


async def press_buttons(stage: Stage) -> None:
    """The account's page, and the buttons on it: check now, send test mail."""
    screen = stage.screen
    before = stage.standin.connections
    devices = await stage.api.ask("config/device_registry/list")
    [own] = (device["id"] for device in devices if device["name"] == OWN)
    await screen.open(f"/config/devices/device/{own}")
    await screen.see("Service info")
    await _press(stage, "Check now")
    await stage.wait_until(
        lambda: stage.standin.connections > before, lambda: "Check now did not check anything."
    )
    received = len(stage.standin.received)
    await _press(stage, "Send test mail")
    mail = await stage.receive(received)
    expect_mail(mail, OWN, (OWN,), "Test mail from Home Assistant")
    await screen.see("recipients")
    async with stage.album.on_high_page():
        cards = screen.page.locator("ha-device-entities-card")
        await stage.album.take("device", cards, margin=16)


async def choose_account(stage: Stage, name: str) -> None:
    """Choose the account that sends, in the field of an action."""
    screen = stage.screen
    await screen.tick_row("Account")
    row = screen.row("Account")
    await row.locator("ha-selector").click()
    await screen.pick(name)
    await screen.see(name, row)


async def _add_action(stage: Stage, name: str) -> None:
    """Add an action to the automation in the editor."""
    screen = stage.screen
    await screen.press("Add action")
    await screen.dialog.locator("input").first.fill(name)
    await screen.choose(name, screen.dialog)
    await screen.see_no_dialog()
    await screen.see(name, screen.page.locator("ha-automation-sidebar"))


async def _press(stage: Stage, name: str) -> None:
    """Press one of the account's buttons on its page."""
    row = stage.screen.page.locator("hui-button-entity-row").filter(has_text=name)
    await stage.screen.press("Press", row)


def _expect_sender(mail: Received, name: str) -> None:
    """Complain unless a mail names its sender."""
    if name not in str(mail.message["From"]):
        raise DemoError(f"The mail is not from “{name}”, but from {mail.message['From']}.")
