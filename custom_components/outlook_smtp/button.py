"""Buttons to test an account: send a test email and check the connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import CONF_EMAIL, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .errors import fault_error
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
            translation_key="test_mail_waits",
            translation_placeholders={"reply": receipt.reply or "-"},
        )


async def _async_check(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Connect and sign in; raise the problem if that fails."""
    data = entry.runtime_data
    await data.coordinator.async_check_now()
    if fault := data.coordinator.last_fault:
        raise fault_error(fault, entry.data[CONF_EMAIL], data.route)


@dataclass(frozen=True, kw_only=True)
class AccountButtonDescription(ButtonEntityDescription):
    """A button, and its action for an account."""

    press_fn: Callable[[HomeAssistant, OutlookSmtpConfigEntry], Awaitable[None]]


BUTTONS: Final = (
    AccountButtonDescription(key="send_test_mail", press_fn=_async_send_test_mail),
    AccountButtonDescription(key="check_now", press_fn=_async_check),
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
        """Run the action; raise an error if it fails."""
        await self.entity_description.press_fn(self.hass, self.entry)
