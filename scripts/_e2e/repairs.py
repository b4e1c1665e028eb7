"""Scenes in which an account needs a person: repairs, and signing in again."""

from .accounts import sign_in_with_code
from .stage import DASHBOARD, INTEGRATION, OWN, Stage

REPAIRS = "/config/repairs"


async def passwords_no_longer_accepted(stage: Stage) -> None:
    """Microsoft refuses the password from one day to the next: the repair leads to the sign-in."""
    screen = stage.screen
    stage.behave("basic_auth_disabled")
    await screen.open(DASHBOARD)
    await screen.tap("Check now")
    await screen.see("Passwords no longer accepted")
    account = screen.page.locator("hui-section").first
    await stage.album.take("connection-off", account, margin=16)
    await screen.open(REPAIRS)
    await screen.choose(f"Microsoft no longer accepts the password of {OWN}")
    await screen.see("The server said: 535 5.7.139")
    await stage.album.take_dialog("repair", screen.frame)
    stage.behave()
    await screen.choose("Sign in with Microsoft", screen.dialog)
    await screen.see("Microsoft no longer accepts passwords for")
    await sign_in_with_code(stage, OWN)
    await screen.see("Re-authentication was successful")  # Home Assistant's own words.
    await screen.submit("Close")
    await screen.see_no_dialog()
    await screen.see("There are currently no repairs")


async def sign_in_again(stage: Stage) -> None:
    """The permission is withdrawn: Home Assistant asks to sign in again."""
    screen = stage.screen
    stage.identity.revoke(OWN)
    await screen.open(DASHBOARD)
    await screen.tap("Check now")
    await screen.see("Disconnected")
    await screen.open(INTEGRATION)
    await screen.press("Reconfigure")
    await screen.see("Microsoft wants", screen.dialog)
    await sign_in_with_code(stage, OWN)
    await screen.see("Re-authentication was successful")  # Home Assistant's own words.
    await screen.submit("Close")
    await screen.see_no_dialog()
    await screen.open(DASHBOARD)
    await screen.see("Mail can be sent.")
