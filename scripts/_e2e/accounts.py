"""Scenes in which accounts are added."""

from tests.standin import IMAP_GREETING, Script, StandIn

from .stage import ADD, OTHER, OWN, OWN_PASSWORD, Stage

FAMILY = ("Anna <anna@example.com>", "bert@example.com")


async def begin_adding(stage: Stage) -> None:
    """Open the dialog that adds an account, by the link that the documentation has."""
    screen = stage.screen
    await screen.open(ADD)
    await screen.submit("OK")
    await screen.see("Add a mail account")


async def add_with_password(stage: Stage) -> None:
    """An account with a password: wrong host, an IMAP server, a wrong password, then right."""
    screen = stage.screen
    await begin_adding(stage)
    await screen.choose("Password or app password", screen.dialog)
    await screen.see("Where the mailbox is.")
    await screen.choose("Another server")
    await screen.fill("E-mail address", OWN)
    await screen.fill("Password", "wrong-password")
    await screen.submit()

    await screen.see("The server that takes your outgoing mail.")
    await screen.fill("Host", "mail.example.invalid")
    await screen.submit()
    await screen.see("There is no server by the name of mail.example.invalid")

    with StandIn() as imap:
        imap.script = Script(greeting=IMAP_GREETING)
        await fill_server(stage, imap.host, imap.port)
        await screen.see("is no server for sending mail; it may be one for reading it")

    await fill_server(stage, stage.standin.host, stage.standin.port)
    await screen.see("The address or the password is wrong.")
    await screen.fill("Password", OWN_PASSWORD)
    await screen.submit()
    await screen.submit()  # The server is offered again, as it was typed.
    await screen.see("A recipient becomes a notifier of its own.")


async def add_first_recipient(stage: Stage) -> None:
    """The recipient that is offered with a new account."""
    screen = stage.screen
    await screen.fill("Name", "Family")
    await screen.fill_list("Addresses", FAMILY)
    await stage.album.take_dialog("recipients", screen.frame)
    await screen.submit()
    await finish(stage)
    await stage.wait_for_state("notify.family", "unknown")


async def passwords_refused(stage: Stage) -> None:
    """An account whose password Microsoft refuses: the dialog leads to the sign-in with a code."""
    screen = stage.screen
    stage.behave("basic_auth_disabled")
    await begin_adding(stage)
    await screen.choose("Password or app password", screen.dialog)
    await screen.see("Where the mailbox is.")
    await screen.fill("E-mail address", OTHER)
    await screen.fill("Password", "summer-2026")
    await stage.album.take_dialog("password", screen.frame)
    await screen.submit()
    await screen.see("Signing in to")
    await stage.album.take_dialog("check", screen.frame)
    await screen.see("Microsoft no longer accepts passwords for")
    await stage.album.take_dialog("passwords-refused", screen.frame)
    stage.behave()
    await sign_in_with_code(stage, OTHER, picture="code")
    await screen.see("A recipient becomes a notifier of its own.")
    await screen.press("Close", screen.dialog)
    await screen.see_no_dialog()


async def sign_in_with_code(stage: Stage, address: str, picture: str | None = None) -> None:
    """Choose the sign-in with a code in a menu, and go through it to the check of the account."""
    screen = stage.screen
    await screen.choose("Sign in with Microsoft with a code (recommended)", screen.dialog)
    await screen.see("Signing in needs an app registration with Microsoft")
    await screen.fill("Application (client) ID", stage.identity.client_id)
    await screen.submit()
    await screen.see("Type the code below")
    if picture:
        await stage.album.take_dialog(picture, screen.frame)
    await screen.submit()
    await screen.see("This goes on by itself when you have signed in.")
    await stage.approve(address)


async def finish(stage: Stage) -> None:
    """Close the dialog that says that something was added."""
    await stage.screen.submit("Finish")
    await stage.screen.see_no_dialog()


async def close_changed(stage: Stage) -> None:
    """Close the dialog that says, in Home Assistant's words, that something was changed."""
    await stage.screen.see("Reconfiguration was successful")
    await stage.screen.submit("Close")
    await stage.screen.see_no_dialog()


async def fill_server(stage: Stage, host: str, port: int) -> None:
    """Fill in the form of the server, and submit it."""
    await stage.screen.fill("Host", host)
    await stage.screen.fill("Port", str(port))
    await stage.screen.submit()
