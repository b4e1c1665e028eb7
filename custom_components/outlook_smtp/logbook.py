"""Describe in Activity what happened to each email, with its title and its recipients."""

from collections.abc import Callable
from typing import Any, Final

from homeassistant.components.logbook import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.const import ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import Event, HomeAssistant, callback

from .const import DOMAIN, EVENT_DELIVERY
from .texts import cached_text

MOST_NAMED: Final = 5  # Recipients in one line.


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[[str, str, Callable[[Event[Any]], dict[str, str]]], None],
) -> None:
    """Describe the deliveries of all accounts."""

    @callback
    def async_describe(event: Event[Any]) -> dict[str, str]:
        """Describe one delivery, in Home Assistant's language."""
        data = event.data
        recipients = list(data["recipients"]) or [cached_text(hass, "activity_undisclosed")]
        more = len(recipients) - MOST_NAMED
        named = ", ".join(recipients[:MOST_NAMED]) + (f", +{more}" if more > 0 else "")
        text = cached_text(hass, f"activity_{data['event_type']}")
        return {
            LOGBOOK_ENTRY_NAME: data[ATTR_NAME],
            LOGBOOK_ENTRY_MESSAGE: text.format(title=data["title"], recipients=named),
            LOGBOOK_ENTRY_ENTITY_ID: data[ATTR_ENTITY_ID],
        }

    async_describe_event(DOMAIN, EVENT_DELIVERY, async_describe)
