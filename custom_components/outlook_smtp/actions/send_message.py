"""The action `outlook_smtp.send_message` and its fields."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
import logging
import re
from typing import Any, Final

from homeassistant.components.notify import (
    ATTR_MESSAGE,
    ATTR_TITLE,
    ATTR_TITLE_DEFAULT,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_EXCLUDE
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ..const import (
    ATTR_ATTACHMENTS,
    ATTR_ATTACHMENTS_REQUIRED,
    ATTR_BCC,
    ATTR_CC,
    ATTR_CONFIG_ENTRY_ID,
    ATTR_CONTENT_ID,
    ATTR_DEDUPLICATE,
    ATTR_EXPIRES_AFTER,
    ATTR_FILENAME,
    ATTR_HTML,
    ATTR_MARKDOWN,
    ATTR_MEDIA_SOURCE,
    ATTR_MIME_TYPE,
    ATTR_PATH,
    ATTR_PRIORITY,
    ATTR_REPLY_TO,
    ATTR_SEND_AT,
    ATTR_SENDER_NAME,
    ATTR_TO,
    DOMAIN,
)
from ..coordinator import OutlookSmtpConfigEntry
from ..errors import input_error, message_errors, public_text, raise_for_refused
from ..mailer import Mailer
from ..message.mailbox import Mailbox, check_length, parse_mailboxes
from ..message.outgoing import MAX_TEXT, MissingAttachment, OutgoingMessage, Priority
from ..message.problems import InvalidMessageError, MessageProblem
from ..message.text import is_blank
from ..notify import MailNotifyEntity
from ..texts import async_text
from .attachments import async_read_attachments
from .intake import tidy_fields
from .permissions import async_find_caller
from .targets import find_entity, find_targets
from .timing import read_timing

_LOGGER = logging.getLogger(__name__)

SERVICE_SEND_MESSAGE: Final = "send_message"

# A notify entity in a list of addresses.
_NAMED_ENTITY: Final = re.compile(
    r"(?<![^,;:])\s*(notify\.[a-z0-9_]+)\s*(?![^,;])", re.ASCII | re.IGNORECASE
)
_MEDIA_SOURCE: Final = vol.Schema(
    {vol.Required("media_content_id"): cv.string}, extra=vol.ALLOW_EXTRA
)


def _media_source(value: Any) -> dict[str, Any]:
    """Accept a media selector's value or a bare media content ID."""
    media_source = {"media_content_id": value} if isinstance(value, str) else value
    checked: dict[str, Any] = _MEDIA_SOURCE(media_source)
    return checked


_ONE_SOURCE: Final = "name either a media_source or a path, not both"
ATTACHMENT_FIELDS: Final[dict[vol.Marker, Any]] = {
    vol.Exclusive(ATTR_MEDIA_SOURCE, "source", msg=_ONE_SOURCE): _media_source,
    vol.Exclusive(ATTR_PATH, "source", msg=_ONE_SOURCE): cv.string,
    vol.Optional(ATTR_FILENAME): cv.string,
    vol.Optional(ATTR_CONTENT_ID): cv.string,
    vol.Optional(ATTR_MIME_TYPE): cv.string,
}
ATTACHMENT_SCHEMA: Final = vol.All(
    vol.Schema(ATTACHMENT_FIELDS), cv.has_at_least_one_key(ATTR_MEDIA_SOURCE, ATTR_PATH)
)
PRIORITY: Final = vol.In([priority.value for priority in Priority])
ADDRESSED: Final = (ATTR_TO, ATTR_CC, ATTR_BCC)
_ADDRESSES: Final = vol.All(cv.ensure_list, [cv.string])

type _Named = Mapping[str, tuple[Mailbox, ...]]  # IDs of notify entities.

MESSAGE_FIELDS: Final[dict[vol.Marker, Any]] = {
    vol.Optional(ATTR_TO): _ADDRESSES,
    vol.Optional(ATTR_CC): _ADDRESSES,
    vol.Optional(ATTR_BCC): _ADDRESSES,
    vol.Optional(ATTR_HTML): cv.string,
    vol.Optional(ATTR_MARKDOWN): cv.boolean,
    vol.Optional(ATTR_ATTACHMENTS): vol.All(cv.ensure_list, [ATTACHMENT_SCHEMA]),
    vol.Optional(ATTR_ATTACHMENTS_REQUIRED): cv.boolean,
    vol.Optional(ATTR_PRIORITY): PRIORITY,
    vol.Optional(ATTR_REPLY_TO): _ADDRESSES,
    vol.Optional(ATTR_SENDER_NAME): cv.string,
    # Read later: what is wrong with them is an error that names the remedy.
    vol.Optional(ATTR_SEND_AT): object,
    vol.Optional(ATTR_EXPIRES_AFTER): object,
    vol.Optional(ATTR_DEDUPLICATE): object,
}

# Home Assistant 2026.11 adds `exclude`; a nested target cannot exclude anything.
_TARGET: Final = {
    field: check for field, check in cv.ENTITY_SERVICE_FIELDS.items() if field != CONF_EXCLUDE
}

SEND_MESSAGE_FIELDS: Final[dict[Any, Any]] = {
    **_TARGET,
    vol.Optional(CONF_EXCLUDE): vol.Schema(_TARGET),
    vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
    vol.Optional(ATTR_TITLE): cv.string,
    vol.Optional(ATTR_MESSAGE): cv.string,
    **MESSAGE_FIELDS,
}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions of the integration."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_SEND_MESSAGE,
        _async_send_message,
        schema=vol.Schema(vol.All(tidy_fields, SEND_MESSAGE_FIELDS)),
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_send_message(call: ServiceCall) -> ServiceResponse:
    """Send one email to all targets and recipients.

    With a response requested, it lists refused recipients; otherwise, a refusal raises an error.
    """
    caller = await async_find_caller(call)
    with _noting_rejection(call), message_errors():
        check_lengths(call.data)
        targets = find_targets(call, caller)
        named = (
            entity
            for field in (ATTR_TO, ATTR_CC, ATTR_BCC)
            for text in call.data.get(field, ())
            for entity in _named_entities(call.hass, text, field)
        )
        entities = dict.fromkeys((*targets, *named))
        caller.check_control(entity.entity_id for entity in entities)
        account = find_account(call, entities)
        if _needs_account(call.data, entities, account):
            caller.check_account(call.hass, account)
    mailer = account.runtime_data.mailer
    to = (mailbox for entity in targets for mailbox in entity.mailboxes)
    outgoing = await async_read_message(call.hass, mailer, call.data, to)
    receipt = await mailer.send(outgoing, call.context)
    for entity in entities:
        entity.async_record(receipt)
    if call.return_response:
        return receipt.as_response()
    raise_for_refused(receipt)
    return None


@contextmanager
def _noting_rejection(call: ServiceCall) -> Iterator[None]:
    """Record a rejected call, even if its sender or recipients are unknown."""
    try:
        yield
    except Unauthorized:
        raise  # Unauthorized calls leave no trace at the account.
    except HomeAssistantError as error:
        try:
            mailer = find_account(call).runtime_data.mailer
        except HomeAssistantError:
            _LOGGER.warning("An email was not sent: %s", public_text(call.hass, error, "en"))
        else:
            mailer.note_rejection(error, title=call.data.get(ATTR_TITLE))
        raise


async def async_read_message(
    hass: HomeAssistant, mailer: Mailer, fields: Mapping[str, Any], to: Iterable[Mailbox] = ()
) -> OutgoingMessage:
    """Build a message from an action's fields.

    Args:
        hass: Home Assistant.
        mailer: The mailer that will send it.
        fields: Values of the title, the message and `MESSAGE_FIELDS`.
        to: Recipients to list before those in the fields.

    Raises:
        ServiceValidationError: With the name of the invalid field, before anything is sent.

    """
    with mailer.noting_rejection(title=fields.get(ATTR_TITLE)), message_errors():
        check_lengths(fields)
        named = {
            entity.entity_id: entity.mailboxes
            for field in ADDRESSED
            for text in fields.get(field, ())
            for entity in _named_entities(hass, text, field)
        }
        read = partial(_read_headers, fields, tuple(to), named)
        headers = await hass.async_add_executor_job(read)
    mailer.open_ahead(headers)
    with mailer.noting_rejection(headers.to + headers.cc, headers.title), message_errors():
        attachments, missing = await async_read_attachments(
            hass,
            fields.get(ATTR_ATTACHMENTS, ()),
            mailer.size_limit,
            usual_limit=mailer.usual_size_limit,
            required=fields.get(ATTR_ATTACHMENTS_REQUIRED, False),
        )
        note = await _async_note(hass, missing) if missing else ""
        return replace(headers, attachments=attachments, missing=missing, note=note)


def check_lengths(fields: Mapping[str, Any]) -> None:
    """Reject fields that are too long to parse.

    Raises:
        InvalidMessageError: With the name of the field.

    """
    for field in (*ADDRESSED, ATTR_REPLY_TO):
        check_length(fields.get(field, ()), field)
    for field in (ATTR_MESSAGE, ATTR_HTML):
        if len(fields.get(field) or "") > MAX_TEXT:
            raise InvalidMessageError(field, MessageProblem.TEXT_TOO_LONG, "")


def _read_headers(
    fields: Mapping[str, Any], to: Iterable[Mailbox], named: _Named
) -> OutgoingMessage:
    """Build a message without attachments, in the executor because parsing addresses is slow."""
    _check_content(fields)
    return OutgoingMessage(
        to=_read_recipients(fields, ATTR_TO, named, to),
        cc=_read_recipients(fields, ATTR_CC, named),
        bcc=_read_recipients(fields, ATTR_BCC, named),
        title=fields.get(ATTR_TITLE) or ATTR_TITLE_DEFAULT,
        text=fields.get(ATTR_MESSAGE),
        html=fields.get(ATTR_HTML),
        markdown=fields.get(ATTR_MARKDOWN, False),
        priority=Priority(fields[ATTR_PRIORITY]) if ATTR_PRIORITY in fields else None,
        reply_to=parse_mailboxes(fields.get(ATTR_REPLY_TO, ()), ATTR_REPLY_TO),
        sender_name=fields.get(ATTR_SENDER_NAME),
        **read_timing(fields),
    )


async def _async_note(hass: HomeAssistant, missing: Iterable[MissingAttachment]) -> str:
    """Return the note about missing attachments and the reasons."""
    names = "; ".join(f"{each.label} ({each.reason})" for each in missing)
    return await async_text(hass, "missing_attachments", attachments=names)


def _check_content(fields: Mapping[str, Any]) -> None:
    """Reject an empty message, and Markdown without a message."""
    html = fields.get(ATTR_HTML)
    message = fields.get(ATTR_MESSAGE)
    if message is None and not any(map(fields.get, (ATTR_TITLE, ATTR_HTML, ATTR_ATTACHMENTS))):
        raise input_error("no_content", ATTR_MESSAGE)
    if not fields.get(ATTR_MARKDOWN):
        return
    if html:
        raise input_error("markdown_and_html", ATTR_MARKDOWN)
    if is_blank(message or ""):
        raise input_error("markdown_without_message", ATTR_MARKDOWN)


def _read_recipients(
    fields: Mapping[str, Any], field: str, named: _Named, targeted: Iterable[Mailbox] = ()
) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field, with entities replaced by their recipients."""
    mailboxes = list(targeted)
    for text in fields.get(field, ()):
        for entity_id in _entity_ids(text):
            mailboxes += named[entity_id]
        mailboxes += parse_mailboxes(_NAMED_ENTITY.sub("", text), field)
    return tuple(dict.fromkeys(mailboxes))


def _named_entities(hass: HomeAssistant, text: str, field: str) -> list[MailNotifyEntity]:
    """Return the notify entities listed among the addresses in a field."""
    return [find_entity(hass, entity_id, field) for entity_id in _entity_ids(text)]


@lru_cache(maxsize=4)  # A call needs them three times, which takes a while for a long text.
def _entity_ids(text: str) -> tuple[str, ...]:
    """Return the entity IDs among the addresses in a text, each once."""
    return tuple(dict.fromkeys(map(str.lower, _NAMED_ENTITY.findall(text))))


def _needs_account(
    fields: Mapping[str, Any],
    entities: Collection[MailNotifyEntity],
    account: OutlookSmtpConfigEntry,
) -> bool:
    """Return whether a call needs permission for more than the sender's own notify entities.

    Free addresses and attachments do.
    """
    addressed = (text for field in (ATTR_TO, ATTR_CC, ATTR_BCC) for text in fields.get(field, ()))
    return (
        not entities
        or any(entity.entry is not account for entity in entities)
        or ATTR_ATTACHMENTS in fields
        or any(_NAMED_ENTITY.sub("", text).strip(" ,;") for text in addressed)
    )


def find_account(
    call: ServiceCall, entities: Iterable[MailNotifyEntity] = ()
) -> OutlookSmtpConfigEntry:
    """Return the account that sends: the one named, that of the entities, or the only one."""
    if entry_id := call.data.get(ATTR_CONFIG_ENTRY_ID):
        entry: OutlookSmtpConfigEntry | None = call.hass.config_entries.async_get_entry(entry_id)
        if entry is None or entry.domain != DOMAIN:
            raise input_error("unknown_account", ATTR_CONFIG_ENTRY_ID, entry_id)
        if entry.state is not ConfigEntryState.LOADED:
            raise input_error("account_not_loaded", ATTR_CONFIG_ENTRY_ID, entry.title)
        return entry
    loaded = call.hass.config_entries.async_loaded_entries(DOMAIN)
    accounts = {entity.entry for entity in entities} or set(loaded)
    if len(accounts) != 1:
        key = "several_accounts" if accounts else "no_account"
        raise input_error(key, ATTR_CONFIG_ENTRY_ID)
    return accounts.pop()
