"""The outbox of each account: opened once, and kept while the account's entry is reloaded."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
import logging
from pathlib import Path
import time
from typing import Any, Final

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey

from .const import (
    CONF_DELAYED_AFTER,
    CONF_FLOOD_LIMIT,
    CONF_LIFETIME,
    CONF_MAX_MESSAGES,
    CONF_MAX_SIZE,
    CONF_URGENT_LIFETIME,
    DEFAULT_DELAYED_AFTER,
    DEFAULT_FLOOD_LIMIT,
    DEFAULT_LIFETIME,
    DEFAULT_MAX_MESSAGES,
    DEFAULT_MAX_SIZE,
    DOMAIN,
)
from .coordinator import OutlookSmtpConfigEntry
from .delivery.network import describe
from .foreign_text import quote
from .issue_texts import list_spooled
from .outbox.events import Delivery, Event
from .outbox.queue import Queue
from .outbox.queued import Limits
from .outbox.spool import Spool
from .outbox.terms import Terms
from .texts import async_text

_LOGGER = logging.getLogger(__name__)

SAVE_AGES: Final = timedelta(hours=1)
LOOK_FOR_DELAYS: Final = timedelta(minutes=1)

_NO_FAILURES: Final = (Event.SENT, Event.QUEUED, Event.DELAYED, Event.DUPLICATE)

# A call that starts before a reload and ends after it must use the same queue.
_OUTBOXES: Final[HassKey[dict[str, Queue]]] = HassKey(f"{DOMAIN}_queues")


async def async_open_outbox(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Queue:
    """Return the outbox of an account.

    Raises `OSError` if its folder can neither be created nor read.
    """
    queues = hass.data.setdefault(_OUTBOXES, {})
    limits = limits_of(entry.options)
    if queue := queues.get(entry.entry_id):
        queue.limits = limits
    else:
        queue = Queue(Spool(_folder(hass, entry)), limits)
        await queue.open()
        queue.subscribe(partial(_warn_of_failure, entry))
        queues[entry.entry_id] = queue

    async def async_save(_: datetime) -> None:
        """Save the messages' ages for after a restart."""
        await queue.keep_ages()

    entry.async_on_unload(
        async_track_time_interval(hass, async_save, SAVE_AGES, cancel_on_shutdown=True)
    )

    async def async_tell_delayed(_: datetime) -> None:
        """Report messages that wait for too long, even if the delivery worker waits for a reply."""
        await queue.tell_delayed(terms_of(entry), time.monotonic())

    entry.async_on_unload(
        async_track_time_interval(
            hass, async_tell_delayed, LOOK_FOR_DELAYS, cancel_on_shutdown=True
        )
    )
    return queue


async def async_remove_outbox(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Close and delete the outbox of a removed account; notify the user if it held messages."""
    queue = hass.data.get(_OUTBOXES, {}).pop(entry.entry_id, None)
    try:
        if queue is None:  # The entry was disabled and never set up.
            queue = Queue(Spool(_folder(hass, entry)), limits_of(entry.options))
            await queue.open()
        await queue.close()
        await asyncio.to_thread(queue.spool.destroy)
    except OSError as error:
        _LOGGER.error("The outbox of %s cannot be deleted: %s", entry.title, describe(error))
    else:
        if queue.waiting or queue.failed:
            await _async_report_removal(hass, entry, queue)


async def async_rest(entry: OutlookSmtpConfigEntry, queue: Queue) -> None:
    """Answer callers that wait for an unloaded account, unless it is reloaded or removed.

    Only a reload or a removal holds the lock longer, and each answers the callers itself.
    """
    async with entry.setup_lock:
        if queue.is_orphaned:
            queue.rest()


def terms_of(entry: OutlookSmtpConfigEntry) -> Terms:
    """Return how long messages may wait, as an account's options say now."""
    options = entry.options
    urgent = options.get(CONF_URGENT_LIFETIME)
    return Terms(
        lifetime=options.get(CONF_LIFETIME, DEFAULT_LIFETIME) * 3600.0,
        urgent_lifetime=urgent * 60.0 if urgent else None,
        delay=options.get(CONF_DELAYED_AFTER, DEFAULT_DELAYED_AFTER) * 60.0,
    )


def flood_limit_of(entry: OutlookSmtpConfigEntry) -> int:
    """Return how many emails may be sent within ten minutes, as an account's options say now."""
    limit: int = entry.options.get(CONF_FLOOD_LIMIT, DEFAULT_FLOOD_LIMIT)
    return limit


@callback
def _warn_of_failure(entry: OutlookSmtpConfigEntry, delivery: Delivery | None) -> None:
    """Log that a message failed for good; a damaged message was logged already."""
    if delivery is None or delivery.event in _NO_FAILURES:
        return
    if delivery.event is Event.DISCARDED:
        _LOGGER.warning(
            "Failed message %s of %s was deleted before its week was over: %s",
            delivery.id,
            entry.title,
            "newer failed messages needed the room",
        )
        return
    fault, expired = delivery.fault, delivery.event is Event.EXPIRED
    if fault or expired:
        _LOGGER.warning(
            "Message %s of %s has %s: %s",
            delivery.id,
            entry.title,  # Read now, because the queue outlives a change of title.
            "expired" if expired else "failed",
            f"{fault.problem} ({delivery.shown_reply or '-'})"
            if fault
            else "it could not be tried",
        )


async def _async_report_removal(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry, queue: Queue
) -> None:
    """Report which messages were deleted with an account; a repair issue would fix nothing."""
    waiting, failed = len(queue.waiting), len(queue.failed)
    deleted = [each.spooled for each in queue.waiting]
    deleted += [each.failure.spooled for each in reversed(queue.failed)]
    _LOGGER.warning(
        "The outbox of %s was deleted with the account: %d waiting and %d failed messages",
        entry.title,
        waiting,
        failed,
    )
    text = await async_text(
        hass,
        "removed_text",
        account=quote(entry.title),
        waiting=str(waiting),
        failed=str(failed),
        messages=list_spooled(deleted),
    )
    persistent_notification.async_create(
        hass, text, await async_text(hass, "removed_title"), f"{DOMAIN}_removed_{entry.entry_id}"
    )


def _folder(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> Path:
    """Return the folder of an account's outbox, which backups include."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.outbox"))


def limits_of(options: Mapping[str, Any]) -> Limits:
    """Return the limits of an outbox from an account's options."""
    return Limits(
        messages=options.get(CONF_MAX_MESSAGES, DEFAULT_MAX_MESSAGES),
        size=options.get(CONF_MAX_SIZE, DEFAULT_MAX_SIZE) * 1_000_000,
    )
