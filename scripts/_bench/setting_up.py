"""How long an account takes to be set up: `python -m scripts._bench.setting_up PORT`.

Prints a line of JSON: the seconds of the first set-up, which loads the platforms, and the median
of those that follow an unload.
"""

import asyncio
import json
import logging
import os
from pathlib import Path
from statistics import median
import sys
import tempfile
import time
from typing import Final

from homeassistant.runner import create_event_loop

from custom_components.outlook_smtp.const import DOMAIN

from . import home
from .integrations import account

REPETITIONS: Final = 5


async def measure(folder: Path, port: int) -> dict[str, float]:
    """Set an account up again and again."""
    home.write_entry(folder, DOMAIN, data=account(port))
    hass = await home.start(folder, str(folder))
    began = time.perf_counter()
    await home.add(hass, DOMAIN)
    first = time.perf_counter() - began
    durations = []
    for _ in range(REPETITIONS):
        await hass.config_entries.async_unload(home.ENTRY_ID)
        began = time.perf_counter()
        await hass.config_entries.async_setup(home.ENTRY_ID)
        durations.append(time.perf_counter() - began)
    return {"first": first, "again": median(durations)}


def main() -> None:
    """Print the durations."""
    logging.basicConfig(level=logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory(prefix="outlook-smtp-bench-") as folder,
        asyncio.Runner(loop_factory=create_event_loop) as runner,
    ):
        durations = runner.run(measure(Path(folder), int(sys.argv[1])))
        print(json.dumps(durations), flush=True)
    os._exit(0)  # The black hole keeps threads of Home Assistant waiting.


if __name__ == "__main__":
    main()
