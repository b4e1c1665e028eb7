"""Buttons to try an account: a test mail, and a check of the connection."""

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .entity import OutlookSmtpEntity
from .exceptions import fault_error
from .mailer import Status
from .message.letter import Letter
from .message.mailbox import Mailbox
from .texts import async_text

PARALLEL_UPDATES = 0  # The outbox takes the server one thing at a time.


async def async_setup_entry(
    hass: HomeAssistant,
    entry: OutlookSmtpConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the account's buttons."""
    async_add_entities([TestMailButton(entry), CheckButton(entry)])


class AccountButton(OutlookSmtpEntity, ButtonEntity):
    """A button of an account."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, entry: OutlookSmtpConfigEntry, key: str) -> None:
        """Act on an account."""
        super().__init__(entry, key)
        self._attr_translation_key = key
        self._coordinator = entry.runtime_data
        self._mailer = entry.runtime_data.mailer


class TestMailButton(AccountButton):
    """Sends a mail to the account itself."""

    __test__ = False  # Its name is not that of a test.

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Send from an account to itself."""
        super().__init__(entry, "send_test_mail")

    @override
    async def async_press(self) -> None:
        """Send the mail, and say why if it is not sent now."""
        letter = Letter(
            to=(Mailbox(self._mailer.sender.address),),
            title=await async_text(self.hass, "test_mail_title"),
            text=await async_text(self.hass, "test_mail_text"),
        )
        receipt = await self._mailer.send(letter)
        if receipt.status is Status.QUEUED:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="test_mail_waits",
                translation_placeholders={"reply": receipt.reply or "-"},
            )


class CheckButton(AccountButton):
    """Checks the connection now."""

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Check an account."""
        super().__init__(entry, "check_now")

    @override
    async def async_press(self) -> None:
        """Connect and sign in, and say what is wrong if that does not work."""
        await self._coordinator.async_check_now()
        if fault := self._coordinator.last_fault:
            account = self._mailer.account
            raise fault_error(fault, account.address, account.server)
