"""Notify entities: one for the account itself and one for each recipient."""

from typing import Final, override

from homeassistant.components.notify import (
    ATTR_TITLE_DEFAULT,
    DOMAIN as NOTIFY_DOMAIN,
    NotifyEntity,
    NotifyEntityFeature,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_RECIPIENTS, DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .exceptions import letter_errors
from .mailer import Mailer, Receipt
from .message.letter import Letter
from .message.mailbox import Mailbox, parse_mailboxes

PARALLEL_UPDATES = 0
_KEY: Final = "mail"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's own notify entity and one for each recipient."""
    async_add_entities([MailNotifyEntity(entry)])
    for subentry in entry.subentries.values():
        async_add_entities(
            [MailNotifyEntity(entry, subentry)], config_subentry_id=subentry.subentry_id
        )


class MailNotifyEntity(OutlookSmtpEntity, NotifyEntity):
    """Sends a mail to a recipient, or to the account's own mailbox."""

    _attr_supported_features = NotifyEntityFeature.TITLE
    _attr_name = None
    _attr_translation_key = "mail"

    def __init__(
        self, entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry | None = None
    ) -> None:
        """Stand for a recipient, or for the account itself."""
        super().__init__(entry, _KEY, subentry)
        self.mailer = entry.runtime_data.mailer
        self.mailboxes: tuple[Mailbox, ...] = (
            parse_mailboxes(subentry.data[CONF_RECIPIENTS], CONF_RECIPIENTS)
            if subentry
            else (Mailbox(self.mailer.sender.address),)
        )

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send an email; raise when the server refuses a recipient."""
        with self.mailer.noting_rejection(self.mailboxes), letter_errors():
            letter = Letter(to=self.mailboxes, title=title or ATTR_TITLE_DEFAULT, text=message)
        receipt = await self.mailer.send(letter)
        if receipt.refused:
            self.async_record(receipt)
        receipt.raise_for_refused()

    @callback
    def async_record(self, receipt: Receipt) -> None:
        """Show when the last email was sent, if the server accepted one of the recipients here."""
        accepted = {address.lower() for address in receipt.accepted}
        if any(mailbox.envelope.lower() in accepted for mailbox in self.mailboxes):
            self._async_record_notification()


def own_entity_id(hass: HomeAssistant, mailer: Mailer) -> str | None:
    """Return the id of the notify entity of the account itself, disabled or not, if it has one."""
    registry = er.async_get(hass)
    entries: list[OutlookSmtpConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return next(
        (
            registry.async_get_entity_id(NOTIFY_DOMAIN, DOMAIN, f"{entry.entry_id}_{_KEY}")
            for entry in entries
            if entry.runtime_data.mailer is mailer
        ),
        None,
    )
