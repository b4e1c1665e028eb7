"""Outlook.com SMTP: mail through a Microsoft account, and a sensor that tells whether it works."""

from functools import partial

from homeassistant.const import CONF_EMAIL, EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.typing import ConfigType

from .actions.legacy_notify import async_register_legacy_notify
from .actions.outbox import async_setup_outbox_actions
from .actions.send_message import async_setup_services
from .auth.tokens import TokenManager
from .const import (
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    DOMAIN,
)
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry, OutlookSmtpData
from .delivery.network import describe
from .entity import account_device
from .flows.smtp_import import async_watch_smtp
from .issues import AccountIssues, async_clear_account
from .leftovers import async_sweep
from .live_changes import async_follow_changes
from .mailer import Mailer
from .message.mailbox import parse_mailboxes
from .outbox.disk import LinkError
from .outbox.worker import DeliveryWorker
from .outboxes import async_open_outbox, async_remove_outbox, async_rest, flood_limit_of, terms_of
from .routes import async_build_route
from .sent_log import SentLog, async_remove_log
from .token_store import TokenFile, async_credentials_changed, async_load_tokens

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NOTIFY,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, offer to copy SMTP entries, and delete leftover files."""
    async_setup_services(hass)
    async_setup_outbox_actions(hass)
    async_watch_smtp(hass)
    hass.async_create_background_task(async_sweep(hass), "outlook_smtp sweep")
    return True


async def async_setup_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Set up an account without waiting for the network: completely, or not at all."""
    try:
        await _async_start(hass, entry)
    except OSError as error:
        await _async_stop_all(hass, entry)
        raise _not_ready(error) from error
    except BaseException:
        await _async_stop_all(hass, entry)
        raise
    return True


async def async_unload_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Unload an account; waiting messages stay in its outbox.

    If that fails, the account keeps sending, and its entities stay.
    """
    worker, queue = entry.runtime_data.worker, entry.runtime_data.queue
    is_unloaded = False
    try:
        # First, so that the entities still learn of messages settled at the last moment.
        await worker.stop(for_now=True)
        is_unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    finally:
        if not is_unloaded:
            await worker.start()
            await _async_restore_platforms(hass, entry)
    hass.async_create_task(async_rest(entry, queue), "outlook_smtp rest")
    return is_unloaded


async def async_remove_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Delete the tokens, the outbox and the issues of a removed account."""
    if hasattr(entry, "runtime_data"):  # Unloading failed.
        await entry.runtime_data.worker.stop(for_now=True)
        await entry.runtime_data.coordinator.async_shutdown()
        await entry.runtime_data.sent.async_settle()
    await async_remove_outbox(hass, entry)
    await async_remove_log(hass, entry)
    await TokenFile(hass, entry).async_remove()
    async_clear_account(hass, entry)


async def _async_start(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Set up all parts of an account."""
    # First, because a recipient may be added during setup.
    async_follow_changes(hass, entry)
    if tokens := await async_load_tokens(hass, entry):
        entry.async_on_unload(tokens.settle)
        entry.async_on_unload(
            hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, partial(_async_settle, tokens))
        )
    data = entry.runtime_data = await _async_build(hass, entry, tokens)
    await data.sent.async_load()
    entry.async_on_unload(data.queue.subscribe(data.sent.async_on_turn))
    # Before the platforms, because the recipients' devices refer to this one.
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **account_device(entry))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await async_register_legacy_notify(hass, entry)
    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, partial(_async_stop, data.worker))
    )
    # Keep checking even if the sensor is disabled: checks keep the refresh token from expiring.
    entry.async_on_unload(data.coordinator.async_add_listener(lambda: None))
    await data.worker.start(credentials_changed=async_credentials_changed(hass, entry))
    data.coordinator.async_begin()
    AccountIssues(hass, entry)
    entry.async_create_background_task(hass, data.coordinator.async_refresh(), "first check")


async def _async_build(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry, tokens: TokenManager | None
) -> OutlookSmtpData:
    """Build the parts of an account, without sending anything yet."""
    options = entry.options
    queue = await async_open_outbox(hass, entry)
    route = await async_build_route(hass, entry.data, options, tokens)
    worker = DeliveryWorker(route, queue, terms=partial(terms_of, entry))
    return OutlookSmtpData(
        route=route,
        queue=queue,
        worker=worker,
        mailer=Mailer(
            hass,
            entry.data[CONF_EMAIL],
            route,
            queue,
            worker,
            flood_limit=partial(flood_limit_of, entry),
            sender_address=options.get(CONF_SENDER_ADDRESS, ""),
            sender_name=options.get(CONF_SENDER_NAME, ""),
            reply_to=parse_mailboxes(options.get(CONF_REPLY_TO, ""), CONF_REPLY_TO),
        ),
        coordinator=HealthCoordinator(hass, entry, queue, worker),
        sent=SentLog(hass, entry),
        tokens=tokens,
    )


async def _async_stop_all(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Undo a failed setup; Home Assistant itself calls the unload callbacks."""
    if not hasattr(entry, "runtime_data"):
        return
    await entry.runtime_data.worker.stop()
    await hass.config_entries.async_unload_platforms(entry, _loaded_platforms(hass, entry))


async def _async_restore_platforms(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Set up the unloaded platforms again after another platform failed to unload."""
    missing = [platform for platform in PLATFORMS if platform not in _loaded_platforms(hass, entry)]
    await hass.config_entries.async_forward_entry_setups(entry, missing)


def _loaded_platforms(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> list[Platform]:
    """Return the platforms of an account that are loaded."""
    return [
        Platform(platform.domain)
        for platform in async_get_platforms(hass, DOMAIN)
        if platform.config_entry is entry
    ]


def _not_ready(error: OSError) -> ConfigEntryNotReady:
    """Return the error for a setup to retry: the outbox folder or a file cannot be used now."""
    return ConfigEntryNotReady(
        translation_domain=DOMAIN,
        translation_key="outbox_is_link" if isinstance(error, LinkError) else "outbox_not_readable",
        translation_placeholders={"reason": describe(error), "folder": str(error.filename)},
    )


async def _async_settle(tokens: TokenManager, _: Event) -> None:
    """Let no renewal under way be lost with Home Assistant."""
    await tokens.settle()


async def _async_stop(worker: DeliveryWorker, _: Event) -> None:
    """Stop the delivery worker when Home Assistant stops."""
    await worker.stop()
