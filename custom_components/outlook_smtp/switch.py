"""A switch that holds the mail of an account back."""

from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity

PARALLEL_UPDATES = 0  # Nothing here talks to the server.

HOLD: Final = SwitchEntityDescription(key="hold", entity_category=EntityCategory.CONFIG)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's switch."""
    async_add_entities([HoldSwitch(entry, HOLD)])


class HoldSwitch(OutlookSmtpEntity, SwitchEntity):
    """While it is on, mail waits in the outbox, also over restarts."""

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the outbox, which tells when a hold begins or ends."""
        await super().async_added_to_hass()
        self.async_on_remove(self.entry.runtime_data.queue.subscribe(self._async_show))

    @property
    @override
    def is_on(self) -> bool:
        """Return whether mail is held back."""
        return self.entry.runtime_data.worker.is_held

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Hold mail back."""
        await self.entry.runtime_data.worker.hold_back(is_held=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Release mail."""
        await self.entry.runtime_data.worker.hold_back(is_held=False)

    @callback
    def _async_show(self, _: object) -> None:
        """Update the state."""
        self.async_write_ha_state()
