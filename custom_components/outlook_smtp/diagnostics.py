"""What a bug report needs to know of an account, without its secrets and addresses."""

from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_CLIENT_ID, CONF_EMAIL, CONF_PASSWORD, CONF_TOKEN
from homeassistant.core import HomeAssistant

from .const import CONF_REPLY_TO, CONF_SENDER_NAME, CONF_TENANT
from .coordinator import OutlookSmtpConfigEntry

TO_REDACT: Final = {
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_PASSWORD,
    CONF_REPLY_TO,
    CONF_SENDER_NAME,
    CONF_TENANT,
    CONF_TOKEN,
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry
) -> dict[str, Any]:
    """Return the account's settings, its health, and what its server said of itself."""
    coordinator = entry.runtime_data
    health = asdict(coordinator.data)
    if health["reply"]:
        health["reply"] = health["reply"].replace(coordinator.mailer.account.address, "***")
    server = coordinator.mailer.server_info
    return {
        "data": async_redact_data(dict(entry.data), TO_REDACT),
        "options": async_redact_data(dict(entry.options), TO_REDACT),
        "recipients": len(entry.subentries),
        "health": health,
        "server": asdict(server) if server else None,
    }
