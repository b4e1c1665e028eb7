"""Finds the notify entities that a call targets, as far as who calls may control them."""

import logging

from homeassistant.components.notify import DATA_COMPONENT
from homeassistant.const import ATTR_ENTITY_ID, CONF_EXCLUDE, ENTITY_MATCH_ALL
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.typing import ConfigType

from .exceptions import input_error
from .notify import MailNotifyEntity
from .permissions import Caller

_LOGGER = logging.getLogger(__name__)


def find_targets(call: ServiceCall, caller: Caller) -> list[MailNotifyEntity]:
    """Return the notify entities that a call targets, as entity actions find theirs.

    An entity that is targeted by name must be one of ours; other entities of an area, a floor,
    a device or a label are left out. A user has to be allowed to control each of them, and of
    `all` gets those that are.
    """
    component = call.hass.data[DATA_COMPONENT]
    target = dict(call.data)
    if target.get(ATTR_ENTITY_ID) == ENTITY_MATCH_ALL:
        target[ATTR_ENTITY_ID] = [
            entity.entity_id
            for entity in component.entities
            if isinstance(entity, MailNotifyEntity) and caller.may_control(entity.entity_id)
        ]
    selected = async_extract_referenced_entity_ids(call.hass, TargetSelection(target))
    selected.log_missing(set(), _LOGGER)
    excluded = _find_excluded(call.hass, target.get(CONF_EXCLUDE, {}))
    caller.check_control(sorted((selected.referenced | selected.indirectly_referenced) - excluded))
    named = [
        find_entity(call.hass, entity_id, "target")
        for entity_id in sorted(selected.referenced - excluded)
    ]
    others = map(component.get_entity, sorted(selected.indirectly_referenced - excluded))
    return named + [entity for entity in others if isinstance(entity, MailNotifyEntity)]


def _find_excluded(hass: HomeAssistant, target: ConfigType) -> set[str]:
    """Return the entity ids that a target excludes, which Home Assistant 2026.10 does not know."""
    excluded = async_extract_referenced_entity_ids(
        hass, TargetSelection(target), primary_entities_only=False
    )
    return excluded.referenced | excluded.indirectly_referenced


def find_entity(hass: HomeAssistant, entity_id: str, field: str) -> MailNotifyEntity:
    """Return the notify entity of ours that goes by an entity id."""
    entity = hass.data[DATA_COMPONENT].get_entity(entity_id)
    if not isinstance(entity, MailNotifyEntity):
        raise input_error("not_a_recipient", field, entity_id)
    return entity
