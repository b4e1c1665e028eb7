"""Shows whether an account can send."""

from typing import Any, override

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity

PARALLEL_UPDATES = 0  # The coordinator and the outbox push what is shown.


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's connection sensor."""
    async_add_entities([ConnectionSensor(entry)])


class ConnectionSensor(CoordinatorEntity[HealthCoordinator], OutlookSmtpEntity, BinarySensorEntity):
    """On while the account can send, off while it cannot, unknown before the first answer."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "connection"

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Show the health that the coordinator holds."""
        CoordinatorEntity.__init__(self, entry.runtime_data)
        OutlookSmtpEntity.__init__(self, entry, "connection")

    @property
    @override
    def available(self) -> bool:
        """Return True: that the server is away is what this sensor is there to say."""
        return True

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether the account can send."""
        return self.coordinator.data.connected

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return what stands in the way, the server's words, and since when."""
        health = self.coordinator.data
        return {
            "problem": health.problem,
            "server_reply": health.reply,
            "since": health.since,
            "last_success": health.last_success,
        }
