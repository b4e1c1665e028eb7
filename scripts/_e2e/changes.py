"""Scenes in which an account is changed: its recipients, its options, its server."""

from tests.standin import blocked_port

from .accounts import close_changed, fill_server, finish
from .stage import INTEGRATION, OWN, Stage


async def add_recipient(stage: Stage) -> None:
    """Another recipient: first with a name that is taken and a wrong address, then right."""
    screen = stage.screen
    await screen.open(INTEGRATION)
    await screen.press("Menu", screen.entry(OWN))
    await screen.choose_item("Add recipient")
    await screen.see("A recipient becomes a notifier of its own.")
    await screen.fill("Name", "Family")
    await screen.fill_list("Addresses", ("carl@",))
    await screen.submit()
    await screen.see("Another recipient of this account already has this name.")
    await screen.see("has nothing after the @.")
    await screen.fill("Name", "Carl")
    await screen.fill_list("Addresses", ("carl@example.com",))
    await screen.submit()
    await finish(stage)
    await stage.wait_for_state("notify.carl", "unknown")


async def change_recipient(stage: Stage) -> None:
    """A recipient gets another name and address."""
    screen = stage.screen
    await screen.press("Change recipient", screen.subentry("Carl"))
    await screen.see("Change recipient", screen.dialog)
    await screen.fill("Name", "Carla")
    await screen.fill_list("Addresses", ("carla@example.com",))
    await screen.submit()
    await close_changed(stage)
    await screen.subentry("Carla").wait_for()


async def change_options(stage: Stage) -> None:
    """The options: a sender's name, and less patience with the server."""
    screen = stage.screen
    await screen.press("Configure", screen.entry(OWN))
    await screen.see("The name that recipients see beside the address.")
    await screen.fill("Sender name", "Our house")
    await screen.fill("Time-out", "4")
    await screen.fill("Time-out", "5")
    await stage.album.take_dialog("options", screen.frame)
    await screen.submit()
    await finish(stage)


async def change_server(stage: Stage) -> None:
    """The account is moved to a port that is blocked, and back to the one that works."""
    screen = stage.screen
    await screen.press("Menu", screen.entry(OWN))
    await screen.choose_item("Reconfigure")
    await screen.see("What do you want to change for")
    await screen.choose("Change the server or port", screen.dialog)
    await screen.see("The server that takes your outgoing mail.")
    with blocked_port() as port:
        await fill_server(stage, "127.0.0.1", port)
        await screen.see("blocks the port, or the host is wrong")
    await fill_server(stage, stage.standin.host, stage.standin.port)
    await close_changed(stage)
