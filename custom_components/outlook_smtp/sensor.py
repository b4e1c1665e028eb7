"""Shows what an account has sent, what waits, and what stands in the way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
import time
from typing import Any, Final, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.restore_state import RestoreEntity
from homeassistant.helpers.typing import StateType
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from .const import CONF_ACCOUNT_KIND
from .coordinator import Health, HealthCoordinator, OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .outbox.delivery import Delivery, Event
from .outbox.queue import KEEP_FAILED
from .smtp.account import AccountKind
from .smtp.faults import Problem
from .tally import Tally

PARALLEL_UPDATES = 0  # The coordinator and the outbox push what is shown.

STATUS_OK: Final = "ok"
TALLY_INTERVAL: Final = timedelta(minutes=10)
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/
# https://support.microsoft.com/office/279ee200-594c-40f0-9ec8-bb6af7735c2e (with a subscription)
DAILY_LIMITS: Final[dict[AccountKind, int]] = {
    AccountKind.WORK: 10_000,
    AccountKind.PERSONAL: 5_000,
}


@dataclass(frozen=True, kw_only=True)
class HealthSensorDescription(SensorEntityDescription):
    """A sensor that shows a part of the account's health."""

    value_fn: Callable[[Health], StateType]


HEALTH_SENSORS: Final = (
    HealthSensorDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=[STATUS_OK, *(problem.value for problem in Problem)],
        value_fn=lambda health: STATUS_OK if health.connected else health.problem,
    ),
    HealthSensorDescription(
        key="response_time",
        translation_key="response_time",
        device_class=SensorDeviceClass.DURATION,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda health: health.latency,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's sensors."""
    async_add_entities(
        [
            *(HealthSensor(entry, description) for description in HEALTH_SENSORS),
            OutboxSensor(entry),
            LastSentSensor(entry),
            SentSensor(entry),
        ]
    )


class HealthSensor(CoordinatorEntity[HealthCoordinator], OutlookSmtpEntity, SensorEntity):
    """Shows a part of the health that the coordinator holds."""

    entity_description: HealthSensorDescription

    def __init__(self, entry: OutlookSmtpConfigEntry, description: HealthSensorDescription) -> None:
        """Show what a description says."""
        CoordinatorEntity.__init__(self, entry.runtime_data)
        OutlookSmtpEntity.__init__(self, entry, description.key)
        self.entity_description = description

    @property
    @override
    def available(self) -> bool:
        """Return True: that the server is away is what these sensors are there to say."""
        return True

    @property
    @override
    def native_value(self) -> StateType:
        """Return what the sensor shows."""
        return self.entity_description.value_fn(self.coordinator.data)


class QueueSensor(OutlookSmtpEntity, SensorEntity):
    """A sensor that follows the messages of the outbox."""

    def __init__(self, entry: OutlookSmtpConfigEntry, key: str) -> None:
        """Follow an account's outbox."""
        super().__init__(entry, key)
        self._attr_translation_key = key
        self._queue = entry.runtime_data.mailer.queue

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the outbox."""
        await super().async_added_to_hass()
        self.async_on_remove(self._queue.subscribe(self._async_on_turn))

    @callback
    def _async_on_turn(self, delivery: Delivery | None) -> None:
        """Show what has changed."""
        self.async_write_ha_state()


class OutboxSensor(QueueSensor):
    """Counts the messages that wait."""

    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Count what waits in an account's outbox."""
        super().__init__(entry, "outbox")

    @property
    @override
    def native_value(self) -> int:
        """Return how many messages wait."""
        return len(self._queue.items)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return how much room they take, in megabytes, and how many failed in the last week."""
        oldest = time.monotonic() - KEEP_FAILED
        rejected = sum(when > oldest for when in self._queue.rejected)
        failed = len(self._queue.failed) + rejected
        return {"size": round(self._queue.size / 1e6, 1), "failed": failed}


class LastSentSensor(QueueSensor, RestoreSensor):
    """Tells when the server last accepted a message."""

    _attr_device_class = SensorDeviceClass.TIMESTAMP

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account's outbox."""
        super().__init__(entry, "last_sent")

    @override
    async def async_added_to_hass(self) -> None:
        """Go on with the time from before a restart."""
        await super().async_added_to_hass()
        if (data := await self.async_get_last_sensor_data()) and isinstance(
            data.native_value, datetime
        ):
            self._attr_native_value = data.native_value

    @callback
    @override
    def _async_on_turn(self, delivery: Delivery | None) -> None:
        """Note the time of a message that was sent."""
        if delivery and delivery.event is Event.SENT:
            self._attr_native_value = dt_util.utcnow()
            self.async_write_ha_state()


class SentSensor(QueueSensor, RestoreEntity):
    """Counts the recipients of the last 24 hours, as Microsoft does for its limits."""

    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account's outbox."""
        super().__init__(entry, "sent_24h")
        self._limit = DAILY_LIMITS.get(AccountKind(entry.data[CONF_ACCOUNT_KIND]))
        self._tally = Tally()

    @property
    @override
    def native_value(self) -> int:
        """Return to how many recipients mail was sent."""
        return self._tally.count(dt_util.utcnow())

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return the most that Microsoft lets an established account send to in a day."""
        return {"daily_limit": self._limit} if self._limit else None

    @property
    @override
    def extra_restore_state_data(self) -> Tally:
        """Return what is to be known after a restart."""
        return self._tally

    @override
    async def async_added_to_hass(self) -> None:
        """Go on counting from before a restart, and forget what grows old."""
        await super().async_added_to_hass()
        if data := await self.async_get_last_extra_data():
            self._tally = Tally.from_dict(data.as_dict())
        self.async_on_remove(
            async_track_time_interval(self.hass, self._async_on_time, TALLY_INTERVAL)
        )

    @callback
    @override
    def _async_on_turn(self, delivery: Delivery | None) -> None:
        """Count the recipients of a message that was sent."""
        if delivery and delivery.event is Event.SENT:
            self._tally.add(dt_util.utcnow(), len(delivery.recipients))
            self.async_write_ha_state()

    @callback
    def _async_on_time(self, _: datetime) -> None:
        """Show what is left of the last 24 hours."""
        self.async_write_ha_state()
