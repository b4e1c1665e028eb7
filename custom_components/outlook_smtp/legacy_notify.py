"""The action `notify.<account>`, for alerts, notify groups and automations of old."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, override
from urllib.parse import quote

from homeassistant.components.notify import (
    ATTR_DATA,
    ATTR_MESSAGE,
    ATTR_TARGET,
    ATTR_TITLE,
    BaseNotificationService,
)
from homeassistant.const import CONF_EMAIL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.util import slugify
import voluptuous as vol

from .const import (
    ATTR_ATTACHMENTS,
    ATTR_BCC,
    ATTR_CC,
    ATTR_CONTENT_ID,
    ATTR_IMAGES,
    ATTR_PATH,
    ATTR_TO,
    CONF_RECIPIENTS,
)
from .coordinator import OutlookSmtpConfigEntry
from .exceptions import input_error
from .services import LETTER_FIELDS, async_read_letter

_DATA_SCHEMA: Final = vol.Schema(
    {**LETTER_FIELDS, vol.Optional(ATTR_IMAGES): vol.All(cv.ensure_list, [cv.string])}
)


async def async_register_legacy_notify(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Register `notify.<account>` until the entry is unloaded.

    It is named after the address and not after the entry's title, which may change.
    """
    notifier = MailNotificationService(entry)
    name = slugify(entry.data[CONF_EMAIL])
    await notifier.async_setup(hass, name, name)
    await notifier.async_register_services()
    entry.async_on_unload(notifier.async_unregister_services)


class MailNotificationService(BaseNotificationService):
    """Takes what the notifier of the built-in `smtp` integration takes, and more."""

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Send for an account."""
        self._entry = entry

    @override
    async def async_send_message(self, message: str, **kwargs: Any) -> None:
        """Send one mail to the targets, else to all recipients, else to the account itself."""
        mailer = self._entry.runtime_data.mailer
        fields = self._fields(kwargs.get(ATTR_DATA) or {})
        to = [*(kwargs.get(ATTR_TARGET) or ()), *fields.get(ATTR_TO, ())]
        if not (to or fields.get(ATTR_CC) or fields.get(ATTR_BCC)):
            to = self._default_recipients()
        letter = await async_read_letter(
            self.hass,
            mailer,
            {**fields, ATTR_TO: to, ATTR_MESSAGE: message, ATTR_TITLE: kwargs.get(ATTR_TITLE)},
        )
        receipt = await mailer.send(letter)
        receipt.raise_for_refused()

    def _default_recipients(self) -> list[str]:
        """Return whom a mail without a target goes to."""
        recipients = [
            address
            for subentry in self._entry.subentries.values()
            for address in subentry.data[CONF_RECIPIENTS]
        ]
        return recipients or [self._entry.data[CONF_EMAIL]]

    @staticmethod
    def _fields(data: dict[str, Any]) -> dict[str, Any]:
        """Check the extra data; an image is a file, shown inline when there is HTML to show it."""
        try:
            fields: dict[str, Any] = _DATA_SCHEMA(data)
        except vol.Invalid as error:
            raise input_error("invalid_data", ATTR_DATA, str(error)) from error
        fields[ATTR_ATTACHMENTS] = [
            *fields.get(ATTR_ATTACHMENTS, ()),
            *_image_attachments(fields.pop(ATTR_IMAGES, ())),
        ]
        return fields


def _image_attachments(paths: Iterable[str]) -> Iterator[dict[str, str]]:
    """Attach files as the built-in notifier does: HTML finds an image by its file's name."""
    names: set[str] = set()
    for path in paths:
        name = quote(path.rpartition("/")[2])
        yield {ATTR_PATH: path} if name in names else {ATTR_PATH: path, ATTR_CONTENT_ID: name}
        names.add(name)
