"""Texts that Home Assistant shows no other way, in its language."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN


async def async_text(hass: HomeAssistant, key: str, **placeholders: str) -> str:
    """Return a text in the language of Home Assistant, or else in English.

    Args:
        hass: Home Assistant.
        key: Of the text, among the `common` ones.
        placeholders: What the text may name.

    """
    texts = await async_get_translations(hass, hass.config.language, "common", [DOMAIN])
    return texts[f"component.{DOMAIN}.common.{key}"].format(**placeholders)
