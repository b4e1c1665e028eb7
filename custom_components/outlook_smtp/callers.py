"""Find out which automation or script called an action."""

from typing import Final

from homeassistant.core import Context, HomeAssistant, callback

_CALLERS: Final = ("automation", "script")


@callback
def async_find_caller_name(hass: HomeAssistant, context: Context | None) -> str | None:
    """Return the names of the automation and the script that run with a context, if any.

    Home Assistant keeps only the latest run of each. A script that an automation calls has the
    context of the automation, whose parent is that of its trigger.
    """
    if context is None:
        return None
    known = {context.id, context.parent_id} - {None}
    running = [state for state in hass.states.async_all(_CALLERS) if state.context.id in known]
    return ", ".join(f"{state.name} ({state.entity_id})" for state in running) or None
