"""Report on the system health page whether servers, Graph and the sign-in are reachable."""

from collections.abc import Iterable
from typing import Any, Final

from homeassistant.components import system_health
from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback

from .auth.application import DEFAULT_TENANT
from .auth.clouds import CLOUDS, WORLDWIDE, Resource
from .const import CONF_CLOUD, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import SubmissionError
from .smtp.connection import StageTimer, open_socket
from .smtp.settings import Security, Server

_CONFIGURATION: Final = f"{DEFAULT_TENANT}/v2.0/.well-known/openid-configuration"
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
    for name, url in _urls(entries).items():
        info[name] = system_health.async_check_can_reach_url(hass, url)
    servers = [each.route for each in accounts if each.route.name == Resource.SMTP]
    for host, port in dict.fromkeys((route.host, route.port) for route in servers):
        info[f"{host}:{port}"] = async_check_can_reach_port(host, port)
    return info


def _urls(entries: Iterable[OutlookSmtpConfigEntry]) -> dict[str, str]:
    """Return what the accounts need from their clouds: the sign-in, and Microsoft Graph."""
    urls: dict[str, str] = {}
    for entry in entries:
        name = entry.data.get(CONF_CLOUD, WORLDWIDE)
        suffix = "" if name == WORLDWIDE else f"_{name}"
        cloud = CLOUDS[name]
        if CONF_TOKEN in entry.data:
            urls[f"can_reach_sign_in{suffix}"] = f"{cloud.authority}/{_CONFIGURATION}"
        if entry.runtime_data.route.name == Resource.GRAPH:
            urls[f"can_reach_graph{suffix}"] = f"{cloud.graph}/v1.0/"
    return urls


async def async_check_can_reach_port(host: str, port: int) -> str | dict[str, str]:
    """Return whether a server's port is reachable, like `async_check_can_reach_url` for a URL.

    It only connects: no greeting, no encryption, no sign-in.
    """
    try:
        (await open_socket(Server(host, port, Security.TLS), PORT_TIMEOUT, StageTimer())).close()
    except SubmissionError as error:
        return {"type": "failed", "error": error.fault.problem.value}
    return "ok"
