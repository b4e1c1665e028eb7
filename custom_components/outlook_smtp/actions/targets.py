"""Find the notify entities that a call targets and its caller may control."""

import logging

from homeassistant.const import ATTR_ENTITY_ID, CONF_EXCLUDE, ENTITY_MATCH_ALL
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids

from ..const import DOMAIN
from ..errors import input_error
from ..notify import MailNotifyEntity
from .permissions import Caller

_LOGGER = logging.getLogger(__name__)


def find_targets(call: ServiceCall, caller: Caller) -> list[MailNotifyEntity]:
    """Return the notify entities that a call targets, as entity actions do.

    An entity that is targeted by ID must belong to this integration; other entities of an area, a
    floor, a device or a label are ignored. A user must be allowed to control each of them; `all`
    selects those that the user may control.
    """
    entities = _entities(call.hass)
    target = dict(call.data)
    if target.get(ATTR_ENTITY_ID) == ENTITY_MATCH_ALL:
        target[ATTR_ENTITY_ID] = list(filter(caller.may_control, entities))
    selected = async_extract_referenced_entity_ids(call.hass, TargetSelection(target))
    selected.log_missing(set(), _LOGGER)
    # Home Assistant 2026.10 does not know `exclude`.
    excluded = async_extract_referenced_entity_ids(
        call.hass, TargetSelection(target.get(CONF_EXCLUDE, {})), primary_entities_only=False
    )
    left_out = excluded.referenced | excluded.indirectly_referenced
    named = sorted(selected.referenced - left_out)
    others = sorted(selected.indirectly_referenced - left_out)
    caller.check_control(sorted({*named, *others}))
    return [
        *(find_entity(call.hass, entity_id, "target") for entity_id in named),
        *(entities[entity_id] for entity_id in others if entity_id in entities),
    ]


def find_entity(hass: HomeAssistant, entity_id: str, field: str) -> MailNotifyEntity:
    """Return this integration's notify entity with an entity ID."""
    if entity := _entities(hass).get(entity_id):
        return entity
    raise input_error("not_a_recipient", field, entity_id)


def _entities(hass: HomeAssistant) -> dict[str, MailNotifyEntity]:
    """Return the notify entities of all accounts by their entity ids."""
    return {
        entity_id: entity
        for platform in async_get_platforms(hass, DOMAIN)
        for entity_id, entity in platform.entities.items()
        if isinstance(entity, MailNotifyEntity)
    }
