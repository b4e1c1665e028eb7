"""Buttons to test an account, and to have its outbox tried again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from math import inf
import time
from typing import Final, override

from homeassistant.components import persistent_notification
from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import CONF_EMAIL, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .actions.permissions import async_check_administrator
from .const import DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Fault
from .entity import OutlookSmtpEntity
from .errors import fault_error, outbox_errors
from .foreign_text import quote, shared
from .issue_texts import explain, format_time
from .message.mailbox import Mailbox
from .message.outgoing import OutgoingMessage
from .outbox.receipt import Status
from .texts import async_text

PARALLEL_UPDATES = 0  # The outbox talks to the server sequentially.


async def _async_send_test_mail(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Send an email to the account itself; raise the reason if it is not sent now."""
    mailer = entry.runtime_data.mailer
    outgoing = OutgoingMessage(
        to=(Mailbox(mailer.sender.address),),
        title=await async_text(hass, "test_mail_title"),
        text=await async_text(hass, "test_mail_text"),
    )
    receipt = await mailer.send(outgoing)
    if receipt.status is Status.QUEUED:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="test_mail_waits" if receipt.reply else "test_mail_waits_silent",
            translation_placeholders={"reply": receipt.reply},
        )


async def _async_check(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Connect and sign in; show the result in a notification, or raise the problem."""
    data = entry.runtime_data
    await data.coordinator.async_check_now()
    notification_id = f"{DOMAIN}_check_{entry.entry_id}"
    if fault := data.coordinator.last_fault:
        persistent_notification.async_dismiss(hass, notification_id)
        raise _check_error(entry, fault)
    persistent_notification.async_create(
        hass,
        "\n\n".join([line async for line in _answer(hass, entry)]),
        await async_text(hass, "check_title", account=shared(entry.title)),
        notification_id,
    )


def _check_error(entry: OutlookSmtpConfigEntry, fault: Fault) -> HomeAssistantError:
    """Return the error of a failed check, with how much waits."""
    data = entry.runtime_data
    if not data.queue.waiting:
        return fault_error(fault, entry.data[CONF_EMAIL], data.route)
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="check_failed",
        translation_placeholders={
            "explanation": explain(entry, fault),
            "count": str(len(data.queue.waiting)),
        },
    )


async def _answer(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> AsyncIterator[str]:
    """Yield the result of a successful check: how long it took, and what still waits and why."""
    data = entry.runtime_data
    seconds = sum((data.coordinator.last_timings or {}).values())
    yield await async_text(hass, "check_connected", seconds=f"{seconds:.1f}")
    if hold := data.worker.hold:
        reason = quote(explain(entry, hold.fault))
        yield await async_text(hass, "check_held", reason=reason)
    if waiting := len(data.queue.waiting):
        yield await async_text(hass, "check_waiting", count=str(waiting))
        if (due := data.worker.next_turn) != inf:
            when = dt_util.utcnow() + timedelta(seconds=max(due - time.monotonic(), 0.0))
            yield await async_text(hass, "check_next", time=format_time(when))


async def _async_flush(_: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Try to send all waiting messages now, including those on hold."""
    await entry.runtime_data.worker.flush()


async def _async_retry(_: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Queue all failed messages again."""
    queue = entry.runtime_data.queue
    with outbox_errors(queue):
        await queue.retry()


@dataclass(frozen=True, kw_only=True)
class AccountButtonDescription(ButtonEntityDescription):
    """A button, and its action for an account; the outbox is for administrators."""

    for_administrators: bool = False
    press_fn: Callable[[HomeAssistant, OutlookSmtpConfigEntry], Awaitable[None]]


BUTTONS: Final = (
    AccountButtonDescription(key="send_test_mail", press_fn=_async_send_test_mail),
    AccountButtonDescription(key="check_now", press_fn=_async_check),
    AccountButtonDescription(key="send_waiting", press_fn=_async_flush, for_administrators=True),
    AccountButtonDescription(key="retry_failed", press_fn=_async_retry, for_administrators=True),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's buttons."""
    async_add_entities(AccountButton(entry, description) for description in BUTTONS)


class AccountButton(OutlookSmtpEntity, ButtonEntity):
    """Runs the action of its description."""

    entity_description: AccountButtonDescription
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    @override
    async def async_press(self) -> None:
        """Run the action; raise an error if it fails or if the user may not."""
        if self.entity_description.for_administrators and self._context:
            await async_check_administrator(self.hass, self._context)
        await self.entity_description.press_fn(self.hass, self.entry)
