"""What all entities of an account share."""

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import CONF_ACCOUNT_KIND, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .smtp.account import AccountKind


class OutlookSmtpEntity(Entity):
    """An entity of the account's device, or of the device of one of its recipients."""

    _attr_has_entity_name = True

    def __init__(
        self, entry: OutlookSmtpConfigEntry, key: str, subentry: ConfigSubentry | None = None
    ) -> None:
        """Belong to a device; the key tells its entities apart.

        A recipient has a device of its own, for a device belongs to one subentry.
        """
        owner = f"{entry.entry_id}_{subentry.subentry_id}" if subentry else entry.entry_id
        kind = AccountKind(entry.data[CONF_ACCOUNT_KIND])
        self._attr_unique_id = f"{owner}_{key}"
        self._attr_device_info = DeviceInfo(
            entry_type=DeviceEntryType.SERVICE,
            identifiers={(DOMAIN, owner)},
            name=subentry.title if subentry else entry.title,
            manufacturer=None if kind is AccountKind.OTHER else "Microsoft",
        )
