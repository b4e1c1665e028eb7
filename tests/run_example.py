"""Run an example of the README or the guide as the sequence of a script."""

from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script as Sequence
from homeassistant.util.yaml import parse_yaml


async def run(hass: HomeAssistant, text: str) -> dict[str, Any]:
    """Run an example, and return its variables."""
    sequence = cv.SCRIPT_SCHEMA(cv.ensure_list(parse_yaml(text)))
    script = Sequence(hass, sequence, "README", "test")
    result = await script.async_run(context=Context())
    assert result
    return dict(result.variables)
