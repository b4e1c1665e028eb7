"""Automations have triggers and a condition of their own, without any template."""

from typing import Any

from homeassistant.components.automation import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    condition,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.condition import async_get_all_descriptions as condition_descriptions
from homeassistant.helpers.trigger import async_get_all_descriptions as trigger_descriptions
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import act, defer, mailer_of, outgoing, state_of
from .test_health import Pass, pass_time
from .test_repository import INTEGRATION, read_json

__all__ = ["pass_time"]

CONNECTION = "binary_sensor.me_outlook_com_connection"
DELIVERY = "event.me_outlook_com_delivery"
TRIGGERS = ("email_failed", "stopped_working", "works_again")
REFUSED = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})


@pytest.fixture
def device_id(account: MockConfigEntry, device_registry: dr.DeviceRegistry) -> str:
    """Return the ID of the account's device."""
    device = device_registry.async_get_device_by_identifier(
        (DOMAIN, account.entry_id), account.entry_id
    )
    assert device
    return device.id


async def automate(hass: HomeAssistant, target: dict[str, Any]) -> list[ServiceCall]:
    """Set up an automation with all triggers; return the list of what has triggered it."""
    calls = async_mock_service(hass, "test", "triggered")
    triggers = [{"trigger": f"{DOMAIN}.{key}", "target": target, "id": key} for key in TRIGGERS]
    actions = [{"action": "test.triggered", "data": {"by": "{{ trigger.id }}"}}]
    automation = {"triggers": triggers, "actions": actions, "mode": "parallel"}
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {AUTOMATION_DOMAIN: [automation]})
    await hass.async_block_till_done()
    return calls


async def works(hass: HomeAssistant, target: dict[str, Any], behavior: str = "all") -> bool | None:
    """Return what the condition says."""
    config = await condition.async_validate_condition_config(
        hass,
        {"condition": f"{DOMAIN}.works", "target": target, "options": {"behavior": behavior}},
    )
    checker = await condition.async_from_config(hass, config)
    return checker.async_check()


async def test_triggers_follow_an_outage(
    hass: HomeAssistant, fake_server: FakeServer, device_id: str, pass_time: Pass
) -> None:
    """A device is enough as the target; a minute in doubt triggers nothing."""
    target = {"device_id": device_id}
    calls = await automate(hass, target)
    assert await works(hass, target)
    fake_server.stop()
    await pass_time(minutes=31)
    assert state_of(hass, CONNECTION).state == "unknown"
    assert calls == []
    for behavior in ("any", "all"):
        assert not await works(hass, target, behavior)
    await pass_time(seconds=61)
    assert [call.data["by"] for call in calls] == ["stopped_working"]
    assert not await works(hass, target)
    fake_server.start()
    await pass_time(seconds=61)
    assert [call.data["by"] for call in calls] == ["stopped_working", "works_again"]
    assert await works(hass, target)


async def test_trigger_follows_email_that_cannot_be_sent(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, device_id: str
) -> None:
    """It triggers on one that is refused or rejected, and not on one that waits or was sent."""
    calls = await automate(hass, {"device_id": device_id})
    await mailer_of(account).send(outgoing())
    fake_server.mailboxes[ADDRESS].script = REFUSED
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    with pytest.raises(HomeAssistantError):
        await act(hass, "send_message", to=["nobody"], message="Hello")
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.MAIL: "451 4.7.500 Server busy"})
    await defer(account)
    await until(lambda: len(calls) == 2)
    assert [call.data["by"] for call in calls] == ["email_failed"] * 2


async def test_event_received_needs_no_template(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The event platform's own trigger has all that an automation needs."""
    calls = async_mock_service(hass, "test", "triggered")
    options = {"event_type": ["sent"]}
    trigger = {"trigger": "event.received", "target": {"entity_id": DELIVERY}, "options": options}
    values = {
        name: f"{{{{ trigger.to_state.attributes.{name} }}}}" for name in ("title", "recipients")
    }
    automation = {"triggers": [trigger], "actions": [{"action": "test.triggered", "data": values}]}
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {AUTOMATION_DOMAIN: [automation]})
    await hass.async_block_till_done()
    await mailer_of(account).send(outgoing("Front door"))
    fake_server.mailboxes[ADDRESS].script = REFUSED
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Refused"))
    await hass.async_block_till_done()
    (call,) = calls
    assert call.data == {"title": "Front door", "recipients": ["anna@example.com"]}


async def test_only_own_entities_count(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A connectivity sensor of something else in the same area is none of ours."""
    registry = er.async_get(hass)
    area = ar.async_get(hass).async_create("Cellar").id
    other = registry.async_get_or_create("binary_sensor", "other", "1", suggested_object_id="other")
    registry.async_update_entity(other.entity_id, area_id=area)
    registry.async_update_entity(CONNECTION, area_id=area)
    hass.states.async_set(other.entity_id, "on", {"device_class": "connectivity"})
    target = {"area_id": area}
    calls = await automate(hass, target)
    hass.states.async_set(other.entity_id, "off", {"device_class": "connectivity"})
    await hass.async_block_till_done()
    assert calls == []
    assert await works(hass, target)
    fake_server.mailboxes[ADDRESS].password = "changed"
    await account.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert [call.data["by"] for call in calls] == ["stopped_working"]


@pytest.mark.usefixtures("account")
async def test_editor_describes_triggers_and_condition(hass: HomeAssistant) -> None:
    """Each has a name, a description, an icon, and names for its fields."""
    strings, icons = (read_json(INTEGRATION / name) for name in ("strings.json", "icons.json"))
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    described = {
        "triggers": await trigger_descriptions(hass),
        "conditions": await condition_descriptions(hass),
    }
    for kind, keys in (("triggers", TRIGGERS), ("conditions", ("works",))):
        own = {key: value for key, value in described[kind].items() if key.startswith(DOMAIN)}
        assert sorted(own) == [f"{DOMAIN}.{key}" for key in sorted(keys)]
        assert set(strings[kind]) == set(icons[kind]) == set(keys)
        for key in keys:
            description = own[f"{DOMAIN}.{key}"]
            assert description
            assert description["target"]
            assert {"name", "description"} <= set(strings[kind][key])
            assert set(description.get("fields", {})) == set(strings[kind][key].get("fields", {}))
