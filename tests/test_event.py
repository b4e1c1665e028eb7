"""The event entity reports every change of a message's state, and never its content."""

from collections.abc import Mapping
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Problem

from .conftest import until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import (
    ANNA,
    BERT,
    act,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    state_of,
    until_empty,
    waiting_files,
)

DELIVERY = "event.me_outlook_com_delivery"

type Turns = list[State]


@pytest.fixture
def turns(hass: HomeAssistant, account: MockConfigEntry) -> Turns:
    """Return the states of an account's event entity from now on."""
    states: Turns = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        """Store a state."""
        if event.data["entity_id"] == DELIVERY:
            assert event.data["new_state"]
            states.append(event.data["new_state"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return states


def told(turn: State) -> Mapping[str, Any]:
    """Return the data of an event about a message."""
    names = ("event_type", "id", "message_id", "title", "recipients", "problem", "text", "reply")
    return {name: turn.attributes[name] for name in names}


async def test_sent_message_is_reported(account: MockConfigEntry, turns: Turns) -> None:
    """It is reported with the server's reply and the accepted recipients."""
    receipt = await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    (turn,) = turns
    assert told(turn) == {
        "event_type": "sent",
        "id": receipt.id,
        "message_id": receipt.message_id,
        "title": "Door",
        "recipients": [ANNA, BERT],
        "problem": "none",
        "text": None,
        "reply": receipt.reply,
    }
    assert receipt.reply


async def test_queued_message_is_reported(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, turns: Turns
) -> None:
    """The deferral is reported once, with its reason, and then the delivery."""
    fake_server.script = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
    (receipt,) = await defer(account)
    await act(hass, "flush_outbox")
    queue = mailer_of(account).queue
    await until(lambda: queue.waiting[0].tries == 2 and not queue.under_way)
    (turn,) = turns
    assert told(turn) == {
        "event_type": "queued",
        "id": receipt.id,
        "message_id": receipt.message_id,
        "title": "Door",
        "recipients": [ANNA],
        "problem": "server_busy",
        "text": None,
        "reply": "451 4.7.500 Server busy",
    }
    fake_server.script = Script()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert told(turns[-1])["event_type"] == "sent"
    assert told(turns[-1])["id"] == receipt.id
    assert len(turns) == 2


async def test_refused_message_is_reported(
    account: MockConfigEntry, fake_server: FakeServer, turns: Turns
) -> None:
    """Refused recipients are distinguished from accepted ones."""
    reply = "550 5.1.1 Mailbox unavailable"
    fake_server.script_next(Script(refuse_recipients={BERT: reply}))
    receipt = await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    sent, refused = map(told, turns)
    (kept,) = mailer_of(account).queue.failed
    assert (sent["event_type"], sent["recipients"]) == ("sent", [ANNA])
    assert refused == {
        "event_type": "refused",
        "id": kept.failure.spooled.id,
        "message_id": receipt.message_id,
        "title": "Door",
        "recipients": [BERT],
        "problem": "recipient_refused",
        "text": None,
        "reply": reply,
    }


async def test_expired_message_is_reported(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    turns: Turns,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Its expiry is reported with its last fault."""
    fake_server.script = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
    (receipt,) = await defer(account)
    await pass_time(hass, freezer, hours=48, minutes=1)
    await until(lambda: told(turns[-1])["event_type"] != "queued")
    assert told(turns[-1]) == {
        "event_type": "expired",
        "id": receipt.id,
        "message_id": receipt.message_id,
        "title": "Door",
        "recipients": [ANNA],
        "problem": "server_busy",
        "text": None,
        "reply": "451 4.7.500 Server busy",
    }


async def test_failed_message_is_reported(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, turns: Turns
) -> None:
    """It is reported if it cannot be sent at all, for example with a damaged file."""
    fake_server.stop()
    (receipt,) = await defer(account)
    (file,) = waiting_files(hass, account)
    file.write_bytes(file.read_bytes()[:-1])
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert told(turns[-1]) == {
        "event_type": "failed",
        "id": receipt.id,
        "message_id": receipt.message_id,
        "title": "Door",
        "recipients": [ANNA],
        "problem": "none",
        "text": None,
        "reply": "",
    }


async def test_unsubmitted_message_is_reported_as_failed(
    account: MockConfigEntry, fake_server: FakeServer, turns: Turns
) -> None:
    """Without a refusal by a server, the message has failed."""
    fake_server.script_next(Script(replies={Step.EHLO_TLS: "250-Hello\n250 AUTH LOGIN"}))
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Door", "älice@example.com"))
    (turn,) = turns
    assert told(turn)["event_type"] == "failed"
    assert told(turn)["problem"] == "utf8_not_supported"
    assert told(turn)["reply"] == ""


async def test_event_has_no_content(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, turns: Turns
) -> None:
    """It has the title, but not the text; changed numbers alone are no event."""
    secret = outgoing("Top secret", text="The word is sesame")
    await mailer_of(account).send(secret)
    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(secret)
    fake_server.stop()
    (receipt,) = await defer(account, secret)
    await act(hass, "cancel_message", id=receipt.id)
    assert [told(turn)["event_type"] for turn in turns] == ["sent", "refused", "queued"]
    for turn in turns:
        assert told(turn)["title"] == "Top secret"
        assert "sesame" not in str(turn)


@pytest.mark.usefixtures("account")
async def test_every_event_and_problem_has_a_text(hass: HomeAssistant) -> None:
    """The event is readable in the logbook and on a dashboard."""
    texts = await async_get_translations(hass, "en", "entity", [DOMAIN])
    prefix = f"component.{DOMAIN}.entity.event.delivery.state_attributes"
    for event_type in state_of(hass, DELIVERY).attributes["event_types"]:
        assert texts[f"{prefix}.event_type.state.{event_type}"]
    for problem in Problem:
        assert texts[f"{prefix}.problem.state.{problem}"]
