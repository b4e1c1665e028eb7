"""Sensors for an account's status, its outbox and its sent mail."""

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
    SensorExtraStoredData,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .clock import time_of
from .const import CONF_ACCOUNT_KIND
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Problem
from .entity import HealthEntity, OutlookSmtpEntity
from .health import STATUS_OK, STATUS_RETRYING
from .outbox.ages import KEEP_FAILED
from .sent_log import RollingCounter, SentLog
from .smtp.settings import AccountKind

PARALLEL_UPDATES = 0  # The coordinator and the outbox push updates.

COUNTER_INTERVAL: Final = timedelta(minutes=10)
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/
# https://support.microsoft.com/office/279ee200-594c-40f0-9ec8-bb6af7735c2e (with a subscription)
DAILY_LIMITS: Final[dict[AccountKind, int]] = {
    AccountKind.WORK: 10_000,
    AccountKind.PERSONAL: 5_000,
}


@dataclass(frozen=True, kw_only=True)
class AccountSensorDescription(SensorEntityDescription):
    """A sensor: its value for an account, and its attributes."""

    value_fn: Callable[[OutlookSmtpConfigEntry], StateType | datetime]
    attributes_fn: Callable[[OutlookSmtpConfigEntry], dict[str, Any] | None] = lambda _: None


def _outbox_attributes(entry: OutlookSmtpConfigEntry) -> dict[str, Any]:
    """Return the size of the waiting messages in MB, those delayed, the next try, and failures."""
    queue = entry.runtime_data.queue
    attributes = {
        "size": round(queue.size / 1e6, 1),
        "delayed": len(queue.delayed),
        "failed": len(queue.failed) + _rejected(entry),
    }
    next_try = time_of(entry.runtime_data.worker.next_turn)
    return attributes | ({"next_try": next_try} if next_try else {})  # None would show as unknown.


def _rejected(entry: OutlookSmtpConfigEntry) -> int:
    """Return how many messages of the last week never reached the outbox."""
    return entry.runtime_data.queue.count_rejected(time.monotonic() - KEEP_FAILED)


def _daily_limit(entry: OutlookSmtpConfigEntry) -> dict[str, Any] | None:
    """Return how many recipients a day Microsoft allows an established account."""
    limit = DAILY_LIMITS.get(AccountKind(entry.data[CONF_ACCOUNT_KIND]))
    return {"daily_limit": limit} if limit else None


HEALTH_SENSORS: Final = (
    AccountSensorDescription(
        key="status",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=[STATUS_OK, STATUS_RETRYING, *(problem.value for problem in Problem)],
        value_fn=lambda entry: entry.runtime_data.coordinator.data.status,
    ),
    AccountSensorDescription(
        key="response_time",
        device_class=SensorDeviceClass.DURATION,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        value_fn=lambda entry: entry.runtime_data.coordinator.data.latency,
    ),
)
OUTBOX_SENSORS: Final = (
    AccountSensorDescription(
        key="outbox",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda entry: len(entry.runtime_data.queue.waiting),
        attributes_fn=_outbox_attributes,
    ),
    AccountSensorDescription(
        key="failed",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda entry: len(entry.runtime_data.queue.failed),
        attributes_fn=lambda entry: {"rejected": _rejected(entry)},
    ),
)
SENT_SENSORS: Final = (
    AccountSensorDescription(
        key="last_sent",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda entry: entry.runtime_data.sent.last_sent,
    ),
    # Recipients, as Microsoft counts them for its limits.
    AccountSensorDescription(
        key="sent_24h",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda entry: entry.runtime_data.sent.counter.count(dt_util.utcnow()),
        attributes_fn=_daily_limit,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's sensors."""
    async_add_entities(HealthSensor(entry, description) for description in HEALTH_SENSORS)
    async_add_entities(OutboxSensor(entry, description) for description in OUTBOX_SENSORS)
    async_add_entities(SentSensor(entry, description) for description in SENT_SENSORS)


class AccountSensor(OutlookSmtpEntity, SensorEntity):
    """Shows the value that its description computes."""

    entity_description: AccountSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the value of the sensor."""
        return self.entity_description.value_fn(self.entry)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return the attributes of the sensor."""
        return self.entity_description.attributes_fn(self.entry)

    @callback
    def _async_show(self, _: object = None) -> None:
        """Update the state."""
        self.async_write_ha_state()


class HealthSensor(HealthEntity, AccountSensor):
    """Shows one aspect of the account's health."""


class OutboxSensor(AccountSensor):
    """Counts the waiting or the failed messages."""

    # It changes with every try, and the database would get a new set of attributes each time.
    _unrecorded_attributes = frozenset({"next_try"})

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the outbox."""
        await super().async_added_to_hass()
        self.async_on_remove(self.entry.runtime_data.queue.subscribe(self._async_show))


class SentSensor(AccountSensor, RestoreSensor):
    """Shows what the account has sent, from its log."""

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the log, migrate the data of an earlier version, and update regularly."""
        await super().async_added_to_hass()
        log = self.entry.runtime_data.sent
        if not log.was_kept and (stored := await self.async_get_last_extra_data()):
            _take_over(log, stored.as_dict())
        self.async_on_remove(log.async_subscribe(self._async_show))
        if self.entity_description.state_class:  # A count also changes as time passes.
            self.async_on_remove(
                async_track_time_interval(self.hass, self._async_show, COUNTER_INTERVAL)
            )


def _take_over(log: SentLog, stored: dict[str, Any]) -> None:
    """Move the data that an earlier version stored with Home Assistant's states into the log."""
    data = SensorExtraStoredData.from_dict(stored)
    if data and isinstance(data.native_value, datetime):
        log.last_sent = data.native_value
    if "counts" in stored:
        log.counter = RollingCounter.from_dict(stored)
    log.async_save()
