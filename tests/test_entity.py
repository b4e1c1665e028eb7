"""The devices show what kind an account is, and which account a recipient belongs to."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, DOMAIN

from .conftest import ADDRESS
from .helpers import settle


@pytest.mark.parametrize(
    ("kind", "manufacturer", "model"),
    [
        ("personal", "Microsoft", "Outlook.com"),
        ("work", "Microsoft", "Microsoft 365"),
        ("other", None, "127.0.0.1"),
    ],
)
async def test_account_is_a_service_of_microsoft_or_another_server(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    account_data: dict[str, Any],
    device_registry: dr.DeviceRegistry,
    *,
    kind: str,
    manufacturer: str | None,
    model: str,
) -> None:
    """Other servers are shown with their name."""
    data = account_data | {CONF_ACCOUNT_KIND: kind}
    hass.config_entries.async_update_entry(entry, data=data)
    await settle(hass, entry)
    device = device_registry.async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert device
    assert (device.name, device.manufacturer, device.model) == (ADDRESS, manufacturer, model)
    assert device.model_id == "SMTP"
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    assert device.via_device_id is None


async def test_recipient_is_linked_to_its_account(
    account: MockConfigEntry, device_registry: dr.DeviceRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """It has its own device, in its subentry, and Home Assistant logs no warning."""
    (subentry_id,) = account.subentries
    owner, recipient = (
        device_registry.async_get_device_by_identifier((DOMAIN, identifier), account.entry_id)
        for identifier in (account.entry_id, f"{account.entry_id}_{subentry_id}")
    )
    assert owner
    assert recipient
    assert (recipient.name, recipient.model) == (
        "Family",
        "anna@example.com, bert@example.com",
    )
    assert recipient.entry_type is dr.DeviceEntryType.SERVICE
    assert recipient.via_device_id == owner.id
    assert recipient.config_subentry_id == subentry_id
    assert owner.config_subentry_id is None
    assert "deprecated" not in caplog.text
