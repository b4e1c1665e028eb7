"""How long an integration takes to be imported: `python -m scripts._bench.importing PACKAGE`.

Prints the seconds of all modules which Home Assistant imports of it, and of what they import,
after what the integrations that are compared have in common.
"""

from importlib import import_module
from importlib.util import find_spec
import sys
import time
from typing import Final

# Home Assistant's core, and what both this integration and ntfy import; what only one of them
# wants counts for it, even if Home Assistant has loaded it at its start.
SHARED: Final = (
    "homeassistant.bootstrap",
    *(
        f"homeassistant.components.{name}"
        for name in (
            "camera",
            "diagnostics",
            "event",
            "image",
            "media_source",
            "notify",
            "repairs",
            "sensor",
            "tts",
        )
    ),
)
# The modules that Home Assistant looks for in an integration, beside its platforms.
LOOKED_FOR: Final = (
    "config_flow",
    "diagnostics",
    "repairs",
    "system_health",
    "application_credentials",
)


def main(package: str) -> None:
    """Import an integration."""
    for name in SHARED:
        import_module(name)
    began = time.perf_counter()
    platforms = import_module(package).PLATFORMS
    for name in (*LOOKED_FOR, *platforms):
        if find_spec(f"{package}.{name}"):
            import_module(f"{package}.{name}")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1])
