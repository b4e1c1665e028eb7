"""Measure how long an integration's modules take to load: `python -m benchmarks.imports PACKAGE`.

What both this integration and ntfy import is loaded before. What only one of them imports counts
for it, even if Home Assistant has already loaded it at startup.
"""

from importlib import import_module
from pkgutil import iter_modules
import sys
import time

SHARED = """
    bootstrap components.camera components.diagnostics components.event components.image
    components.media_source components.notify components.repairs components.sensor components.tts
"""

for name in SHARED.split():
    import_module(f"homeassistant.{name}")
began = time.perf_counter()
for module in iter_modules(import_module(sys.argv[1]).__path__, f"{sys.argv[1]}."):
    import_module(module.name)
print(time.perf_counter() - began)
