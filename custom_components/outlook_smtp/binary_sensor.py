"""Shows whether an account can send."""

from typing import Any, Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import OutlookSmtpConfigEntry
from .entity import HealthEntity

PARALLEL_UPDATES = 0  # The coordinator and the outbox push updates.

CONNECTION: Final = BinarySensorEntityDescription(
    key="connection",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's connection sensor."""
    async_add_entities([ConnectionSensor(entry, CONNECTION)])


class ConnectionSensor(HealthEntity, BinarySensorEntity):
    """On while the account can send, off while it cannot, unknown until that is certain.

    It is unknown before the first result, and in the first minute after the server was away.
    """

    # It changes with every check, and the database would get a new set of attributes each time.
    _unrecorded_attributes = frozenset({"last_success"})

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether the account can send, or None while that is in doubt."""
        return self.coordinator.data.is_on

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return the route, the problem, the server's reply, and since when."""
        health = self.coordinator.data
        return {
            "route": self.entry.runtime_data.route.name,
            "problem": health.shown_problem,
            "server_reply": health.reply,
            "since": health.since,
            "last_success": health.last_success,
        }
