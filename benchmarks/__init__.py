"""The benchmark: built-in smtp, plain aiosmtplib and this integration side by side."""

import logging
from typing import Final

ADDRESS: Final = "bench@outlook.com"
PASSWORD: Final = "app-password"
TOKEN: Final = "access-token"
LOOPBACK: Final = "127.0.0.1"

# Importing it logs a complaint about a library that is only needed for its pictures.
logging.getLogger("homeassistant.components.camera").setLevel(logging.CRITICAL)


class BenchError(Exception):
    """The benchmark cannot continue; the text is a sentence for the person who started it."""
