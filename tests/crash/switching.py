"""Switch the route of an account in the middle of its queue, as the reconfigure dialog does."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import CONF_ROUTE, DOMAIN
from custom_components.outlook_smtp.outbox.queue import Queue
from tests import home

from .telling import tell

MOST_BETWEEN: Final = 8  # Changes in the queue between two switches: sent, failed and others.
LONGEST_BETWEEN: Final = 0.3  # Seconds, even if nothing changes.
LONGEST_DELAY: Final = 0.008  # Seconds, about as long as it takes to submit a message.
OTHER: Final = {Resource.SMTP: Resource.GRAPH, Resource.GRAPH: Resource.SMTP}


async def switch_until_sent(hass: HomeAssistant, queue: Queue, chances: Random) -> None:
    """Switch to the other route after every few messages, at any moment, until all are sent."""
    while queue.waiting or queue.under_way:
        await _wait_for_some(queue, chances.randint(1, MOST_BETWEEN))
        await asyncio.sleep(chances.uniform(0, LONGEST_DELAY))
        await _switch(hass)


async def _wait_for_some(queue: Queue, count: int) -> None:
    """Wait for a number of changes in a queue, but not for long."""
    changes = asyncio.Semaphore(0)
    unsubscribe = queue.subscribe(lambda _: changes.release())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_BETWEEN):
                for _ in range(count):
                    await changes.acquire()
    finally:
        unsubscribe()


async def _switch(hass: HomeAssistant) -> None:
    """Switch to the other route, and wait until the account is loaded again."""
    entry = home.entry_of(hass, DOMAIN)
    route = OTHER[entry.data[CONF_ROUTE]]
    loaded = asyncio.Event()

    def note() -> None:
        """Note that the account is loaded."""
        if entry.state is ConfigEntryState.LOADED:
            loaded.set()

    unsubscribe = entry.async_on_state_change(note)
    tell("+switch")
    hass.config_entries.async_update_entry(entry, data=entry.data | {CONF_ROUTE: route.value})
    await loaded.wait()
    unsubscribe()
    tell("-switch")
    tell("switched", 1)
