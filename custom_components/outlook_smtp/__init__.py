"""Outlook.com SMTP: mail through a Microsoft account, and the word whether it works."""

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .account import async_build_account
from .const import CONF_REPLY_TO, CONF_SENDER_NAME, DOMAIN
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry
from .legacy_notify import async_register_legacy_notify
from .mailer import Mailer
from .message.mailbox import parse_mailboxes
from .services import async_setup_services
from .sign_in import TokenFile, async_load_tokens

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [Platform.BINARY_SENSOR, Platform.NOTIFY]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Bring an account to life without waiting for the network."""
    if tokens := await async_load_tokens(hass, entry):
        entry.async_on_unload(tokens.settle)
        entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, tokens.settle))
    mailer = Mailer(
        hass,
        await async_build_account(hass, entry.data, entry.options, tokens),
        sender_name=entry.options.get(CONF_SENDER_NAME, ""),
        reply_to=parse_mailboxes(entry.options.get(CONF_REPLY_TO, ""), CONF_REPLY_TO),
    )
    coordinator = entry.runtime_data = HealthCoordinator(hass, entry, mailer)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await async_register_legacy_notify(hass, entry)
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    # Checks go on though the sensor may be disabled: they keep a sign-in from lapsing.
    entry.async_on_unload(coordinator.async_add_listener(lambda: None))
    entry.async_create_background_task(hass, coordinator.async_refresh(), "first check")
    return True


async def async_unload_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Put an account to rest."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Forget the sign-in of an account that is removed."""
    await TokenFile(hass, entry).async_remove()


async def _async_reload(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Start over with what was changed: the account, its options or its recipients."""
    hass.config_entries.async_schedule_reload(entry.entry_id)
