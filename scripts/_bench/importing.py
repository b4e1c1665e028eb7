"""How long an integration takes to be imported: `python -m scripts._bench.importing PACKAGE`.

Prints the seconds of all modules which Home Assistant imports of it, after those that it has
imported anyway when it sets an integration up.
"""

from importlib import import_module
from importlib.util import find_spec
import sys
import time
from typing import Final

# What Home Assistant itself has loaded: its core, and the platforms that integrations build on.
SHARED: Final = (
    "homeassistant.bootstrap",
    *(
        f"homeassistant.components.{name}"
        for name in (
            "application_credentials",
            "binary_sensor",
            "button",
            "diagnostics",
            "event",
            "media_source",
            "notify",
            "repairs",
            "sensor",
            "system_health",
            "update",
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
