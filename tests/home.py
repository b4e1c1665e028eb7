"""Start Home Assistant with one config entry in any program, as its own launcher would."""

import json
from pathlib import Path
from typing import Any, Final

from homeassistant import bootstrap, loader
from homeassistant.config_entries import ConfigEntries, ConfigEntry
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.setup import async_setup_component

ENTRY_ID: Final = "the-account"
COMPONENTS: Final = ("homeassistant", "persistent_notification")
DATE: Final = "2026-01-01T00:00:00+00:00"


def write_entry(folder: Path, domain: str, address: str, **values: Any) -> None:
    """Write a config entry to Home Assistant's storage, as if it had been set up before."""
    entry: dict[str, Any] = {
        "created_at": DATE,
        "disabled_by": None,
        "discovery_keys": {},
        "domain": domain,
        "entry_id": ENTRY_ID,
        "minor_version": 1,
        "modified_at": DATE,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": address,
        "unique_id": address,
        "version": 1,
    }
    key = "core.config_entries"
    data = {"entries": [entry | values]}
    store = {"version": 1, "minor_version": 5, "key": key, "data": data}
    (folder / STORAGE_DIR).mkdir(parents=True, exist_ok=True)
    (folder / STORAGE_DIR / key).write_text(json.dumps(store))


async def start(folder: Path, *components: str, media: str | None = None) -> HomeAssistant:
    """Start Home Assistant with some components, and optionally a folder of local media.

    Components unrelated to mail are left out; its web server is set up, but not started.
    """
    hass = HomeAssistant(str(folder))
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    await bootstrap.async_load_base_functionality(hass)
    await async_process_ha_core_config(hass, {})
    if media:
        hass.config.media_dirs = {"local": media}
    for component in (*COMPONENTS, *components):
        await _set_up(hass, component)
    hass.set_state(CoreState.running)
    return hass


async def add(hass: HomeAssistant, domain: str) -> ConfigEntry[Any]:
    """Set an integration up, and return its config entry."""
    await _set_up(hass, domain)
    await hass.async_block_till_done()
    return entry_of(hass, domain)


def entry_of(hass: HomeAssistant, domain: str) -> ConfigEntry[Any]:
    """Return the config entry of an integration, which must be loaded."""
    (entry,) = hass.config_entries.async_loaded_entries(domain)
    return entry


async def _set_up(hass: HomeAssistant, component: str) -> None:
    """Set a component up."""
    if not await async_setup_component(hass, component, {}):
        raise RuntimeError(f"{component} was not set up")
