"""Name recipients as the user does."""

from collections.abc import Iterable

from homeassistant.config_entries import ConfigSubentry

from .const import CONF_RECIPIENTS, SUBENTRY_RECIPIENT
from .coordinator import OutlookSmtpConfigEntry
from .message.mailbox import parse_mailboxes


def name_recipients(entry: OutlookSmtpConfigEntry, addresses: Iterable[str]) -> list[str]:
    """Return the names of recipients: those of the account's own, and the other addresses."""
    left = dict.fromkeys(addresses)
    names = []
    for subentry in entry.subentries.values():
        known = _addresses(subentry)
        if known and known <= left.keys():
            names.append(subentry.title)
            left = {address: None for address in left if address not in known}
    return [*names, *left]


def _addresses(subentry: ConfigSubentry) -> set[str]:
    """Return the addresses of a recipient of the account."""
    if subentry.subentry_type != SUBENTRY_RECIPIENT:
        return set()
    mailboxes = parse_mailboxes(subentry.data[CONF_RECIPIENTS], CONF_RECIPIENTS)
    return {mailbox.envelope for mailbox in mailboxes}
