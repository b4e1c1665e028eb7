"""Tells automations what becomes of each message."""

from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .mailer import missing_attachments
from .outbox.delivery import Delivery, Event

PARALLEL_UPDATES = 0  # The outbox pushes what is shown.


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's delivery event."""
    async_add_entities([DeliveryEvent(entry)])


class DeliveryEvent(OutlookSmtpEntity, EventEntity):
    """Fires at every turn of a message: sent, queued, refused, expired or failed."""

    _attr_event_types = [event.value for event in Event]
    _attr_translation_key = "delivery"

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account's outbox."""
        super().__init__(entry, "delivery")
        self._queue = entry.runtime_data.mailer.queue

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the outbox."""
        await super().async_added_to_hass()
        self.async_on_remove(self._queue.subscribe(self._async_on_turn))

    @callback
    def _async_on_turn(self, delivery: Delivery | None) -> None:
        """Tell of a turn, without anything that the message says."""
        if delivery is None:
            return
        self._trigger_event(
            delivery.event,
            {
                "id": delivery.id,
                "message_id": delivery.message_id,
                "recipients": list(delivery.shown_recipients),
                "problem": delivery.fault.problem if delivery.fault else delivery.problem,
                "text": delivery.text,
                "reply": delivery.shown_reply,
                "missing_attachments": missing_attachments(delivery.missing),
            },
        )
        self.async_write_ha_state()
