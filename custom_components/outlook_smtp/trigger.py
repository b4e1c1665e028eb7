"""Triggers for automations: an email could not be sent, email stopped working, it works again."""

from typing import ClassVar, Final, override

from homeassistant.components.binary_sensor import DOMAIN as BINARY_SENSOR_DOMAIN
from homeassistant.components.event import ATTR_EVENT_TYPE, DOMAIN as EVENT_DOMAIN
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.trigger import (
    EntityTargetStateTriggerBase,
    EntityTransitionTriggerBase,
    NotTriggeredReasonReporter,
    StatelessEntityTriggerBase,
    Trigger,
)

from .binary_sensor import CONNECTION
from .event import DELIVERY
from .outbox.events import Event
from .own_entities import own_entities

NOT_SENT: Final = frozenset({Event.REFUSED, Event.EXPIRED, Event.FAILED})


class EmailFailedTrigger(StatelessEntityTriggerBase):
    """Triggers when an email could not be sent, for any reason."""

    _domain_specs = {EVENT_DOMAIN: DomainSpec()}

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Follow the delivery events."""
        return own_entities(self._hass, entities, DELIVERY.key)

    @override
    def is_valid_state(
        self, state: State, report_not_triggered: NotTriggeredReasonReporter
    ) -> bool:
        """Return whether the event means that an email is not sent."""
        return state.attributes.get(ATTR_EVENT_TYPE) in NOT_SENT


class StoppedWorkingTrigger(EntityTargetStateTriggerBase):
    """Triggers when an account cannot send any more, also after a minute in doubt."""

    _domain_specs = {BINARY_SENSOR_DOMAIN: DomainSpec()}
    _to_states = {STATE_OFF}
    _excluded_from_states: ClassVar[frozenset[str]] = frozenset({STATE_UNAVAILABLE})
    _primary_entities_only = False

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Follow the connection sensors."""
        return own_entities(self._hass, entities, CONNECTION.key)


class WorksAgainTrigger(EntityTransitionTriggerBase):
    """Triggers when an account that could not send can do so again."""

    _domain_specs = {BINARY_SENSOR_DOMAIN: DomainSpec()}
    _from_states = {STATE_OFF}
    _to_states = {STATE_ON}
    _primary_entities_only = False

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Follow the connection sensors."""
        return own_entities(self._hass, entities, CONNECTION.key)


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "email_failed": EmailFailedTrigger,
    "stopped_working": StoppedWorkingTrigger,
    "works_again": WorksAgainTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS
