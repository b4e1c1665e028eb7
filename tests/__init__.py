"""The tests, and the local fakes of Microsoft's servers that they use."""

import logging

# Home Assistant's cameras log an error when they are imported without a library that only speeds up
# shrinking images.
logging.getLogger("homeassistant.components.camera.img_util").setLevel(logging.CRITICAL)
