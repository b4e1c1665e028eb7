"""Translated texts that Home Assistant shows in no other way."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .const import DOMAIN


def cached_text(hass: HomeAssistant, key: str) -> str:
    """Return a text in Home Assistant's language that was loaded at startup, unformatted.

    Args:
        hass: Home Assistant.
        key: The key of the text, among the `common` ones.

    """
    texts = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
    return texts[f"component.{DOMAIN}.common.{key}"]


def failure_name(hass: HomeAssistant, problem: str, event: str) -> str:
    """Return the name of a problem, or else of an event, in Home Assistant's language."""
    texts = async_get_cached_translations(hass, hass.config.language, "entity", DOMAIN)
    prefix = f"component.{DOMAIN}.entity"
    named = texts.get(f"{prefix}.sensor.status.state.{problem}")
    key = f"{prefix}.event.delivery.state_attributes.event_type.state.{event}"
    return named or texts.get(key, event)


async def async_text(hass: HomeAssistant, key: str, **placeholders: str) -> str:
    """Return a text in Home Assistant's language, or else in English.

    Args:
        hass: Home Assistant.
        key: The key of the text, among the `common` ones.
        placeholders: The placeholders of the text.

    """
    texts = await async_get_translations(hass, hass.config.language, "common", [DOMAIN])
    return texts[f"component.{DOMAIN}.common.{key}"].format(**placeholders)
