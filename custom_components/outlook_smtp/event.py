"""Report to automations what happens to each message."""

from typing import Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EVENT_DELIVERY
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .health import NO_PROBLEM
from .message.text import short_line
from .outbox.events import Delivery, Event
from .outbox.receipt import missing_attachments
from .recipient_names import name_recipients

PARALLEL_UPDATES = 0  # The outbox pushes updates.

DELIVERY: Final = EventEntityDescription(
    key="delivery", event_types=[event.value for event in Event]
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's delivery event."""
    async_add_entities([DeliveryEvent(entry, DELIVERY)])


class DeliveryEvent(OutlookSmtpEntity, EventEntity):
    """Fires when a message is sent, queued, refused, expired, failed or discarded."""

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the outbox."""
        await super().async_added_to_hass()
        queue = self.entry.runtime_data.queue
        self.async_on_remove(queue.subscribe(self._async_on_turn))

    @callback
    def _async_on_turn(self, delivery: Delivery | None) -> None:
        """Trigger the event of a delivery, without message content, and have Activity show it."""
        if delivery is None:
            return
        title = short_line(delivery.title)
        self._trigger_event(
            delivery.event,
            {
                "id": delivery.id,
                "message_id": delivery.message_id,
                "title": title,
                "urgent": delivery.urgent,
                "recipients": list(delivery.shown_recipients),
                "problem": (delivery.fault.problem if delivery.fault else delivery.problem)
                or NO_PROBLEM,
                "text": delivery.text,
                "reply": delivery.shown_reply,
                "missing_attachments": missing_attachments(delivery.missing),
            },
        )
        self.async_write_ha_state()
        self.hass.bus.async_fire(
            EVENT_DELIVERY,
            {
                ATTR_ENTITY_ID: self.entity_id,
                ATTR_NAME: self.entry.title,
                "event_type": delivery.event,
                "title": title,
                "recipients": name_recipients(self.entry, delivery.shown_recipients),
            },
        )
