"""Let the test plugin run on a newer Home Assistant than the one it was built for.

scripts/test loads this before the plugin when HOME_ASSISTANT is set. Remove it when
requirements/test.in has a plugin built for Home Assistant 2026.11.
"""

import homeassistant  # noqa: F401, I001 - Before everything that imports httpx, which it replaces.

# The plugin does the same before it imports anything else from Home Assistant.
from pytest_homeassistant_custom_component import patch_json, patch_recorder, patch_time  # noqa: F401

from homeassistant.components import logger
from homeassistant.components.logger import helpers

_MOVED = "_clear_logger_overwrites"
if not hasattr(logger, _MOVED):
    setattr(logger, _MOVED, getattr(helpers, _MOVED))
