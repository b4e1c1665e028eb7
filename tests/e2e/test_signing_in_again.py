"""An account needs a person: a repair issue and a reauthentication."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import OWN, IdentityPlatform, add_with_code, refusing, sign_in_with_code
from .api import Api
from .overflow import cut_off
from .screenshots import Screenshots
from .ui import DASHBOARD, INTEGRATION, REPAIRS, Ui
from .user_texts import text


def close_signed_in(ui: Ui) -> None:
    """Close the dialog that confirms success in Home Assistant's words."""
    ui.see("Re-authentication was successful")
    ui.finish("Close")


@pytest.mark.usefixtures("account", "camera")
def test_passwords_no_longer_accepted(
    ui: Ui, mail_server: FakeServer, identity: IdentityPlatform, screenshots: Screenshots
) -> None:
    """Microsoft suddenly refuses the password: Home Assistant's repair leads to the sign-in."""
    with refusing(mail_server, "basic_auth_disabled"):
        ui.open(DASHBOARD)
        ui.tap("Check now")
        ui.see(text("entity.sensor.status.state.basic_auth_disabled"))
        assert cut_off(ui.page.locator("hui-sections-view")) == []
        screenshots.take("connection-off", ui.page.locator("hui-section").first, margin=8)
        ui.open(REPAIRS)
        ui.see("Authentication expired")
        ui.page.get_by_text("Authentication expired").first.click()
        ui.see(text("config.step.passwords_refused.description", address=OWN))
        ui.see("535 5.7.139")
        screenshots.take_dialog("repair", ui.frame)
    sign_in_with_code(ui, identity, OWN)
    close_signed_in(ui)
    ui.see("There are currently no repairs")


@pytest.mark.usefixtures("camera")
def test_withdrawn_permission(ui: Ui, api: Api, identity: IdentityPlatform) -> None:
    """The permission is withdrawn: Home Assistant asks to sign in again."""
    add_with_code(api, identity, OWN)
    identity.revoke(OWN)
    ui.open(DASHBOARD)
    ui.tap("Check now")
    ui.see("Disconnected")
    ui.open(INTEGRATION)
    ui.press("Reconfigure")
    ui.see(text("config.step.reauth_sign_in.description", address=OWN), ui.dialog)
    sign_in_with_code(ui, identity, OWN)
    close_signed_in(ui)
    ui.open(DASHBOARD)
    ui.see("Email can be sent.")
