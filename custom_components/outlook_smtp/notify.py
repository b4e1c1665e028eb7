"""Notify entities: one for the account itself and one for each recipient."""

from typing import Final, override

from homeassistant.components.notify import (
    ATTR_TITLE_DEFAULT,
    NotifyEntity,
    NotifyEntityDescription,
    NotifyEntityFeature,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import CONF_RECIPIENTS
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity, async_update_recipient_device
from .errors import message_errors, raise_for_refused
from .live_changes import SIGNAL_RECIPIENTS
from .message.mailbox import Mailbox, parse_mailboxes
from .message.outgoing import OutgoingMessage
from .outbox.receipt import Receipt

PARALLEL_UPDATES = 0

MAIL: Final = NotifyEntityDescription(key="mail", name=None)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's own notify entity and one for each recipient."""
    async_add_entities([MailNotifyEntity(entry)])
    recipients: dict[str, MailNotifyEntity] = {}

    @callback
    def async_follow() -> None:
        """Add new recipients and change known ones; Home Assistant removes those that are gone."""
        for subentry_id, subentry in entry.subentries.items():
            if known := recipients.get(subentry_id):
                known.async_change(subentry)
                continue
            recipients[subentry_id] = MailNotifyEntity(entry, subentry)
            async_add_entities([recipients[subentry_id]], config_subentry_id=subentry_id)

    async_follow()
    signal = SIGNAL_RECIPIENTS.format(entry.entry_id)
    entry.async_on_unload(async_dispatcher_connect(hass, signal, async_follow))


class MailNotifyEntity(OutlookSmtpEntity, NotifyEntity):
    """Sends an email to a recipient, or to the account's own mailbox."""

    _attr_supported_features = NotifyEntityFeature.TITLE

    def __init__(
        self, entry: OutlookSmtpConfigEntry, subentry: ConfigSubentry | None = None
    ) -> None:
        """Set up the entity of a recipient, or of the account itself."""
        super().__init__(entry, MAIL, subentry)
        self._subentry = subentry

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """Return the mailboxes of the recipient, or the account's own."""
        if self._subentry:
            return parse_mailboxes(self._subentry.data[CONF_RECIPIENTS], CONF_RECIPIENTS)
        return (Mailbox(self.entry.runtime_data.mailer.sender.address),)

    @callback
    def async_change(self, subentry: ConfigSubentry) -> None:
        """Follow a change of the recipient's name or addresses."""
        self._subentry = subentry
        async_update_recipient_device(self.hass, self.entry, subentry)

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send an email; raise when the server refuses a recipient."""
        mailer = self.entry.runtime_data.mailer
        with mailer.noting_rejection(self.mailboxes, title), message_errors():
            outgoing = OutgoingMessage(
                to=self.mailboxes, title=title or ATTR_TITLE_DEFAULT, text=message
            )
        receipt = await mailer.send(outgoing, self._context)
        if receipt.refused:
            self.async_record(receipt)
        raise_for_refused(receipt)

    @callback
    def async_record(self, receipt: Receipt) -> None:
        """Update the time of the last email, if the server accepted a recipient of this entity."""
        accepted = {address.lower() for address in receipt.accepted}
        if any(mailbox.envelope.lower() in accepted for mailbox in self.mailboxes):
            self._async_record_notification()
