"""Report on the system health page whether the servers and Microsoft's sign-in are reachable."""

from typing import Any, Final

from homeassistant.components import system_health
from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback

from .auth.application import DEFAULT_TENANT
from .const import DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import SubmissionError
from .smtp.account import Server
from .smtp.connection import Watch, open_socket
from .token_store import build_application

PORT_TIMEOUT: Final = 5.0  # Seconds; the same as Home Assistant's for a URL.


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register the information for the page."""
    register.async_register_info(async_system_health_info)


async def async_system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the information for the page; coroutines are shown once they finish."""
    entries: list[OutlookSmtpConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    accounts = [entry.runtime_data for entry in entries]
    info: dict[str, Any] = {
        "accounts": len(hass.config_entries.async_entries(DOMAIN, include_ignore=False)),
        "waiting": sum(len(each.queue.waiting) for each in accounts),
        "failed": sum(len(each.queue.failed) for each in accounts),
    }
    if any(CONF_TOKEN in entry.data for entry in entries):
        authority = build_application("", DEFAULT_TENANT).authority
        info["can_reach_sign_in"] = system_health.async_check_can_reach_url(
            hass, f"{authority}/{DEFAULT_TENANT}/v2.0/.well-known/openid-configuration"
        )
    for server in dict.fromkeys(each.account.server for each in accounts):
        info[f"{server.host}:{server.port}"] = async_check_can_reach_port(server)
    return info


async def async_check_can_reach_port(server: Server) -> str | dict[str, str]:
    """Return whether a server's port is reachable, like `async_check_can_reach_url` for a URL.

    It only connects: no greeting, no encryption, no sign-in.
    """
    try:
        (await open_socket(server, PORT_TIMEOUT, Watch())).close()
    except SubmissionError as error:
        return {"type": "failed", "error": error.fault.problem.value}
    return "ok"
