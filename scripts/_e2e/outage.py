"""Scenes on the dashboard while the mail server is away, and when it is back."""

import asyncio

from .sending import choose_account
from .stage import DASHBOARD, OWN, TOOLS, Stage, expect_mail

SENSOR = "binary_sensor.demo_outlook_com_connection"
OUTBOX = "sensor.demo_outlook_com_outbox"


async def see_dashboard(stage: Stage) -> None:
    """A camera's picture is mailed from the dashboard, on which the account is connected."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.open(DASHBOARD)
    await screen.see("Mail can be sent.")
    await screen.see("Connected")
    await screen.tap("Mail this picture to the family")
    mail = await stage.receive(before)
    expect_mail(
        mail, OWN, ("anna@example.com", "bert@example.com"), "Somebody is at the front door"
    )
    await screen.page.locator("hui-picture-entity-card img").first.wait_for()
    await stage.album.take("dashboard", screen.page.locator("hui-section"), margin=16)


async def lose_server(stage: Stage) -> None:
    """The server goes away: a mail waits in the outbox, and the sensor turns off."""
    screen = stage.screen
    await asyncio.to_thread(stage.standin.stop)
    await screen.tap("Mail this picture to the family")
    await screen.see("1 messages")
    await screen.see("Disconnected")
    await screen.see("Connection refused")
    await stage.album.take("outbox", screen.page.locator("hui-tile-card"), margin=4)


async def list_outbox(stage: Stage) -> None:
    """What waits is listed from the tools."""
    screen = stage.screen
    await screen.load(f"{TOOLS}outlook_smtp.list_outbox")
    await screen.see("Returns the messages that are waiting and those that failed")
    await choose_account(stage, OWN)
    await screen.press("Perform action")
    await screen.see("title: Somebody is at the front door")


async def regain_server(stage: Stage) -> None:
    """The server comes back: a check turns the sensor on, and the mail is sent."""
    screen = stage.screen
    before = len(stage.standin.received)
    await screen.open(DASHBOARD)
    await screen.see("Disconnected")
    await asyncio.to_thread(stage.standin.start)
    await screen.tap("Check now")
    await screen.see("Mail can be sent.")
    await screen.see("0 messages")
    mail = await stage.receive(before)
    expect_mail(
        mail, OWN, ("anna@example.com", "bert@example.com"), "Somebody is at the front door"
    )
