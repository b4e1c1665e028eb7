"""The end of an account: its diagnostics are downloaded, and it is removed."""

import json
from pathlib import Path

from playwright.sync_api import expect
import pytest

from .accounts import OTHER, OWN, OWN_PASSWORD, IdentityPlatform, add_with_code
from .api import Api
from .ui import INTEGRATION, Ui


@pytest.fixture(autouse=True)
def accounts(account: str, api: Api, identity: IdentityPlatform) -> None:
    """Add an account with a password and one that signs in."""
    add_with_code(api, identity, OTHER)


def test_diagnostics(ui: Ui, identity: IdentityPlatform) -> None:
    """The downloaded diagnostics have no secrets and no addresses."""
    ui.open(INTEGRATION)
    for address in (OWN, OTHER):
        ui.press("Menu", ui.entry(address))
        with ui.page.expect_download() as downloading:
            ui.choose_item("Download diagnostics")
        text = Path(downloading.value.path()).read_text()
        assert "health" in json.dumps(json.loads(text)["data"])
        secrets = {OWN, OWN_PASSWORD, OTHER, "anna@example.com", *identity.issued}
        assert [secret for secret in secrets if secret in text] == []


def test_removal(ui: Ui, api: Api) -> None:
    """Both accounts are removed, and nothing of them is left."""
    ui.open(INTEGRATION)
    for address in (OTHER, OWN):
        ui.press("Menu", ui.entry(address))
        ui.choose_item("Delete")
        ui.see("Delete", ui.dialog)
        ui.submit("Delete")
        expect(ui.entry(address)).to_be_hidden()
        api.wait_for_state(f"notify.{address.replace('@', '_').replace('.', '_')}", None)
