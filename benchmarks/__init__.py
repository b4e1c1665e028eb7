"""The benchmark: built-in smtp, plain aiosmtplib and this integration side by side."""

import logging
from typing import Final

ADDRESS: Final = "bench@outlook.com"
PASSWORD: Final = "app-password"
LOOPBACK: Final = "127.0.0.1"

# It complains, as soon as it is imported, about a library that only its pictures need.
logging.getLogger("homeassistant.components.camera").setLevel(logging.CRITICAL)


class BenchError(Exception):
    """The benchmark cannot go on; the text is a sentence for the person who started it."""
