"""The action `notify.<account>`, for alerts, notify groups and automations of old."""

from html import escape
import logging
import re
from typing import Any, Final, override
from urllib.parse import quote

from homeassistant.components.notify import (
    ATTR_DATA,
    ATTR_MESSAGE,
    ATTR_TARGET,
    ATTR_TITLE,
    DOMAIN as NOTIFY_DOMAIN,
    BaseNotificationService,
)
from homeassistant.const import CONF_EMAIL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.util import slugify
import voluptuous as vol

from .const import (
    ATTR_ATTACHMENTS,
    ATTR_CONTENT_ID,
    ATTR_HTML,
    ATTR_IMAGES,
    ATTR_PATH,
    ATTR_TO,
    CONF_RECIPIENTS,
    DOMAIN,
)
from .coordinator import OutlookSmtpConfigEntry
from .exceptions import input_error
from .services import LETTER_FIELDS, async_read_letter

_LOGGER = logging.getLogger(__name__)

_MAX_CONTENT_ID: Final = 255

_DATA_FIELDS: Final[dict[vol.Marker, Any]] = {
    **LETTER_FIELDS,
    vol.Optional(ATTR_IMAGES): vol.All(cv.ensure_list, [cv.string]),
}
_DATA_SCHEMA: Final = vol.Schema(_DATA_FIELDS, extra=vol.REMOVE_EXTRA)


async def async_register_legacy_notify(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Register `notify.<account>` until the entry is unloaded."""
    name = _action_name(hass, entry)
    if hass.services.has_service(NOTIFY_DOMAIN, name):
        _LOGGER.warning(
            "%s gets no action notify.%s, for another integration has one of that name",
            entry.title,
            name,
        )
        return
    notifier = MailNotificationService(entry)
    await notifier.async_setup(hass, name, name)
    await notifier.async_register_services()
    entry.async_on_unload(notifier.async_unregister_services)


def _action_name(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> str:
    """Return the name that an account's action always has.

    It is made of the address and not of the entry's title, which may change. Addresses that
    look the same without their punctuation are numbered, in the order in which they were added.
    """
    name = slugify(entry.data[CONF_EMAIL])
    namesakes = [
        other.entry_id
        for other in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        if slugify(other.data[CONF_EMAIL]) == name
    ]
    number = namesakes.index(entry.entry_id) + 1
    return name if number == 1 else f"{name}_{number}"


class MailNotificationService(BaseNotificationService):
    """Takes what the notifier of the built-in `smtp` integration takes, and more."""

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Send for an account."""
        self._entry = entry

    @override
    async def async_send_message(self, message: str, **kwargs: Any) -> None:
        """Send one mail to the targets, else to all recipients, else to the account itself."""
        mailer = self._entry.runtime_data.mailer
        fields = _read_data(kwargs.get(ATTR_DATA) or {})
        to = [*(kwargs.get(ATTR_TARGET) or ()), *fields.get(ATTR_TO, ())]
        to = to or self._default_recipients()
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


def _read_data(data: dict[str, Any]) -> dict[str, Any]:
    """Check the extra data of a call, and return it as fields of `outlook_smtp.send_message`.

    What is not known here is passed over: an alert or a notify group hands all its notifiers the
    same data, and some of it is for a telephone.
    """
    if unknown := sorted({str(key) for key in data} - set(map(str, _DATA_FIELDS))):
        _LOGGER.warning("Mail has no use for this in data: %s", ", ".join(unknown))
    try:
        fields: dict[str, Any] = _DATA_SCHEMA(data)
    except vol.Invalid as error:
        where = " > ".join(map(str, error.path))
        raise input_error("invalid_data", ATTR_DATA, where, reason=error.msg) from error
    images = fields.pop(ATTR_IMAGES, ())
    return fields | (_inline(images, fields) if fields.get(ATTR_HTML) else _plain(images, fields))


def _plain(images: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that images without HTML change."""
    attachments = fields.get(ATTR_ATTACHMENTS, [])
    return {ATTR_ATTACHMENTS: [*attachments, *({ATTR_PATH: path} for path in images)]}


def _inline(images: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that images with HTML change: it shows each by its file's name.

    Of two images of one name the second is attached, for the HTML can only mean one.
    """
    attachments = list(fields.get(ATTR_ATTACHMENTS, ()))
    taken = {item.get(ATTR_CONTENT_ID) for item in attachments}
    forms: dict[str, str] = {}
    for path in images:
        name = path.rpartition("/")[2]
        # Mail readers disagree on how spaces and the like are written in an identifier.
        content_id = quote(name, safe="").replace("%", "_")[:_MAX_CONTENT_ID]
        item = {ATTR_PATH: path}
        if content_id and content_id not in taken:
            item[ATTR_CONTENT_ID] = content_id
            taken.add(content_id)
            forms = dict.fromkeys((name, quote(name), escape(name)), content_id) | forms
        attachments.append(item)
    return {ATTR_ATTACHMENTS: attachments, ATTR_HTML: _show(fields[ATTR_HTML], forms)}


def _show(html: str, forms: dict[str, str]) -> str:
    """Return HTML that names its images by their content identifiers."""
    if not forms:
        return html
    longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
    pattern = re.compile(rf"(?i:(cid:))({'|'.join(longest_first)})")
    return pattern.sub(lambda match: match[1] + forms[match[2]], html)
