"""Notify entities: one for the account itself and one for each recipient."""

from typing import override

from homeassistant.components.notify import (
    ATTR_TITLE_DEFAULT,
    NotifyEntity,
    NotifyEntityFeature,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_RECIPIENTS
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .exceptions import letter_errors
from .mailer import Receipt
from .message.letter import Letter
from .message.mailbox import Mailbox, parse_mailboxes

PARALLEL_UPDATES = 0


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
        super().__init__(entry, "mail", subentry)
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
