"""Find the built-in SMTP integration's entries for Microsoft's servers, and copy their data."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
    ConfigSubentry,
)
from homeassistant.const import CONF_USERNAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from ..const import (
    CONF_RECIPIENTS,
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    DOMAIN,
    SUBENTRY_RECIPIENT,
)
from ..coordinator import OutlookSmtpConfigEntry
from ..foreign_text import shown
from ..issues import issue_id_of
from ..message.mailbox import Mailbox, check_mailbox, parse_mailboxes
from ..message.outgoing import OutgoingMessage
from ..message.problems import InvalidMessageError
from ..message.text import short_line

BUILT_IN_SMTP: Final = "built_in_smtp"

# Keys of the built-in integration; some Home Assistant versions do not have it as an entry.
SMTP_DOMAIN: Final = "smtp"
SMTP_RECIPIENT: Final = "recipient"
_SERVER: Final = "server"
_SENDER: Final = "sender"
_SENDER_NAME: Final = "sender_name"
_REPLY_TO: Final = "reply_to"
_REPLY_TO_NAME: Final = "reply_to_name"

_HOSTS: Final = ("outlook.com", "smtp.office365.com", "smtp.live.com")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient of the built-in integration: a name and its addresses."""

    name: str
    mailboxes: tuple[Mailbox, ...]

    @property
    def addresses(self) -> frozenset[str]:
        """Return the addresses, which identify a recipient."""
        return _addresses(self.mailboxes)


@callback
def async_watch_smtp(hass: HomeAssistant) -> None:
    """Raise an issue for each built-in entry with data to copy, now and later."""

    @callback
    def async_on_change(change: ConfigEntryChange, changed: ConfigEntry) -> None:
        """Check again when an entry has changed that matters here."""
        if changed.domain not in (DOMAIN, SMTP_DOMAIN):
            return
        if change is ConfigEntryChange.REMOVED:
            ir.async_delete_issue(hass, DOMAIN, issue_id_of(BUILT_IN_SMTP, changed.entry_id))
        _update_issues(hass)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, async_on_change)
    _update_issues(hass)


def mailbox_of(smtp: ConfigEntry) -> str:
    """Return the mailbox that a built-in entry signs in with."""
    username = str(smtp.data.get(CONF_USERNAME) or "")
    return (username if "@" in username else str(smtp.data.get(_SENDER, ""))).strip().lower()


def account_of_mailbox(hass: HomeAssistant, mailbox: str) -> OutlookSmtpConfigEntry | None:
    """Return this integration's account for a mailbox."""
    return hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, mailbox)


def missing_recipients(
    smtp: ConfigEntry, account: OutlookSmtpConfigEntry | None
) -> list[Recipient]:
    """Return the recipients of a built-in entry that an account does not have yet."""
    there = {
        _addresses(parse_mailboxes(subentry.data[CONF_RECIPIENTS], CONF_RECIPIENTS))
        for subentry in (account.subentries.values() if account else ())
    }
    missing: dict[frozenset[str], Recipient] = {}
    for recipient in _recipients(smtp):
        if recipient.addresses not in there:
            missing.setdefault(recipient.addresses, recipient)
    return list(missing.values())


async def async_copy(
    hass: HomeAssistant, smtp: ConfigEntry, account: OutlookSmtpConfigEntry
) -> bool:
    """Copy recipients, and names where the account has none; return whether that was done.

    The account is unloaded meanwhile, so that it reloads once and not for each recipient.
    """
    loaded = account.state is ConfigEntryState.LOADED
    if loaded and not await hass.config_entries.async_unload(account.entry_id):
        return False
    options = _sender_options(smtp) | account.options
    hass.config_entries.async_update_entry(account, options=options)
    for recipient in missing_recipients(smtp, account):
        subentry = ConfigSubentry(
            data=MappingProxyType({CONF_RECIPIENTS: list(map(str, recipient.mailboxes))}),
            subentry_type=SUBENTRY_RECIPIENT,
            title=_free_title(account, recipient),
            unique_id=None,
        )
        hass.config_entries.async_add_subentry(account, subentry)
    if loaded and account.state is ConfigEntryState.NOT_LOADED:
        await hass.config_entries.async_setup(account.entry_id)
    return True


def describe_smtp(hass: HomeAssistant, smtp: ConfigEntry) -> dict[str, str]:
    """Return the placeholders that describe a built-in entry."""
    mailbox = mailbox_of(smtp)
    missing = missing_recipients(smtp, account_of_mailbox(hass, mailbox))
    return {
        "entry": short_line(smtp.title),
        "mailbox": short_line(mailbox),
        "server": short_line(str(smtp.data[_SERVER])),
        "count": str(len(missing)),
        "names": ", ".join(recipient.name for recipient in missing) or "-",
    }


@callback
def is_importable(hass: HomeAssistant, smtp: ConfigEntry) -> bool:
    """Return whether a built-in entry is for a Microsoft server and has data to copy."""
    if smtp.domain != SMTP_DOMAIN or smtp.disabled_by or not _is_microsoft(smtp.data):
        return False
    account = account_of_mailbox(hass, mailbox_of(smtp))
    return account is None or bool(missing_recipients(smtp, account))


@callback
def _update_issues(hass: HomeAssistant) -> None:
    """Raise or clear the issues of all built-in entries."""
    for smtp in hass.config_entries.async_entries(SMTP_DOMAIN):
        if not is_importable(hass, smtp):
            ir.async_delete_issue(hass, DOMAIN, issue_id_of(BUILT_IN_SMTP, smtp.entry_id))
            continue
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id_of(BUILT_IN_SMTP, smtp.entry_id),
            data={"key": BUILT_IN_SMTP, "entry_id": smtp.entry_id},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=BUILT_IN_SMTP,
            translation_placeholders=shown(describe_smtp(hass, smtp)),
        )


def _is_microsoft(data: Mapping[str, Any]) -> bool:
    """Return whether a built-in entry signs in to one of Microsoft's servers.

    Without a sign-in it is an organization's relay, which continues to work.
    """
    host = str(data.get(_SERVER, "")).strip().lower().rstrip(".")
    ours = any(host == name or host.endswith(f".{name}") for name in _HOSTS)
    return ours and bool(data.get(CONF_USERNAME))


def _recipients(smtp: ConfigEntry) -> list[Recipient]:
    """Return the recipients of a built-in entry that can receive mail."""
    recipients = []
    for subentry in smtp.subentries.values():
        if subentry.subentry_type == SMTP_RECIPIENT and subentry.unique_id:
            try:
                mailboxes = parse_mailboxes(subentry.unique_id, CONF_RECIPIENTS)
                OutgoingMessage(to=mailboxes, title="")
            except InvalidMessageError:
                continue  # It never worked in the first place.
            recipients.append(Recipient(short_line(subentry.title), mailboxes))
    return recipients


def _addresses(mailboxes: tuple[Mailbox, ...]) -> frozenset[str]:
    """Return addresses in a form that can be compared."""
    return frozenset(mailbox.envelope.lower() for mailbox in mailboxes)


def _free_title(account: OutlookSmtpConfigEntry, recipient: Recipient) -> str:
    """Return a recipient name that is unique within the account."""
    taken = {subentry.title.casefold() for subentry in account.subentries.values()}
    address = ", ".join(mailbox.address for mailbox in recipient.mailboxes)
    name = recipient.name or address
    if name.casefold() in taken:
        name = f"{name} ({address})"
    return name


def _sender_options(smtp: ConfigEntry) -> dict[str, Any]:
    """Return the valid sender name and reply-to address of a built-in entry."""
    options: dict[str, Any] = {}
    with suppress(InvalidMessageError):
        address = str(smtp.data.get(_SENDER) or "").strip()
        check_mailbox(Mailbox(address), CONF_SENDER_ADDRESS)
        if address.lower() != mailbox_of(smtp):
            options[CONF_SENDER_ADDRESS] = address
    if name := short_line(str(smtp.data.get(_SENDER_NAME) or "")):
        options[CONF_SENDER_NAME] = name
    with suppress(InvalidMessageError):
        if address := str(smtp.options.get(_REPLY_TO) or "").strip():
            reply_to = Mailbox(address, str(smtp.options.get(_REPLY_TO_NAME) or "").strip())
            check_mailbox(reply_to, CONF_REPLY_TO)
            options[CONF_REPLY_TO] = str(reply_to)
    return options
