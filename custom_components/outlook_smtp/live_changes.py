"""Apply a change of an entry to its loaded account, without a reload where possible.

A reload makes every entity unavailable for a moment, which fills the history and triggers
automations. Only another way to sign in or another server needs one.
"""

from functools import partial
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_EMAIL, CONF_TIMEOUT
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .const import (
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    DEFAULT_TIMEOUT,
    DOMAIN,
)
from .coordinator import OutlookSmtpConfigEntry
from .message.mailbox import Mailbox, parse_mailboxes
from .outboxes import limits_of

SIGNAL_RECIPIENTS: Final = f"{DOMAIN}_recipients_{{}}"  # With the entry ID.


@callback
def async_follow_changes(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Apply changes of an entry until it is unloaded; it may be changed while it is set up."""
    entry.async_on_unload(entry.add_update_listener(partial(_async_apply, entry.data, entry.title)))


async def _async_apply(
    data: object, title: str, hass: HomeAssistant, entry: OutlookSmtpConfigEntry
) -> None:
    """Apply the options and the recipients, or reload an account that has changed otherwise.

    Args:
        data: The data that the account was set up with.
        title: The title that it was set up with.
        hass: Home Assistant.
        entry: The changed entry.

    """
    if entry.state is not ConfigEntryState.LOADED or (entry.data, entry.title) != (data, title):
        hass.config_entries.async_schedule_reload(entry.entry_id)
        return
    _apply_options(entry)
    async_dispatcher_send(hass, SIGNAL_RECIPIENTS.format(entry.entry_id))


def _apply_options(entry: OutlookSmtpConfigEntry) -> None:
    """Apply the options of an account to its parts."""
    options, parts = entry.options, entry.runtime_data
    address = options.get(CONF_SENDER_ADDRESS) or entry.data[CONF_EMAIL]
    parts.mailer.sender = Mailbox(address, options.get(CONF_SENDER_NAME, ""))
    parts.mailer.reply_to = parse_mailboxes(options.get(CONF_REPLY_TO, ""), CONF_REPLY_TO)
    parts.queue.limits = limits_of(options)
    parts.queue.announce()  # There may be room now.
    parts.route.set_timeout(options.get(CONF_TIMEOUT, DEFAULT_TIMEOUT))
    parts.worker.wake()  # It reads how long messages may wait.
    parts.coordinator.async_set_interval()
