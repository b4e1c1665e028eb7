"""Outlook.com SMTP: mail through a Microsoft account, and the word whether it works."""

from functools import partial

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.typing import ConfigType

from .account import async_build_account
from .actions.legacy_notify import async_register_legacy_notify
from .actions.outbox import async_setup_outbox_actions
from .actions.send_message import async_setup_services
from .const import (
    CONF_LIFETIME,
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    DEFAULT_LIFETIME,
    DOMAIN,
)
from .coordinator import HealthCoordinator, OutlookSmtpConfigEntry, OutlookSmtpData
from .entity import account_device
from .flows.smtp_import import async_watch_smtp
from .issues import AccountIssues, async_clear_account
from .leftovers import async_sweep
from .mailer import Mailer
from .message.mailbox import parse_mailboxes
from .outbox.disk import LinkError
from .outbox.worker import DeliveryWorker
from .outboxes import async_open_outbox, async_remove_outbox, async_rest
from .sent_log import SentLog, async_remove_log
from .smtp.route import SmtpRoute
from .token_store import AccountTokens, TokenFile, async_is_signed_in_anew, async_load_tokens

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NOTIFY,
    Platform.SENSOR,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, look for what can be moved here, and sweep what is left."""
    async_setup_services(hass)
    async_setup_outbox_actions(hass)
    async_watch_smtp(hass)
    hass.async_create_background_task(async_sweep(hass), "outlook_smtp sweep")
    return True


async def async_setup_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Bring an account to life without waiting for the network: all of it, or nothing."""
    try:
        await _async_bring_up(hass, entry)
    except OSError as error:
        await _async_take_down(hass, entry)
        raise _not_ready(error) from error
    except BaseException:
        await _async_take_down(hass, entry)
        raise
    return True


async def async_unload_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> bool:
    """Put an account to rest; what waits stays in its outbox.

    One that cannot be put to rest goes on sending, and its entities with it.
    """
    worker, queue = entry.runtime_data.worker, entry.runtime_data.queue
    is_unloaded = False
    try:
        # First, so that what is settled in its last moments is still told to the entities.
        await worker.stop(for_now=True)
        is_unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    finally:
        if not is_unloaded:
            await worker.start()
            await _async_restore_platforms(hass, entry)
    hass.async_create_task(async_rest(entry, queue), "outlook_smtp rest")
    return is_unloaded


async def async_remove_entry(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Forget the sign-in, the outbox and the issues of an account that is removed."""
    if hasattr(entry, "runtime_data"):  # It could not be unloaded.
        await entry.runtime_data.worker.stop(for_now=True)
        await entry.runtime_data.coordinator.async_shutdown()
        await entry.runtime_data.sent.async_settle()
    await async_remove_outbox(hass, entry)
    await async_remove_log(hass, entry)
    await TokenFile(hass, entry).async_remove()
    async_clear_account(hass, entry)


async def _async_bring_up(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Set up all that an account consists of."""
    # First, for a recipient may be added meanwhile.
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    if tokens := await async_load_tokens(hass, entry):
        entry.async_on_unload(tokens.settle)
        entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, tokens.settle))
    data = entry.runtime_data = await _async_build(hass, entry, tokens)
    await data.sent.async_load()
    entry.async_on_unload(data.queue.subscribe(data.sent.async_on_turn))
    # First, for the devices of its recipients name it.
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **account_device(entry))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await async_register_legacy_notify(hass, entry)
    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, partial(_async_stop, data.worker))
    )
    # Checks go on though the sensor may be disabled: they keep a sign-in from lapsing.
    entry.async_on_unload(data.coordinator.async_add_listener(lambda: None))
    await data.worker.start(signed_in_anew=async_is_signed_in_anew(hass, entry))
    data.coordinator.async_begin()
    AccountIssues(hass, entry)
    entry.async_create_background_task(hass, data.coordinator.async_refresh(), "first check")


async def _async_build(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry, tokens: AccountTokens | None
) -> OutlookSmtpData:
    """Build the parts of an account; nothing is sent yet."""
    options = entry.options
    queue = await async_open_outbox(hass, entry)
    account = await async_build_account(hass, entry.data, options, tokens)
    route = SmtpRoute(account)
    lifetime = options.get(CONF_LIFETIME, DEFAULT_LIFETIME) * 3600.0
    worker = DeliveryWorker(route, queue, lifetime=lifetime)
    return OutlookSmtpData(
        account=account,
        route=route,
        queue=queue,
        worker=worker,
        mailer=Mailer(
            hass,
            account,
            route,
            queue,
            worker,
            sender_address=options.get(CONF_SENDER_ADDRESS, ""),
            sender_name=options.get(CONF_SENDER_NAME, ""),
            reply_to=parse_mailboxes(options.get(CONF_REPLY_TO, ""), CONF_REPLY_TO),
        ),
        coordinator=HealthCoordinator(hass, entry, account, queue, worker),
        sent=SentLog(hass, entry),
    )


async def _async_take_down(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Undo what a set-up that failed has done; Home Assistant calls what is due on unload."""
    if not hasattr(entry, "runtime_data"):
        return
    await entry.runtime_data.worker.stop()
    await hass.config_entries.async_unload_platforms(entry, _loaded_platforms(hass, entry))


async def _async_restore_platforms(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Set up again the platforms that were unloaded beside one that was not."""
    missing = [platform for platform in PLATFORMS if platform not in _loaded_platforms(hass, entry)]
    await hass.config_entries.async_forward_entry_setups(entry, missing)


def _loaded_platforms(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> list[Platform]:
    """Return the platforms that an account has now."""
    return [
        Platform(platform.domain)
        for platform in async_get_platforms(hass, DOMAIN)
        if platform.config_entry is entry
    ]


def _not_ready(error: OSError) -> ConfigEntryNotReady:
    """Return why an account is set up later: its folder or a file cannot be used now."""
    return ConfigEntryNotReady(
        translation_domain=DOMAIN,
        translation_key="outbox_is_link" if isinstance(error, LinkError) else "outbox_not_readable",
        translation_placeholders={"reason": str(error), "folder": str(error.filename)},
    )


async def _async_stop(worker: DeliveryWorker, _: Event) -> None:
    """End with Home Assistant."""
    await worker.stop()


async def _async_reload(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Start over with what was changed: the account, its options or its recipients."""
    hass.config_entries.async_schedule_reload(entry.entry_id)
