"""How long an account takes to be set up: `python -m scripts._bench.setting_up PORT`.

Prints a line of JSON: the seconds of the first set-up, which loads the code too, and the median
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

from homeassistant.config_entries import ConfigEntryState
from homeassistant.runner import create_event_loop

from custom_components.outlook_smtp.const import DOMAIN
from tests import home

from .integrations import account
from .orders import ADDRESS

REPETITIONS: Final = 5


async def measure(folder: Path, port: int) -> dict[str, float]:
    """Set an account up again and again."""
    home.write_entry(folder, DOMAIN, ADDRESS, data=account(port))
    hass = await home.start(folder, "media_source")
    began = time.perf_counter()
    entry = await home.add(hass, DOMAIN)
    first = time.perf_counter() - began
    durations = []
    for _ in range(REPETITIONS):
        assert await hass.config_entries.async_unload(entry.entry_id)
        began = time.perf_counter()
        assert await hass.config_entries.async_setup(entry.entry_id)
        durations.append(time.perf_counter() - began)
        assert entry.state is ConfigEntryState.LOADED
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
