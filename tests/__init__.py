"""The tests, and the local look-alikes of Microsoft's servers that they use."""

import logging

# Home Assistant's cameras miss a library that would only shrink pictures faster, and say so as
# an error when they are imported.
logging.getLogger("homeassistant.components.camera.img_util").setLevel(logging.CRITICAL)
