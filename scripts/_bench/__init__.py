"""The benchmark: the built-in integration, plain aiosmtplib and this integration side by side."""

import logging

# It complains, as soon as it is imported, of a library that only its pictures need.
logging.getLogger("homeassistant.components.camera").setLevel(logging.CRITICAL)
