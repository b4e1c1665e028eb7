"""What all entities of an account share."""

from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import CONF_ACCOUNT_KIND, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .smtp.account import AccountKind


class AccountEntity(Entity):
    """An entity of the account's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: OutlookSmtpConfigEntry, key: str) -> None:
        """Belong to the account's device; the key tells the device's entities apart."""
        kind = AccountKind(entry.data[CONF_ACCOUNT_KIND])
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE,
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            manufacturer=None if kind is AccountKind.OTHER else "Microsoft",
        )
