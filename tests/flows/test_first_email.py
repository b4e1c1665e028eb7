"""The last form of a new account: its sender's name, and a test email on the spot."""

import asyncio

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.outlook_smtp.const import CONF_SENDER_NAME, DOMAIN
from custom_components.outlook_smtp.flows import first_email

from ..conftest import ADDRESS
from ..fake_microsoft import FakeGraph, FakeServer, Script, Step
from .test_config_flow import LOCAL, Dialog, dialog, fresh_news, open_dialog
from .test_graph import choose, permit
from .test_sign_in import ROWS, Open, SignIn, haste, open_dialog as open_code

__all__ = ["dialog", "fresh_news", "haste", "open_code", "open_dialog"]

SENDER = {CONF_SENDER_NAME: "Our home"}
NOT_CONFIRMED = "test_not_confirmed"


async def reach_the_end(dialog: Dialog) -> None:
    """Enter an account that works."""
    dialog.at_the_end = None
    await dialog.submit()
    assert dialog.fault == ("works", {})
    assert dialog.placeholders["address"] == ADDRESS


async def test_account_works_and_sends(
    hass: HomeAssistant, dialog: Dialog, fake_server: FakeServer
) -> None:
    """The test email has the sender's name, and the account is saved when it was sent."""
    await reach_the_end(dialog)
    assert not fake_server.received
    await dialog.submit(SENDER, send_test=True)
    assert dialog.stages[-1] == "data"
    assert dialog.fault == ("tested", {})
    [sent] = fake_server.received
    assert sent.message["From"] == f"Our home <{ADDRESS}>"
    assert (sent.message["To"], sent.message["Subject"]) == (
        ADDRESS,
        "Test email from Home Assistant",
    )
    assert not hass.config_entries.async_entries(DOMAIN)
    await dialog.submit({})
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert dialog.result["options"] == SENDER
    assert len(fake_server.received) == 1


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (None, "connection_refused"),
        (Script(drop=Step.GREETING), "connection_lost"),
        (Script(drop=Step.FINAL), NOT_CONFIRMED),
        (Script(stall=Step.FINAL), NOT_CONFIRMED),
        (Script.for_row(ROWS["spam_abuse"]), "sender_blocked"),
    ],
)
async def test_test_email_that_fails_is_explained(
    dialog: Dialog,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    script: Script | None,
    error: str,
) -> None:
    """The dialog says why, soon, keeps what was typed, and saves the account all the same."""
    await reach_the_end(dialog)
    if script is None:
        await asyncio.to_thread(fake_server.stop)
    else:
        fake_server.script_next(script)
        if script.stall:
            monkeypatch.setattr(first_email, "LONGEST", 0.5)
    await dialog.submit(SENDER, send_test=True)
    assert dialog.fault == ("works", {"base": error})
    assert dialog.placeholders["host"] == LOCAL
    assert dialog.filled_in == SENDER | {"send_test": False}
    if script is None:
        return
    fake_server.go_on()
    await dialog.submit(SENDER, send_test=False)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


def test_a_person_waits_for_a_minute_at_most() -> None:
    """The outbox waits for ten."""
    assert first_email.LONGEST == 60


async def test_test_email_goes_the_way_of_the_account(
    open_code: Open, fake_server: FakeServer, graph: FakeGraph
) -> None:
    """Where SMTP is switched off, it is sent through Microsoft Graph."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["mailbox_disabled"])
    dialog: SignIn = await open_code()
    dialog.at_the_end = None
    await dialog.sign_in()
    await choose(dialog, "graph")
    await permit(dialog)
    assert dialog.fault == ("works", {})
    assert not graph.received
    await dialog.submit({"send_test": True})
    assert dialog.fault == ("tested", {})
    [sent] = graph.received
    assert sent.message["To"] == ADDRESS
    assert not fake_server.received


async def test_closed_dialog_stops_the_test_email(
    hass: HomeAssistant, dialog: Dialog, fake_server: FakeServer
) -> None:
    """No connection is left when the dialog is closed while the server is silent."""
    await reach_the_end(dialog)
    fake_server.script_next(Script(stall=Step.AUTH))
    await dialog.begin({"send_test": True})
    dialog.close()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not hass.config_entries.flow.async_progress()
    assert not fake_server.received
