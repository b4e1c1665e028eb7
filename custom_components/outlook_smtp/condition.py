"""The condition for automations that email works."""

from typing import Final, override

from homeassistant.components.binary_sensor import DOMAIN as BINARY_SENSOR_DOMAIN
from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import Condition, EntityStateConditionBase

from .binary_sensor import CONNECTION
from .own_entities import own_entities


class WorksCondition(EntityStateConditionBase):
    """Tests whether accounts can send."""

    _domain_specs = {BINARY_SENSOR_DOMAIN: DomainSpec()}
    _states = {STATE_ON}
    _primary_entities_only = False

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        """Test the connection sensors."""
        return own_entities(self._hass, entities, CONNECTION.key)

    @override
    def _should_include(self, _state: State) -> bool:
        """Count an account in doubt, or one that is not loaded, as one that does not work."""
        return True


CONDITIONS: Final[dict[str, type[Condition]]] = {"works": WorksCondition}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the condition."""
    return CONDITIONS
