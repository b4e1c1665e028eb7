"""Find the entities of this integration that automations refer to, by their description."""

from collections.abc import Iterable

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN


def own_entities(hass: HomeAssistant, entity_ids: Iterable[str], key: str) -> set[str]:
    """Return those entities that belong to this integration and have a description's key.

    A device, an area or a label also has others of the same domain and class.
    """
    registry = er.async_get(hass)
    entries = map(registry.async_get, entity_ids)
    return {
        entry.entity_id
        for entry in entries
        if entry and entry.platform == DOMAIN and entry.translation_key == key
    }
