"""Activity says what happened to each email, with its title and its recipients."""

from collections.abc import Callable
from typing import Any

from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.outlook_smtp.const import DOMAIN, EVENT_DELIVERY
from custom_components.outlook_smtp.logbook import async_describe_events
from custom_components.outlook_smtp.message.mailbox import parse_mailboxes
from custom_components.outlook_smtp.message.outgoing import OutgoingMessage
from custom_components.outlook_smtp.outbox import events as outbox_events

from .fake_microsoft import FakeServer, Script, Step
from .helpers import ANNA, BERT, defer, mailer_of, outgoing

DELIVERY = "event.me_outlook_com_delivery"


@pytest.fixture
async def events(hass: HomeAssistant, account: MockConfigEntry) -> list[Any]:
    """Return the events of deliveries, from now on."""
    return async_capture_events(hass, EVENT_DELIVERY)


def described(hass: HomeAssistant, events: list[Any]) -> list[str]:
    """Return what Activity shows of some events."""
    describe: dict[tuple[str, str], Callable[[Event[Any]], dict[str, str]]] = {}
    async_describe_events(hass, lambda domain, name, each: describe.update({(domain, name): each}))
    shown = [describe[DOMAIN, EVENT_DELIVERY](event) for event in events]
    assert {entry["entity_id"] for entry in shown} <= {DELIVERY}
    return [f"{entry['name']}: {entry['message']}" for entry in shown]


async def test_recipients_are_named(
    hass: HomeAssistant, account: MockConfigEntry, events: list[Any], fake_server: FakeServer
) -> None:
    """Those of the account have names; other addresses are shown as they are, and Bcc is not."""
    for to, bcc in (
        ((ANNA, BERT), ()),
        ((ANNA,), ()),
        (("carl@example.com", BERT, ANNA), ("secret@example.com",)),
        ((), ("secret@example.com",)),
    ):
        await mailer_of(account).send(
            OutgoingMessage(
                to=parse_mailboxes(to, "to"),
                bcc=parse_mailboxes(bcc, "bcc"),
                title="Front door",
                text="Open",
            )
        )
    sent = "me@outlook.com: Email 'Front door' to {} was sent"
    assert described(hass, events) == [
        sent.format(named)
        for named in ("Family", ANNA, "Family, carl@example.com", "undisclosed recipients")
    ]


async def test_every_fate_is_described(
    hass: HomeAssistant, account: MockConfigEntry, events: list[Any], fake_server: FakeServer
) -> None:
    """An email that was refused, or rejected before it reached the outbox, has its title, too."""
    fake_server.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Garage", ANNA, BERT))
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(
            DOMAIN,
            "send_message",
            {"to": ["nobody"], "title": "Cellar", "message": "Water"},
            blocking=True,
        )
    fake_server.stop()
    await defer(account, outgoing("Attic", ANNA, BERT))
    assert described(hass, events) == [
        "me@outlook.com: Email 'Garage' to Family was refused",
        "me@outlook.com: Email 'Cellar' to undisclosed recipients could not be sent",
        "me@outlook.com: Email 'Attic' to Family is waiting in the outbox",
    ]
    texts = await async_get_translations(hass, "en", "common", [DOMAIN])
    for event in outbox_events.Event:
        assert f"component.{DOMAIN}.common.activity_{event}" in texts
