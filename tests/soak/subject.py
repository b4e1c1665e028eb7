"""The program under test: Home Assistant with one account, whose automations never stop.

Run as `python -m tests.soak.subject FOLDER SEED`. It reports its actions on standard output, one
line per event, and its resources every second. A line on standard input stops the sending: failed
messages are retried, and when the outbox is empty, the program ends.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import json
import logging
from pathlib import Path
from random import Random
import resource
import sys
import threading
import time
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox.queue import Queue
from tests import home
from tests.crash.messages import message_of
from tests.crash.sender_process import REFUSALS, Order, Sender, import_all
from tests.crash.telling import instrument, tell

_LOGGER = logging.getLogger("subject")

SENDERS: Final = 3
LONGEST_PAUSE: Final = 0.6  # Seconds between two steps of a sender.
FLUSHES: Final = (0.5, 5.0)  # Seconds between two flushes.
RELOADS: Final = (5.0, 20.0)
SIZES: Final = {"note.txt": 2_000, "picture.jpg": 300_000, "film.mp4": 3_000_000}  # Bytes.
TICK: Final = 0.005  # Seconds between two measurements of the event loop.
LAST_WAIT: Final = 90.0  # Seconds until all waiting messages are sent, once the server works.


@contextmanager
def unless_reloading() -> Iterator[None]:
    """Ignore an action that finds no account because it is being reloaded."""
    try:
        yield
    except ServiceValidationError as error:
        if error.translation_key != "no_account":
            raise


class Automations(Sender):
    """Sends numbered messages, some with attachments, and does not treat refusals as errors."""

    def outgoing(self, number: int) -> dict[str, Any]:
        """Return a message, every fourth with attachments."""
        outgoing = message_of(number)
        if number % 4 == 0:
            names = self._random.sample(tuple(SIZES), counts=(6, 3, 1), k=2)
            outgoing["attachments"] = [{"path": self.config_path(name)} for name in set(names)]
        return outgoing

    def config_path(self, name: str) -> str:
        """Return the path of a file next to Home Assistant's configuration."""
        return self._hass.config.path(name)

    async def send_step(self) -> None:
        """Send the messages of a step; the outbox cannot be listed during a reload."""
        with unless_reloading():
            await super().send_step()

    def tell_error(self, number: int, error: Exception) -> None:
        """Report the fate of a message; one rejected with a clear error is not lost."""
        if isinstance(error, HomeAssistantError) and error.translation_key not in REFUSALS:
            tell("turned_away", error.translation_key or repr(error))
        else:
            super().tell_error(number, error)


class Heartbeat:
    """Records the longest delay of the event loop, and its longest computation without a pause."""

    def __init__(self) -> None:
        """Start without delays."""
        self.wait = self.work = 0.0

    async def run(self) -> None:
        """Measure the loop repeatedly."""
        while True:
            began, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK)
            self.wait = max(self.wait, time.perf_counter() - began - TICK)
            self.work = max(self.work, time.thread_time() - worked)

    def take(self) -> dict[str, float]:
        """Return the maximum since the last call."""
        worst = {"wait": round(self.wait, 4), "work": round(self.work, 4)}
        self.wait = self.work = 0.0
        return worst


def measure(heartbeat: Heartbeat) -> dict[str, float]:
    """Return the process's resources: memory in MB, the rest in numbers, the loop in seconds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": round(pages * resource.getpagesize() / 1e6, 1),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        **heartbeat.take(),
    }


async def tell_samples(heartbeat: Heartbeat) -> None:
    """Report the process's resources every second."""
    while True:
        await asyncio.sleep(1)
        tell("sample", json.dumps(measure(heartbeat)))


async def keep_sending(sender: Automations, chances: Random) -> None:
    """Send one step after another."""
    while True:
        await sender.send_step()
        await asyncio.sleep(chances.uniform(0, LONGEST_PAUSE))


async def keep_flushing(sender: Automations, chances: Random) -> None:
    """Flush the outbox now and then, like an impatient person."""
    while True:
        await asyncio.sleep(chances.uniform(*FLUSHES))
        with unless_reloading():
            await sender.act("flush_outbox")


async def keep_reloading(hass: HomeAssistant, chances: Random) -> None:
    """Reload the integration now and then, in the middle of everything."""
    while True:
        await asyncio.sleep(chances.uniform(*RELOADS))
        await hass.config_entries.async_reload(home.ENTRY_ID)
        tell("reloaded")


async def run_until_input(works: list[Any]) -> None:
    """Let everything continue until a line arrives on standard input."""
    tasks = [asyncio.create_task(work) for work in works]
    line = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    done, _ = await asyncio.wait([line, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            raise end
    assert line in done


async def drain(sender: Automations, queue: Queue) -> None:
    """Send everything that waits or has failed."""
    deadline = time.monotonic() + LAST_WAIT
    while (queue.waiting or queue.failed) and time.monotonic() < deadline:
        await sender.act("retry_failed")
        await sender.act("flush_outbox")
        await asyncio.sleep(0.5)
    tell("left", len(queue.waiting) + len(queue.failed))


async def live(folder: Path, seed: int) -> None:
    """Send until told to stop, and then until everything is sent."""
    chances = Random(seed)  # noqa: S311
    for name, size in SIZES.items():
        (folder / name).write_bytes(chances.randbytes(size))
    hass = await home.start(folder, DOMAIN)
    hass.config.allowlist_external_dirs = {str(folder)}
    queue: Queue = home.entry_of(hass, DOMAIN).runtime_data.queue
    sender = Automations(hass, Order(number=1, step=1, seed=seed, finish=True, meddle=True))
    heartbeat = Heartbeat()
    watching = [asyncio.create_task(heartbeat.run()), asyncio.create_task(tell_samples(heartbeat))]
    tell("ready", len(queue.waiting))
    works = [keep_sending(sender, chances) for _ in range(SENDERS)]
    await run_until_input([*works, keep_flushing(sender, chances), keep_reloading(hass, chances)])
    await hass.async_block_till_done()
    await drain(sender, queue)
    for task in watching:
        task.cancel()
    await hass.async_stop(force=True)


def main(folder: Path, seed: int) -> None:
    """Run the program."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    import_all()
    instrument()
    asyncio.run(live(folder, seed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
