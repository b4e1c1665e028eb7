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
from homeassistant.helpers.typing import StateType
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from .const import CONF_ACCOUNT_KIND
from .coordinator import Health, HealthCoordinator, OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .outbox.ages import KEEP_FAILED
from .outbox.delivery import Delivery
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


class OutboxSensor(OutlookSmtpEntity, SensorEntity):
    """Counts the messages that wait."""

    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_translation_key = "outbox"

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Count what waits in an account's outbox."""
        super().__init__(entry, "outbox")
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


class SentLogSensor(OutlookSmtpEntity, RestoreSensor):
    """A sensor that shows what was sent, as the account's log knows it."""

    def __init__(self, entry: OutlookSmtpConfigEntry, key: str) -> None:
        """Follow an account's log."""
        super().__init__(entry, key)
        self._attr_translation_key = key
        self._log = entry.runtime_data.sent

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the log."""
        await super().async_added_to_hass()
        self.async_on_remove(self._log.async_subscribe(self.async_write_ha_state))


class LastSentSensor(SentLogSensor):
    """Tells when the server last accepted a message."""

    _attr_device_class = SensorDeviceClass.TIMESTAMP

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account's log."""
        super().__init__(entry, "last_sent")

    @property
    @override
    def native_value(self) -> datetime | None:
        """Return the time of the last message that was sent."""
        return self._log.last_sent

    @override
    async def async_added_to_hass(self) -> None:
        """Go on with what an earlier version has left to Home Assistant to keep."""
        await super().async_added_to_hass()
        data = None if self._log.was_kept else await self.async_get_last_sensor_data()
        if data and isinstance(data.native_value, datetime):
            self._log.last_sent = data.native_value
            self._log.async_save()


class SentSensor(SentLogSensor):
    """Counts the recipients of the last 24 hours, as Microsoft does for its limits."""

    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account's log."""
        super().__init__(entry, "sent_24h")
        self._limit = DAILY_LIMITS.get(AccountKind(entry.data[CONF_ACCOUNT_KIND]))

    @property
    @override
    def native_value(self) -> int:
        """Return to how many recipients mail was sent."""
        return self._log.tally.count(dt_util.utcnow())

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return the most that Microsoft lets an established account send to in a day."""
        return {"daily_limit": self._limit} if self._limit else None

    @override
    async def async_added_to_hass(self) -> None:
        """Go on with what an earlier version has left, and forget what grows old."""
        await super().async_added_to_hass()
        data = None if self._log.was_kept else await self.async_get_last_extra_data()
        if data:
            self._log.tally = Tally.from_dict(data.as_dict())
            self._log.async_save()
        self.async_on_remove(
            async_track_time_interval(self.hass, self._async_on_time, TALLY_INTERVAL)
        )

    @callback
    def _async_on_time(self, _: datetime) -> None:
        """Show what is left of the last 24 hours."""
        self.async_write_ha_state()
