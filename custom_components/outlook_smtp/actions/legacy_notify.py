"""The action `notify.<account>`, for alerts, notify groups and older automations."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from html import escape
from itertools import islice
import logging
import re
from typing import Any, Final, override
from urllib.parse import quote

from homeassistant.components.media_source import URI_SCHEME
from homeassistant.components.notify import (
    ATTR_DATA,
    ATTR_MESSAGE,
    ATTR_TARGET,
    ATTR_TITLE,
    DOMAIN as NOTIFY_DOMAIN,
    NOTIFY_SERVICE_SCHEMA,
    BaseNotificationService,
)
from homeassistant.const import CONF_EMAIL
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.helpers import config_validation as cv
from homeassistant.util import slugify
import voluptuous as vol

from ..const import (
    ATTR_ATTACHMENTS,
    ATTR_ATTACHMENTS_REQUIRED,
    ATTR_BCC,
    ATTR_CC,
    ATTR_CONTENT_ID,
    ATTR_DEDUPLICATE,
    ATTR_EXPIRES_AFTER,
    ATTR_HTML,
    ATTR_IMAGES,
    ATTR_MARKDOWN,
    ATTR_MEDIA_SOURCE,
    ATTR_PATH,
    ATTR_PRIORITY,
    ATTR_REPLY_TO,
    ATTR_SEND_AT,
    ATTR_SENDER_NAME,
    ATTR_TO,
    CONF_RECIPIENTS,
    DOMAIN,
)
from ..coordinator import OutlookSmtpConfigEntry
from ..errors import message_errors, raise_for_refused
from ..message.text import MAX_PIECE, is_blank, visible
from .intake import EMPTY, MAX_ITEMS, tidy, tidy_fields
from .send_message import (
    ATTACHMENT_FIELDS,
    ATTACHMENT_SCHEMA,
    PRIORITY,
    async_read_message,
    check_lengths,
)
from .timing import duration, duration_or_off, point_in_time

_LOGGER = logging.getLogger(__name__)

MAX_LISTED: Final = 20  # Keys listed in one warning.
MAX_NAME: Final = 50  # Characters of each listed key.

_MAX_CONTENT_ID: Final = 255
# Each call runs in a task of its own, and so has a value of its own.
_CONTEXT: Final[ContextVar[Context | None]] = ContextVar("context", default=None)


def _text(value: Any) -> str:
    """Require a string: a number may be meant for another notifier."""
    if not isinstance(value, str):
        raise vol.Invalid("not text")
    return value


def _path(value: Any) -> str:
    """Require a local path, not a URL."""
    if "://" in (text := _text(value)):
        raise vol.Invalid("not a path")
    return text


def _attachment(value: Any) -> dict[str, Any]:
    """Validate an attachment, given as for `outlook_smtp.send_message` or as its source alone."""
    if isinstance(value, Mapping):
        known = {key: each for key, each in value.items() if key in ATTACHMENT_FIELDS}
        checked: dict[str, Any] = ATTACHMENT_SCHEMA(known)
        return checked
    if _text(value).startswith(URI_SCHEME):
        return _attachment({ATTR_MEDIA_SOURCE: value})
    return {ATTR_PATH: _path(value)}


# The type of each key of `data`, and the keys that accept several values.
CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    ATTR_TO: _text,
    ATTR_CC: _text,
    ATTR_BCC: _text,
    ATTR_REPLY_TO: _text,
    ATTR_ATTACHMENTS: _attachment,
    ATTR_ATTACHMENTS_REQUIRED: cv.boolean,
    ATTR_IMAGES: _path,
    ATTR_HTML: _text,
    ATTR_MARKDOWN: cv.boolean,
    ATTR_PRIORITY: PRIORITY,
    ATTR_SENDER_NAME: _text,
    ATTR_SEND_AT: point_in_time,
    ATTR_EXPIRES_AFTER: duration,
    ATTR_DEDUPLICATE: duration_or_off,
}
_LISTS: Final = frozenset(
    {ATTR_TO, ATTR_CC, ATTR_BCC, ATTR_REPLY_TO, ATTR_ATTACHMENTS, ATTR_IMAGES}
)


async def async_register_legacy_notify(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Register `notify.<account>` until the entry is unloaded."""
    name = _action_name(hass, entry)
    if hass.services.has_service(NOTIFY_DOMAIN, name):
        _LOGGER.warning(
            "%s has no action notify.%s: another integration has registered that name",
            entry.title,
            name,
        )
        return
    notifier = MailNotificationService(entry)
    await notifier.async_setup(hass, name, name)
    entry.async_on_unload(notifier.async_unregister_services)
    await notifier.async_register_services()


def _action_name(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> str:
    """Return the fixed action name of an account.

    It comes from the address, not from the entry's title, which may change. Addresses that differ
    only in punctuation are numbered, in the order they were added.
    """
    name = slugify(entry.data[CONF_EMAIL])
    same_names = [
        other.entry_id
        for other in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        if slugify(other.data[CONF_EMAIL]) == name
    ]
    number = same_names.index(entry.entry_id) + 1
    return name if number == 1 else f"{name}_{number}"


class MailNotificationService(BaseNotificationService):
    """Accepts what the notifier of the built-in `smtp` integration accepts, and more."""

    def __init__(self, entry: OutlookSmtpConfigEntry) -> None:
        """Send from an account."""
        self._entry = entry
        self._warned: set[str] = set()

    @override
    async def async_register_services(self) -> None:
        """Register the action, and treat empty fields as absent."""
        await super().async_register_services()
        self.hass.services.async_register(
            NOTIFY_DOMAIN,
            self._service_name,
            self._async_notify_message_service,
            vol.Schema(vol.All(_fill_in, NOTIFY_SERVICE_SCHEMA)),
        )

    @override
    async def _async_notify_message_service(self, service: ServiceCall) -> None:
        """Handle a call, and remember its context, which the base class does not pass on."""
        _CONTEXT.set(service.context)
        await super()._async_notify_message_service(service)

    @override
    async def async_send_message(self, message: str, **kwargs: Any) -> None:
        """Send one email to the targets, else to all recipients, else to the account itself."""
        mailer = self._entry.runtime_data.mailer
        data = kwargs.get(ATTR_DATA) or {}
        with mailer.noting_rejection(title=kwargs.get(ATTR_TITLE)), message_errors():
            html = data.get(ATTR_HTML)
            check_lengths({ATTR_MESSAGE: message, ATTR_HTML: html if isinstance(html, str) else ""})
        fields, ignored = await self.hass.async_add_executor_job(_read_data, message, data)
        self._warn(ignored)
        to = [*(kwargs.get(ATTR_TARGET) or ()), *fields.get(ATTR_TO, ())]
        if not to and not fields.get(ATTR_BCC):
            to = self._default_recipients()
        outgoing = await async_read_message(
            self.hass,
            mailer,
            {**fields, ATTR_TO: to, ATTR_MESSAGE: message, ATTR_TITLE: kwargs.get(ATTR_TITLE)},
        )
        receipt = await mailer.send(outgoing, _CONTEXT.get())
        raise_for_refused(receipt)

    def _warn(self, ignored: set[str]) -> None:
        """Log the ignored keys, each only once: alerts repeat."""
        new = sorted(ignored - self._warned)[:MAX_LISTED]
        if new and len(self._warned) < MAX_ITEMS:
            self._warned.update(new)
            _LOGGER.warning(
                "notify.%s: ignoring unsupported data keys: %s",
                self._service_name,
                ", ".join(visible(name, MAX_NAME) for name in new),
            )

    def _default_recipients(self) -> list[str]:
        """Return the recipients of a message without a target."""
        recipients = [
            address
            for subentry in self._entry.subentries.values()
            for address in subentry.data[CONF_RECIPIENTS]
        ]
        return recipients or [self._entry.data[CONF_EMAIL]]


def _fill_in(call: dict[str, Any]) -> dict[str, Any]:
    """Return the non-empty fields of a call, including its required message.

    Fields for other notifiers are not read, whatever their size.
    """
    filled: dict[str, Any] = tidy_fields({key: call[key] for key in call if key != ATTR_DATA})
    if data := call.get(ATTR_DATA):
        filled[ATTR_DATA] = _tidy_data(data) if isinstance(data, Mapping) else data
    return filled | ({ATTR_MESSAGE: call[ATTR_MESSAGE] or ""} if ATTR_MESSAGE in call else {})


def _tidy_data(data: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the non-empty extra data of a call."""
    few = islice(data.items(), MAX_ITEMS)
    tidied = ((str(key), tidy(key, each) if key in CHECKS else each) for key, each in few)
    return {key: each for key, each in tidied if each not in EMPTY}


def _read_data(message: str, data: Mapping[Any, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the extra data of a call as fields of `outlook_smtp.send_message`.

    Also returns the keys that cannot be used, wholly or in part. An alert or a notify group passes
    the same data to all of its notifiers, and some of it may be for a phone.
    """
    ignored = data.keys() - CHECKS.keys()
    fields: dict[str, Any] = {}
    for key, check in CHECKS.items():
        if (given := data.get(key)) is None:
            continue
        values = given if isinstance(given, list) and key in _LISTS else [given]
        if usable := _valid(check, values):
            fields[key] = usable if key in _LISTS else usable[0]
        if len(usable) < len(values):
            ignored.add(key)
    if fields.get(ATTR_MARKDOWN) and (fields.get(ATTR_HTML) or is_blank(message)):
        del fields[ATTR_MARKDOWN]
        ignored.add(ATTR_MARKDOWN)
    images = fields.pop(ATTR_IMAGES, [])
    shown = _inline(images, fields) if fields.get(ATTR_HTML) else _plain(images, fields)
    return fields | shown, ignored


def _valid(check: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """Return the values that pass a check."""
    usable = []
    for value in values:
        with suppress(vol.Invalid):
            usable.append(check(value))
    return usable


def _plain(images: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields for images without HTML."""
    attachments = fields.get(ATTR_ATTACHMENTS, [])
    return {ATTR_ATTACHMENTS: [*attachments, *({ATTR_PATH: path} for path in images)]}


def _inline(images: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields for images with HTML, which shows each by its file name.

    Of two images with one name, the second is attached, because the HTML can only refer to one.
    """
    attachments = list(fields.get(ATTR_ATTACHMENTS, ()))
    taken = {item.get(ATTR_CONTENT_ID) for item in attachments}
    forms: dict[str, str] = {}
    for path in images:
        name = path.rpartition("/")[2]
        # Mail readers disagree on how to encode spaces and the like in a content ID.
        content_id = quote(name, safe="").replace("%", "_")[:_MAX_CONTENT_ID]
        item = {ATTR_PATH: path}
        if content_id and content_id not in taken:
            item[ATTR_CONTENT_ID] = content_id
            taken.add(content_id)
            forms = dict.fromkeys((name, quote(name), escape(name)), content_id) | forms
        attachments.append(item)
    return {ATTR_ATTACHMENTS: attachments, ATTR_HTML: _show(fields[ATTR_HTML], forms)}


def _show(html: str, forms: dict[str, str]) -> str:
    """Return HTML that refers to its images by their content IDs."""
    if not forms:
        return html
    longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
    pattern = re.compile(rf"(?i:(cid:))({'|'.join(longest_first)})")
    reach = len("cid:") + max(map(len, forms))
    written: list[str] = []
    position = 0
    while position < len(html):
        # Searching all of a long page would block other threads.
        end = position + MAX_PIECE
        match = pattern.search(html, position, end + reach)
        if match is None or match.start() >= end:
            written.append(html[position:end])
            position = end
        else:
            written += (html[position : match.start()], match[1], forms[match[2]])
            position = match.end()
    return "".join(written)
