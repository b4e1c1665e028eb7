"""The placeholders of an account's issues: what happened, since when, and what to do."""

from collections.abc import Collection, Sequence
from datetime import datetime
from heapq import nlargest
from typing import Final

from homeassistant.const import CONF_EMAIL
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Fault, Kind, Problem
from .errors import fault_error, public_text
from .foreign_text import Markdown, quote
from .outbox.spool import QUARANTINE
from .outbox.spooled import Failure, Spooled
from .texts import failure_name

# Where work accounts lose passwords by default at the end of December 2026.
# https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-basic-authentication-exchange-online
PASSWORDS_END_AT: Final = "smtp.office365.com"
MOST_LISTED: Final = 10  # Messages or files.
MOST_NAMED: Final = 5  # Recipients of each.
MOST_TITLE: Final = 100  # Characters.


def describe_account(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of all issues."""
    return {
        "account": entry.title,
        "entry_id": entry.entry_id,
        "account_url": Markdown("https://account.microsoft.com"),
        "outlook_url": Markdown("https://outlook.com"),
    }


def describe_health(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an account that cannot send, including since when."""
    health = entry.runtime_data.coordinator.data
    fault = Fault(
        health.kind or Kind.SETUP,
        health.problem or Problem.UNFORESEEN,
        text=health.reply or "",
        detail=health.detail,
    )
    return {
        **describe_account(entry),
        "since": format_time(health.since or dt_util.utcnow()),
        "reply": health.reply or "-",
        "answer": explain(entry, fault),
        "explanation": explain(entry, fault),
    }


def explain(entry: OutlookSmtpConfigEntry, fault: Fault) -> str:
    """Return what a fault means and the remedy; it quotes the server if that spoke."""
    hass = hass_of(entry)
    error = fault_error(fault, entry.data[CONF_EMAIL], entry.runtime_data.route)
    return public_text(hass, error, hass.config.language)


def hass_of(entry: OutlookSmtpConfigEntry) -> HomeAssistant:
    """Return the Home Assistant of a loaded account."""
    return entry.runtime_data.coordinator.hass


def describe_passwords_end(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an account whose password will soon be refused."""
    return describe_account(entry) | {"host": PASSWORDS_END_AT}


def describe_outbox(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an outbox: how much waits, and the problem."""
    queue = entry.runtime_data.queue
    faults = (item.fault for item in queue.waiting if item.fault)
    fault = next(faults, entry.runtime_data.coordinator.last_fault)
    answer = explain(entry, fault) if fault else ""
    return {
        **describe_account(entry),
        "count": str(len(queue.waiting)),
        "size": f"{queue.size / 1e6:.1f}",
        "max_count": str(queue.limits.messages),
        "max_size": f"{queue.limits.size / 1e6:.0f}",
        "explanation": answer,
        "answer": answer,
    }


def describe_disk(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an outbox that cannot be written, including the reason."""
    queue = entry.runtime_data.queue
    error = queue.disk.error
    return {
        **describe_account(entry),
        "count": str(len(queue.waiting)),
        "folder": quote(str(queue.spool.folder)),
        "reason": quote((error and error.strerror) or "-"),
    }


def describe_failed(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of failed messages, latest first."""
    failed = entry.runtime_data.queue.failed
    latest = nlargest(MOST_LISTED, failed, key=lambda item: item.failure.failed_at)
    return {
        **describe_account(entry),
        "count": str(len(failed)),
        "messages": list_messages(hass_of(entry), [item.failure for item in latest]),
        "more": str(len(failed) - MOST_LISTED),
    }


def describe_discarded(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of failed messages that were deleted early, latest first."""
    queue = entry.runtime_data.queue
    return {
        **describe_account(entry),
        "count": str(len(queue.discarded)),
        "messages": list_messages(hass_of(entry), list(reversed(queue.discarded))),
        "max_count": str(queue.limits.messages),
        "max_size": f"{queue.limits.size / 1e6:.0f}",
    }


def describe_quarantined(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of quarantined files, latest first."""
    queue = entry.runtime_data.queue
    latest = queue.quarantined[: -MOST_LISTED - 1 : -1]
    return {
        **describe_account(entry),
        "count": str(len(queue.quarantined)),
        "files": ", ".join(latest),
        "folder": str(queue.spool.folder / QUARANTINE),
    }


def describe_flood(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of emails that were refused because there were too many."""
    flood = entry.runtime_data.queue.brake.flood
    assert flood  # noqa: S101 - The issue is there for as long as the flood is known.
    return {
        **describe_account(entry),
        "limit": str(flood.limit),
        "since": format_time(dt_util.utc_from_timestamp(flood.since)),
        "sources": ", ".join(filter(None, flood.sources)) or "?",
    }


def format_time(when: datetime) -> str:
    """Format a time in the local time zone."""
    return dt_util.as_local(when).strftime("%Y-%m-%d %H:%M")


def list_messages(hass: HomeAssistant, failures: Sequence[Failure]) -> Markdown:
    """Return a line for each of the first messages that failed."""
    return Markdown("\n".join(_describe_message(hass, each) for each in failures[:MOST_LISTED]))


def _describe_message(hass: HomeAssistant, failure: Failure) -> str:
    """Return a line for a message: title, recipients, time and reason of the failure."""
    failed = format_time(dt_util.utc_from_timestamp(failure.failed_at))
    reply = quote(failure.reply or failure_name(hass, failure.problem, failure.event))
    return f"{describe_spooled(failure.spooled)} · {failed} · {reply}"


def list_spooled(messages: Sequence[Spooled]) -> Markdown:
    """Return a line for each of the first messages, without recipients of blind copies."""
    lines = [describe_spooled(each, each.entry.hidden) for each in messages[:MOST_LISTED]]
    more = len(messages) - MOST_LISTED
    return Markdown("\n".join([*lines, f"- +{more}"] if more > 0 else lines))


def describe_spooled(spooled: Spooled, hidden: Collection[str] = ()) -> Markdown:
    """Return a line for a message: its title and its recipients, without the hidden ones."""
    entry = spooled.entry
    recipients = [each for each in entry.envelope.recipients if each not in hidden]
    return Markdown(f"- **{quote(entry.title[:MOST_TITLE])}** → {_name_some(recipients)}")


def _name_some(recipients: Sequence[str]) -> str:
    """Return the first recipients and the number of others."""
    named = ", ".join(map(quote, recipients[:MOST_NAMED]))
    more = len(recipients) - MOST_NAMED
    return f"{named}, +{more}" if more > 0 else named
