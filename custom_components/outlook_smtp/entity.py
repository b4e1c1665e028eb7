"""The base classes of an account's entities, and their devices."""

from typing import Final, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_HOST
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .auth.clouds import Resource
from .const import CONF_ACCOUNT_KIND, DOMAIN
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .smtp.settings import AccountKind

_MODELS: Final[dict[AccountKind, str]] = {
    AccountKind.PERSONAL: "Outlook.com",
    AccountKind.WORK: "Microsoft 365",
}
_ROUTES: Final[dict[str, str]] = {Resource.SMTP: "SMTP", Resource.GRAPH: "Microsoft Graph"}


class OutlookSmtpEntity(Entity):
    """An entity of an account's device, or of a recipient's device."""

    _attr_has_entity_name = True

    def __init__(
        self,
        entry: OutlookSmtpConfigEntry,
        description: EntityDescription,
        subentry: ConfigSubentry | None = None,
    ) -> None:
        """Assign the entity to a device; the description's key names the entity and its texts."""
        owner = _owner(entry, subentry) if subentry else entry.entry_id
        self.entry = entry
        self.entity_description = description
        self._attr_unique_id = f"{owner}_{description.key}"
        self._attr_translation_key = description.key
        self._attr_device_info = (
            _recipient_device(entry, subentry) if subentry else account_device(entry)
        )


class HealthEntity(CoordinatorEntity[HealthCoordinator], OutlookSmtpEntity):
    """An entity that shows the health of an account."""

    def __init__(self, entry: OutlookSmtpConfigEntry, description: EntityDescription) -> None:
        """Show the coordinator's health."""
        CoordinatorEntity.__init__(self, entry.runtime_data.coordinator)
        OutlookSmtpEntity.__init__(self, entry, description)

    @property
    @override
    def available(self) -> bool:
        """Return True, because these entities report that the server is unreachable."""
        return True


def account_device(entry: OutlookSmtpConfigEntry) -> DeviceInfo:
    """Return the device of an account, at Microsoft or another server.

    Its page shows the route in parentheses after the model.
    """
    model = _MODELS.get(AccountKind(entry.data[CONF_ACCOUNT_KIND]))
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.entry_id)},
        manufacturer="Microsoft" if model else None,
        model=model or entry.data[CONF_HOST],
        model_id=_ROUTES[entry.runtime_data.route.name],
        name=entry.title,
    )


def _recipient_device(entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry) -> DeviceInfo:
    """Return the device of a recipient, linked to the account's device.

    Each recipient has its own, because a device belongs to a single subentry.
    """
    account = (DOMAIN, entry.entry_id)
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, _owner(entry, subentry))},
        model="Recipient",
        name=subentry.title,
        via_device_id=dr.async_get_device_id_by_identifier(
            entry.runtime_data.coordinator.hass, account, config_entry_id=entry.entry_id
        ),
    )


def _owner(entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry) -> str:
    """Return the identifier of a recipient, unique across all accounts."""
    return f"{entry.entry_id}_{subentry.subentry_id}"
