"""The outbox of each account: opened once, and there whatever becomes of the account's entry."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
import logging
from pathlib import Path
from typing import Any, Final

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey

from .const import CONF_MAX_MESSAGES, CONF_MAX_SIZE, DEFAULT_MAX_MESSAGES, DEFAULT_MAX_SIZE, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .foreign_text import quote
from .outbox.events import Delivery, Event
from .outbox.queue import Queue
from .outbox.queued import Limits
from .outbox.spool import Spool
from .texts import async_text

_LOGGER = logging.getLogger(__name__)

SAVE_AGES: Final = timedelta(hours=1)

# A call that began before a reload may end after it, and puts its message into the same queue.
_OUTBOXES: Final[HassKey[dict[str, Queue]]] = HassKey(f"{DOMAIN}_queues")


async def async_open_outbox(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Queue:
    """Return the outbox of an account.

    Raises `OSError` if its folder can be neither made nor read.
    """
    queues = hass.data.setdefault(_OUTBOXES, {})
    limits = _limits(entry.options)
    if queue := queues.get(entry.entry_id):
        queue.limits = limits
    else:
        queue = Queue(Spool(_folder(hass, entry)), limits)
        await queue.open()
        queue.subscribe(partial(_warn_of_failure, entry))
        queues[entry.entry_id] = queue

    async def async_save(_: datetime) -> None:
        """Keep for after a restart how long the messages have been there."""
        await queue.save_ages()

    entry.async_on_unload(
        async_track_time_interval(hass, async_save, SAVE_AGES, cancel_on_shutdown=True)
    )
    return queue


async def async_remove_outbox(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Close and delete the outbox of an account that is removed; say so if mail was in it."""
    queue = hass.data.get(_OUTBOXES, {}).pop(entry.entry_id, None)
    try:
        if queue is None:  # The entry was disabled, and is removed before it was ever set up.
            queue = Queue(Spool(_folder(hass, entry)), _limits(entry.options))
            await queue.open()
        await queue.close()
        await asyncio.to_thread(queue.spool.destroy)
    except OSError as error:
        _LOGGER.error("The outbox of %s cannot be deleted: %s", entry.title, error)
    else:
        if queue.waiting or queue.failed:
            await _async_tell_of_removal(hass, entry, len(queue.waiting), len(queue.failed))


async def async_rest(entry: OutlookSmtpConfigEntry, queue: Queue) -> None:
    """Answer who waits for an account that was unloaded, unless it is loaded again or removed.

    Only a reload and a removal keep its lock after that, and each has an answer of its own.
    """
    async with entry.setup_lock:
        if queue.is_orphaned:
            queue.rest()


@callback
def _warn_of_failure(entry: OutlookSmtpConfigEntry, delivery: Delivery | None) -> None:
    """Say once that a message is not sent for good; what is lost was said already."""
    if delivery is None or delivery.event in (Event.SENT, Event.QUEUED):
        return
    if delivery.event is Event.DISCARDED:
        _LOGGER.warning(
            "The failed message %s of %s was deleted before a week was over: %s",
            delivery.id,
            entry.title,
            "newer failed messages needed the room",
        )
        return
    fault, expired = delivery.fault, delivery.event is Event.EXPIRED
    if fault or expired:
        _LOGGER.warning(
            "The message %s of %s has %s: %s",
            delivery.id,
            entry.title,  # The queue outlives a change of it.
            "expired" if expired else "failed",
            f"{fault.problem} ({delivery.shown_reply or '-'})"
            if fault
            else "it could not be tried",
        )


async def _async_tell_of_removal(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry, waiting: int, failed: int
) -> None:
    """Say how many messages were deleted with an account; there is nothing left to repair."""
    _LOGGER.warning(
        "The outbox of %s was deleted with the account: %d waiting and %d failed messages",
        entry.title,
        waiting,
        failed,
    )
    text = await async_text(
        hass, "removed_text", account=quote(entry.title), waiting=str(waiting), failed=str(failed)
    )
    persistent_notification.async_create(
        hass, text, await async_text(hass, "removed_title"), f"{DOMAIN}_removed_{entry.entry_id}"
    )


def _folder(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Path:
    """Return the folder of an account's outbox, among what backups hold."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.outbox"))


def _limits(options: Mapping[str, Any]) -> Limits:
    """Return how much may wait."""
    return Limits(
        messages=options.get(CONF_MAX_MESSAGES, DEFAULT_MAX_MESSAGES),
        size=options.get(CONF_MAX_SIZE, DEFAULT_MAX_SIZE) * 1_000_000,
    )
