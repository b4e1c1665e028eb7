"""The base classes of an account's entities, and their devices."""

from typing import Final, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .auth.clouds import Resource
from .const import CONF_ACCOUNT_KIND, CONF_RECIPIENTS, DOMAIN
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .message.mailbox import parse_mailboxes
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
    mailboxes = parse_mailboxes(subentry.data[CONF_RECIPIENTS], CONF_RECIPIENTS)
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, _owner(entry, subentry))},
        # Shown below the name, on the device's page and in the list of devices.
        model=", ".join(mailbox.address for mailbox in mailboxes),
        name=subentry.title,
        via_device_id=dr.async_get_device_id_by_identifier(
            entry.runtime_data.coordinator.hass, account, config_entry_id=entry.entry_id
        ),
    )


@callback
def async_update_recipient_device(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry
) -> None:
    """Show the changed name and addresses of a recipient."""
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        config_subentry_id=subentry.subentry_id,
        **_recipient_device(entry, subentry),
    )


def _owner(entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry) -> str:
    """Return the identifier of a recipient, unique across all accounts."""
    return f"{entry.entry_id}_{subentry.subentry_id}"
