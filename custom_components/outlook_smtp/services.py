"""The action `outlook_smtp.send_message`, and the reading of its fields."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from homeassistant.components.notify import (
    ATTR_MESSAGE,
    ATTR_TITLE,
    ATTR_TITLE_DEFAULT,
    DATA_COMPONENT,
    DOMAIN as NOTIFY_DOMAIN,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
    valid_entity_id,
)
from homeassistant.helpers import config_validation as cv, service
import voluptuous as vol

from .attachments import async_read_attachments
from .const import (
    ATTR_ATTACHMENTS,
    ATTR_BCC,
    ATTR_CC,
    ATTR_CONFIG_ENTRY_ID,
    ATTR_CONTENT_ID,
    ATTR_FILENAME,
    ATTR_HTML,
    ATTR_MEDIA_SOURCE,
    ATTR_PATH,
    ATTR_PRIORITY,
    ATTR_REPLY_TO,
    ATTR_SENDER_NAME,
    ATTR_TO,
    DOMAIN,
)
from .coordinator import OutlookSmtpConfigEntry
from .exceptions import input_error, letter_errors
from .mailer import Mailer
from .message.letter import Letter, Priority
from .message.mailbox import Mailbox, parse_mailboxes
from .notify import MailNotifyEntity

SERVICE_SEND_MESSAGE: Final = "send_message"


def _media_source(value: Any) -> dict[str, Any]:
    """Take what a media selector gives, or the media content id alone."""
    if isinstance(value, str):
        value = {"media_content_id": value}
    checked: dict[str, Any] = vol.Schema(
        {vol.Required("media_content_id"): cv.string}, extra=vol.ALLOW_EXTRA
    )(value)
    return checked


_ATTACHMENT_SCHEMA: Final = vol.All(
    vol.Schema(
        {
            vol.Exclusive(ATTR_MEDIA_SOURCE, "source"): _media_source,
            vol.Exclusive(ATTR_PATH, "source"): cv.string,
            vol.Optional(ATTR_FILENAME): cv.string,
            vol.Optional(ATTR_CONTENT_ID): cv.string,
        }
    ),
    cv.has_at_least_one_key(ATTR_MEDIA_SOURCE, ATTR_PATH),
)
_ADDRESSES: Final = vol.All(cv.ensure_list, [cv.string])

LETTER_FIELDS: Final[dict[vol.Marker, Any]] = {
    vol.Optional(ATTR_TO): _ADDRESSES,
    vol.Optional(ATTR_CC): _ADDRESSES,
    vol.Optional(ATTR_BCC): _ADDRESSES,
    vol.Optional(ATTR_HTML): cv.string,
    vol.Optional(ATTR_ATTACHMENTS): vol.All(cv.ensure_list, [_ATTACHMENT_SCHEMA]),
    vol.Optional(ATTR_PRIORITY): vol.In([priority.value for priority in Priority]),
    vol.Optional(ATTR_REPLY_TO): _ADDRESSES,
    vol.Optional(ATTR_SENDER_NAME): cv.string,
}

_SEND_MESSAGE_SCHEMA: Final = vol.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_TITLE): cv.string,
        vol.Optional(ATTR_MESSAGE): cv.string,
        **LETTER_FIELDS,
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions of the integration."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_SEND_MESSAGE,
        _async_send_message,
        schema=_SEND_MESSAGE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_send_message(call: ServiceCall) -> ServiceResponse:
    """Send one mail to everybody whom the targets and the fields name.

    A caller who asks for the response reads there who was refused; any other gets an error.
    """
    entities = await _async_targets(call)
    mailer = _find_mailer(call, entities)
    targeted = tuple(mailbox for entity in entities for mailbox in entity.mailboxes)
    letter = await async_read_letter(call.hass, mailer, call.data, targeted)
    receipt = await mailer.send(letter)
    for entity in entities:
        entity.async_record()
    if call.return_response:
        return receipt.as_response()
    receipt.raise_for_refused()
    return None


async def async_read_letter(
    hass: HomeAssistant, mailer: Mailer, fields: Mapping[str, Any], to: Iterable[Mailbox] = ()
) -> Letter:
    """Build a letter of an action's fields.

    Args:
        hass: Home Assistant.
        mailer: Who will send it.
        fields: Values of the title, the message and `LETTER_FIELDS`.
        to: Recipients beside those that the fields name.

    Raises:
        ServiceValidationError: Naming the field that is wrong, before anything is sent.

    """
    html = fields.get(ATTR_HTML)
    message = fields.get(ATTR_MESSAGE)
    if message is None and html is None:
        raise input_error("no_content", ATTR_MESSAGE)
    with letter_errors():
        headers = Letter(
            to=(*to, *_read_recipients(hass, mailer, fields, ATTR_TO)),
            cc=_read_recipients(hass, mailer, fields, ATTR_CC),
            bcc=_read_recipients(hass, mailer, fields, ATTR_BCC),
            title=fields.get(ATTR_TITLE) or ATTR_TITLE_DEFAULT,
            text=message,
            html=html,
            priority=Priority(fields[ATTR_PRIORITY]) if ATTR_PRIORITY in fields else None,
            reply_to=parse_mailboxes(fields.get(ATTR_REPLY_TO, ()), ATTR_REPLY_TO),
            sender_name=fields.get(ATTR_SENDER_NAME),
        )
        attachments = await async_read_attachments(
            hass, fields.get(ATTR_ATTACHMENTS, ()), mailer.size_limit
        )
        return replace(headers, attachments=attachments)


def _read_recipients(
    hass: HomeAssistant, mailer: Mailer, fields: Mapping[str, Any], field: str
) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field, in which an entity stands for its recipients."""
    mailboxes: list[Mailbox] = []
    for text in fields.get(field, ()):
        if valid_entity_id(text):
            mailboxes += _find_entity(hass, text, field).mailboxes
        else:
            mailboxes += parse_mailboxes(text, field)
    return tuple(mailboxes)


async def _async_targets(call: ServiceCall) -> list[MailNotifyEntity]:
    """Return the notify entities that a call targets; other entities of a device are passed by."""
    entity_ids = await service.async_extract_entity_ids(call)
    named = set(cv.ensure_list(call.data.get(ATTR_ENTITY_ID)))
    return [
        _find_entity(call.hass, entity_id, "target")
        for entity_id in sorted(entity_ids)
        if entity_id in named or entity_id.startswith(f"{NOTIFY_DOMAIN}.")
    ]


def _find_entity(hass: HomeAssistant, entity_id: str, field: str) -> MailNotifyEntity:
    """Return the notify entity of ours that goes by an entity id."""
    entity = hass.data[DATA_COMPONENT].get_entity(entity_id)
    if not isinstance(entity, MailNotifyEntity):
        raise input_error("not_a_recipient", field, entity_id)
    return entity


def _find_mailer(call: ServiceCall, entities: list[MailNotifyEntity]) -> Mailer:
    """Return the account that sends: the one named, that of the targets, or the only one."""
    if entry_id := call.data.get(ATTR_CONFIG_ENTRY_ID):
        entry: OutlookSmtpConfigEntry | None = call.hass.config_entries.async_get_entry(entry_id)
        if entry is None or entry.domain != DOMAIN:
            raise input_error("unknown_account", ATTR_CONFIG_ENTRY_ID, entry_id)
        if entry.state is not ConfigEntryState.LOADED:
            raise input_error("account_not_loaded", ATTR_CONFIG_ENTRY_ID, entry.title)
        return entry.runtime_data.mailer
    mailers = {entity.mailer for entity in entities} or {
        entry.runtime_data.mailer for entry in call.hass.config_entries.async_loaded_entries(DOMAIN)
    }
    if len(mailers) != 1:
        key = "several_accounts" if mailers else "no_account"
        raise input_error(key, ATTR_CONFIG_ENTRY_ID)
    return mailers.pop()
