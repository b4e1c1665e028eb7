"""A failed message that is deleted before its week is over is reported with the reason."""

import logging
import re

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .conftest import ADDRESS
from .fake_microsoft import FakeServer, Script, Step
from .helpers import ANNA, ask, mailer_of, outgoing, state_of
from .repair_helpers import Repair, find_issue, raised

REFUSING = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
DELIVERY = "event.me_outlook_com_delivery"


async def test_failed_messages_deleted_early_are_reported(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the event, the log, list_outbox and a repair issue, until a person has seen it."""
    hass.config_entries.async_update_entry(account, options={"max_messages": 2, "max_size": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.mailboxes[ADDRESS].script = REFUSING
    ids: list[str] = []
    for title in ("Door", "Gate", "Smoke"):
        assert raised(hass) == (["messages_failed"] if ids else [])
        with pytest.raises(HomeAssistantError, match="Not like this"):
            await mailer_of(account).send(outgoing(title))
        ids.append(mailer_of(account).queue.failed[-1].failure.spooled.id)

    assert raised(hass) == ["discarded", "messages_failed"]
    listed = await ask(hass, "list_outbox")
    assert [item["title"] for item in listed["failed"]] == ["Gate", "Smoke"]
    assert [(item["id"], item["title"]) for item in listed["discarded"]] == [(ids[0], "Door")]
    lines = [record for record in caplog.records if "before its week" in record.getMessage()]
    assert [record.levelno for record in lines] == [logging.WARNING]
    assert ids[0] in lines[0].getMessage()

    issue = find_issue(hass, "discarded", account)
    assert issue
    assert issue.severity is ir.IssueSeverity.WARNING
    repair = Repair(hass, hass_client)
    await repair.open("discarded", account)
    assert "limit: 2 (1 MB)" in repair.text
    assert re.search(rf"- \*\*Door\*\* → {ANNA} · 20.* · 554 5.6.0 Not like this", repair.text)
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    fake_server.mailboxes[ADDRESS].script = Script()
    await mailer_of(account).send(outgoing("Bell"))
    assert raised(hass) == ["messages_failed"]
    assert "discarded" not in await ask(hass, "list_outbox")


async def test_event_reports_early_deletions(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """After the event of the message that needed the room, or before: each has its own event."""
    hass.config_entries.async_update_entry(account, options={"max_messages": 1, "max_size": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    turns: list[tuple[str, list[str]]] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        """Store the events of a message."""
        if (new := event.data["new_state"]) and new.entity_id == DELIVERY:
            turns.append((new.attributes["event_type"], new.attributes["recipients"]))

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    fake_server.mailboxes[ADDRESS].script = REFUSING
    for name in ("a", "b"):
        with pytest.raises(HomeAssistantError, match="Not like this"):
            await mailer_of(account).send(outgoing("Door", f"{name}@example.com"))
    await hass.async_block_till_done()
    assert sorted(turns) == [
        ("discarded", ["a@example.com"]),
        ("refused", ["a@example.com"]),
        ("refused", ["b@example.com"]),
    ]
    assert state_of(hass, DELIVERY).attributes["event_type"] == "refused"
