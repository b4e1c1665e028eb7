"""Translated texts that Home Assistant shows in no other way."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN


async def async_text(hass: HomeAssistant, key: str, **placeholders: str) -> str:
    """Return a text in Home Assistant's language, or else in English.

    Args:
        hass: Home Assistant.
        key: The key of the text, among the `common` ones.
        placeholders: The placeholders of the text.

    """
    texts = await async_get_translations(hass, hass.config.language, "common", [DOMAIN])
    return texts[f"component.{DOMAIN}.common.{key}"].format(**placeholders)
