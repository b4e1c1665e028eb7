"""An account is set up without waiting for the network, and unloaded without a trace."""

from collections.abc import Iterator

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import until
from .fake_microsoft import FakeServer, Script, blocked_port


@pytest.fixture(params=["alive", "dead", "silent", "behind a firewall"])
def any_server(
    request: pytest.FixtureRequest,
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
) -> Iterator[None]:
    """Let the server respond, refuse, accept connections silently, or not even do that."""
    if request.param == "dead":
        fake_server.stop()
    if request.param == "silent":
        fake_server.script = Script(silent=True)
    with blocked_port() as port:
        if request.param == "behind a firewall":
            data = {**entry.data, CONF_PORT: port}
            hass.config_entries.async_update_entry(entry, data=data)
        yield


@pytest.mark.usefixtures("any_server")
async def test_set_up_does_not_wait_for_the_server(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Entities and actions exist before the server has responded, whatever it does."""
    # Time stands still, so waiting for a reply that never comes would take forever.
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert not entry.runtime_data.coordinator.attempts
    assert {
        "binary_sensor.me_outlook_com_connection",
        "button.me_outlook_com_check_now",
        "button.me_outlook_com_retry_failed_email",
        "button.me_outlook_com_send_test_email",
        "button.me_outlook_com_send_waiting_email_now",
        "event.me_outlook_com_delivery",
        "notify.family",
        "notify.me_outlook_com",
        "sensor.me_outlook_com_failed",
        "sensor.me_outlook_com_last_sent",
        "sensor.me_outlook_com_outbox",
        "sensor.me_outlook_com_sent_in_the_last_24_hours",
        "sensor.me_outlook_com_status",
        "switch.me_outlook_com_hold_email",
    } == {state.entity_id for state in hass.states.async_all()}
    assert hass.services.has_service("notify", "me_outlook_com")
    assert hass.services.has_service("outlook_smtp", "send_message")
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_unloading_during_a_check_leaves_nothing_open(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The connection of a stalled check is closed with the account."""
    fake_server.script = Script(silent=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: fake_server.open_connections == 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not hass.services.has_service("notify", "me_outlook_com")
    await until(lambda: fake_server.open_connections == 0)


async def test_changed_entry_is_reloaded_with_the_same_entities(
    hass: HomeAssistant,
    account: MockConfigEntry,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """Options and recipients take effect at once; removed ones leave the registries."""
    before = set(entity_registry.entities)
    mailer = account.runtime_data.mailer
    hass.config_entries.async_update_entry(account, options={"sender_name": "House"})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account.runtime_data.mailer is mailer
    assert mailer.sender.name == "House"

    hass.config_entries.async_update_entry(account, data=account.data | {"host": "localhost"})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account.runtime_data.mailer is not mailer
    assert set(entity_registry.entities) == before

    (family,) = account.subentries.values()
    hass.config_entries.async_remove_subentry(account, family.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert before - set(entity_registry.entities) == {"notify.family"}
    devices = dr.async_entries_for_config_entry(device_registry, account.entry_id)
    assert [device.name for device in devices] == ["me@outlook.com"]
