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
from .user_texts import text


def test_graph_is_offered(
    ui: Ui, api: Api, identity: IdentityPlatform, graph: FakeGraph, screenshots: Screenshots
) -> None:
    """The dialog says that SMTP is off, and takes a second code; then email arrives at Graph."""
    ui.open(ADD)
    ui.submit("OK")
    ui.see(text("config.step.user.title"))
    sign_in_with_code(ui, identity, WITHOUT_SMTP)
    ui.see(text("config.step.smtp_off_personal.title"), ui.dialog)
    ui.see(text("config.step.smtp_off_personal.description"))
    screenshots.take_page("smtp-off")
    screenshots.take_dialog("smtp-off", ui.frame)
    assert api.accounts() == []

    ui.choose(text("config.step.smtp_off_personal.menu_options.graph"), ui.dialog)
    ui.see(text("config.step.permission.title"), ui.dialog)
    ui.see("Mail.Send")
    screenshots.take_page("permission")
    ui.submit()
    ui.see(text("config.progress.wait_for_sign_in"))
    approve(ui, identity, WITHOUT_SMTP)
    ui.see(text("config.step.works.title", address=WITHOUT_SMTP))
    ui.switch(text("config.step.works.data.send_test"))
    ui.submit()
    ui.see(text("config_subentries.recipient.step.user.description"))
    assert graph.received == []
    ui.fill(text("config_subentries.recipient.step.user.data.name"), "Family")
    ui.fill_list(text("config_subentries.recipient.step.user.data.recipients"), FAMILY)
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
    screenshots.take_page("device-graph")
    ui.press_row(text("entity.button.send_test_mail.name"))
    title = text("common.test_mail_title")
    assert about(receive(graph, 2)) == (WITHOUT_SMTP, (WITHOUT_SMTP,), title)
    ui.see("Connected")
    connection = "binary_sensor.robin_outlook_com_connection"
    assert api.render(f"{{{{ state_attr('{connection}', 'route') }}}}") == "graph"
