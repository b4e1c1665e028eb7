"""An account whose SMTP is switched off sends through Microsoft Graph."""

from tests.fake_microsoft import FakeGraph

from .accounts import (
    FAMILY,
    WITHOUT_SMTP,
    IdentityPlatform,
    about,
    approve,
    receive,
    sign_in_with_code,
)
from .api import Api
from .screenshots import Screenshots
from .ui import ADD, Ui


def test_graph_is_offered(
    ui: Ui, api: Api, identity: IdentityPlatform, graph: FakeGraph, screenshots: Screenshots
) -> None:
    """The dialog says that SMTP is off, and takes a second code; then email arrives at Graph."""
    ui.open(ADD)
    ui.submit("OK")
    ui.see("Add a mail account")
    sign_in_with_code(ui, identity, WITHOUT_SMTP)
    ui.see("SMTP is switched off", ui.dialog)
    ui.see("There is no setting to switch it on.")
    screenshots.take_page("smtp-off")
    screenshots.take_dialog("smtp-off", ui.frame)
    assert api.accounts() == []

    ui.choose("Send through Microsoft Graph instead", ui.dialog)
    ui.see("One more permission", ui.dialog)
    ui.see("Mail.Send")
    screenshots.take_page("permission")
    ui.submit()
    ui.see("Type the code below")
    approve(ui, identity, WITHOUT_SMTP)
    ui.see("A recipient becomes a notifier of its own.")
    assert graph.received == []
    ui.fill("Name", "Family")
    ui.fill_list("Addresses", FAMILY)
    ui.submit()
    ui.finish()
    api.wait_for_state("notify.family", "unknown")

    api.call(
        "notify.send_message",
        {"entity_id": "notify.family", "title": "Water", "message": "There is a leak."},
    )
    assert about(receive(graph)) == (WITHOUT_SMTP, FAMILY, "Water")
    ui.open(f"/config/devices/device/{api.render('{{ device_id("notify.robin_outlook_com") }}')}")
    ui.see("Outlook.com (Microsoft Graph)")
    ui.press("Press", ui.page.locator("hui-button-entity-row").filter(has_text="Send test mail"))
    assert about(receive(graph, 2)) == (
        WITHOUT_SMTP,
        (WITHOUT_SMTP,),
        "Test mail from Home Assistant",
    )
    ui.see("Connected")
    connection = "binary_sensor.robin_outlook_com_connection"
    assert api.render(f"{{{{ state_attr('{connection}', 'route') }}}}") == "graph"
    screenshots.take_page("device-graph")
