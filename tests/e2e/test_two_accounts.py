"""Two accounts: each has its own outbox, buttons and answers."""

import pytest

from tests.fake_microsoft import FakeServer

from .accounts import OTHER, OTHER_PASSWORD, OWN, about, away, receive
from .api import Api
from .overflow import cut_off
from .ui import Ui
from .user_texts import text

CHECK_NOW = text("entity.button.check_now.name")
SEND_NOW = text("entity.button.send_waiting.name")
CONNECTIONS = "binary_sensor.{}_outlook_com_connection"


def open_device(ui: Ui, api: Api, name: str) -> None:
    """Open the page of an account's device."""
    device = api.render(f"{{{{ device_id('{CONNECTIONS.format(name)}') }}}}")
    ui.open(f"/config/devices/device/{device}")
    ui.see(SEND_NOW)


@pytest.mark.usefixtures("account")
def test_two_accounts(ui: Ui, api: Api, mail_server: FakeServer) -> None:
    """Email of both waits; it is sent with the buttons of the account that it belongs to."""
    step = api.start_flow(
        "outlook_smtp",
        {"next_step_id": "password"},
        {"account_kind": "other", "email": OTHER, "password": OTHER_PASSWORD},
        {"host": mail_server.host, "port": mail_server.port, "security": "starttls"},
    )
    api.finish_flow(step)
    api.wait_for_state(CONNECTIONS.format("alex"), "on")
    with away(mail_server):
        for name in ("demo", "alex"):
            entity_id = f"notify.{name}_outlook_com"
            api.call("notify.send_message", {"entity_id": entity_id, "message": f"From {name}"})
        open_device(ui, api, "alex")
        ui.see(text("entity.sensor.status.state.connection_refused"))
        ui.press_row(CHECK_NOW)
        ui.see(text("common.check_waiting", count="1"))
        assert cut_off(ui.page.locator("ha-config-device-page")) == []
    ui.press_row(SEND_NOW)
    first, second = (receive(mail_server, count) for count in (1, 2))
    assert {about(first)[0], about(second)[0]} == {OWN, OTHER}
    ui.see(text("common.activity_sent", title="Home Assistant", recipients=OTHER))
    open_device(ui, api, "demo")
    ui.see(text("common.activity_sent", title="Home Assistant", recipients=OWN))
    ui.press_row(CHECK_NOW)
    ui.choose("Notifications")
    ui.see(text("common.check_title", account=OWN))
    ui.see(f"{text('common.check_connected')} 0.")
    ui.page.keyboard.press("Escape")
    assert cut_off(ui.page.locator("ha-config-device-page")) == []
