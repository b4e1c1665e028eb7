"""A change of options or recipients does not reload the account: no entity is unavailable."""

from types import MappingProxyType

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.outlook_smtp.const import (
    CONF_CHECK_INTERVAL,
    CONF_LIFETIME,
    CONF_MAX_MESSAGES,
    CONF_RECIPIENTS,
    CONF_REPLY_TO,
    CONF_SENDER_NAME,
    SUBENTRY_RECIPIENT,
)

from .conftest import ADDRESS
from .fake_microsoft import FakeGraph, FakeServer
from .helpers import mailer_of, outgoing

OPTIONS = {
    CONF_SENDER_NAME: "Home",
    CONF_REPLY_TO: "anna@example.com",
    CONF_CHECK_INTERVAL: 60,
    CONF_LIFETIME: 2,
    CONF_MAX_MESSAGES: 7,
    "timeout": 77,
}


async def test_options_apply_without_a_reload(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """No state changes, and the next email, check and limit follow the new options."""
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    parts = account.runtime_data
    hass.config_entries.async_update_entry(account, options=OPTIONS)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert changes == []
    assert account.runtime_data is parts
    assert parts.queue.limits.messages == 7
    assert parts.worker._terms().lifetime == 7200
    assert parts.coordinator.update_interval.total_seconds() == 3600
    assert parts.route._account.timeout == 77
    await mailer_of(account).send(outgoing())
    message = fake_server.received[-1].message
    assert message["From"] == f"Home <{ADDRESS}>"
    assert message["Reply-To"] == "anna@example.com"


async def test_timeout_of_graph_follows(
    hass: HomeAssistant, graph_account: MockConfigEntry, graph: FakeGraph
) -> None:
    """It is the same for an account that sends through Microsoft Graph."""
    hass.config_entries.async_update_entry(graph_account, options=OPTIONS)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert graph_account.runtime_data.route._timeouts.timeout == 77


async def test_a_failing_account_keeps_its_checks(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """While email does not work, a long check interval does not delay the checks."""
    fake_server.mailboxes.clear()
    await account.runtime_data.coordinator.async_refresh()
    hass.config_entries.async_update_entry(account, options={CONF_CHECK_INTERVAL: 1440})
    await hass.async_block_till_done()
    assert account.runtime_data.coordinator.update_interval.total_seconds() == 1800
    for flow in hass.config_entries.flow.async_progress():
        hass.config_entries.flow.async_abort(flow["flow_id"])


async def test_recipients_come_and_go_without_a_reload(
    hass: HomeAssistant, account: MockConfigEntry, device_registry: dr.DeviceRegistry
) -> None:
    """Only the recipient's own entity changes; its device shows the addresses."""
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    subentry = ConfigSubentry(
        data=MappingProxyType({CONF_RECIPIENTS: ["Carl <carl@example.com>"]}),
        subentry_type=SUBENTRY_RECIPIENT,
        title="Carl",
        unique_id=None,
    )
    hass.config_entries.async_add_subentry(account, subentry)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get("notify.carl")
    hass.config_entries.async_remove_subentry(account, subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get("notify.carl") is None
    assert {event.data["entity_id"] for event in changes} == {"notify.carl"}
    assert "unavailable" not in {
        event.data["new_state"].state for event in changes if event.data["new_state"]
    }


@pytest.mark.parametrize("change", [{"title": "Mail"}, {"data": {"timeout": 1}}])
async def test_other_changes_reload(
    hass: HomeAssistant, account: MockConfigEntry, change: dict[str, object]
) -> None:
    """Another title or another server builds the account again."""
    parts = account.runtime_data
    if "data" in change:
        change = {"data": {**account.data, "username": ADDRESS}}
    hass.config_entries.async_update_entry(account, **change)  # type: ignore[arg-type] # Of either kind.
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account.runtime_data is not parts
