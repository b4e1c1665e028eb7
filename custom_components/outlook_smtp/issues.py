"""Raises what an account needs a person for under Repairs, and clears it when it is over."""

from collections.abc import Sequence
from datetime import datetime
import re
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import Health, OutlookSmtpConfigEntry
from .exceptions import fault_error
from .outbox.delivery import Delivery
from .outbox.item import FailedItem
from .smtp.faults import Fault, Kind, Problem

# Problems that have a text of their own, by which their issues go.
PROBLEMS: Final[tuple[Problem, ...]] = (
    Problem.ACCOUNT_LOCKED,
    Problem.BASIC_AUTH_DISABLED,
    Problem.CONDITIONAL_ACCESS,
    Problem.MAILBOX_FULL,
    Problem.SECURITY_DEFAULTS,
    Problem.SENDER_BLOCKED,
    Problem.SENDER_THROTTLED,
    Problem.SMTP_DISABLED_MAILBOX,
    Problem.SMTP_DISABLED_TENANT,
    Problem.SUSPENDED,
    Problem.VERIFICATION_REQUIRED,
)
SETUP_PROBLEM: Final = "setup_problem"
OUTBOX_FULL: Final = "outbox_full"
MESSAGES_FAILED: Final = "messages_failed"

HEALTH_ISSUES: Final = (*(problem.value for problem in PROBLEMS), SETUP_PROBLEM)
ACCOUNT_ISSUES: Final = (*HEALTH_ISSUES, OUTBOX_FULL, MESSAGES_FAILED)
MOST_LISTED: Final = 10  # Messages.
MOST_NAMED: Final = 5  # Recipients of each.
MOST_TITLE: Final = 100  # Characters.

# What Markdown takes for more than itself; an underscore inside a word is none of it.
_MARKUP: Final = re.compile(r"[\\`*\[\]<>~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)")


class AccountIssues:
    """The issues of one account: they follow its health and its outbox."""

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account until it is unloaded."""
        self._hass = hass
        self._entry = entry
        coordinator = entry.runtime_data
        entry.async_on_unload(coordinator.async_add_listener(self._async_on_health))
        entry.async_on_unload(coordinator.mailer.queue.subscribe(self._async_on_delivery))
        entry.async_on_unload(self._async_end)
        self._async_on_health()
        self._async_on_delivery()

    @callback
    def _async_on_health(self) -> None:
        """Raise what stands in the way of all mail; a passing fault changes nothing."""
        health = self._entry.runtime_data.data
        if health.connected is None or health.kind is Kind.TRANSIENT:
            return
        current = _issue_of(health)
        for key in HEALTH_ISSUES:
            if key != current:
                self._clear(key)
        if current:
            self._raise(current, describe_health(self._entry))

    @callback
    def _async_on_delivery(self, _: Delivery | None = None) -> None:
        """Raise that the outbox is full, or that messages have failed."""
        queue = self._entry.runtime_data.mailer.queue
        if queue.is_full:
            self._raise(OUTBOX_FULL, self._describe_full())
        else:
            self._clear(OUTBOX_FULL)
        if queue.failed:
            placeholders = describe_failed(self._entry)
            self._raise(MESSAGES_FAILED, placeholders, ir.IssueSeverity.WARNING)
        else:
            self._clear(MESSAGES_FAILED)

    def _describe_full(self) -> dict[str, str]:
        """Return what is to be told of the full outbox, and since when it is full."""
        issue_id = issue_id_of(OUTBOX_FULL, self._entry.entry_id)
        known = ir.async_get(self._hass).async_get_issue(DOMAIN, issue_id)
        since = ((known and known.translation_placeholders) or {}).get("since")
        return describe_outbox(self._entry) | {"since": since or tell_time(dt_util.utcnow())}

    @callback
    def _async_end(self) -> None:
        """Leave the issues of an account that comes back, but not those of a disabled one."""
        if self._entry.disabled_by:
            async_clear_account(self._hass, self._entry)

    def _raise(
        self,
        key: str,
        placeholders: dict[str, str],
        severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
    ) -> None:
        """Raise an issue, or bring it up to date."""
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id_of(key, self._entry.entry_id),
            data={"key": key, "entry_id": self._entry.entry_id},
            is_fixable=True,
            severity=severity,
            translation_key=key,
            translation_placeholders=placeholders,
        )

    def _clear(self, key: str) -> None:
        """Clear an issue, if it was raised."""
        ir.async_delete_issue(self._hass, DOMAIN, issue_id_of(key, self._entry.entry_id))


@callback
def async_clear_account(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Clear all issues of an account that is removed or disabled."""
    for key in ACCOUNT_ISSUES:
        ir.async_delete_issue(hass, DOMAIN, issue_id_of(key, entry.entry_id))


def issue_id_of(key: str, entry_id: str) -> str:
    """Return the id of an issue of an entry."""
    return f"{key}_{entry_id}"


def describe_account(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return what the texts of all issues may name."""
    return {
        "account": entry.title,
        "entry_id": entry.entry_id,
        "account_url": "https://account.microsoft.com",
        "outlook_url": "https://outlook.com",
    }


def describe_health(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return what the texts may tell of an account that cannot send, and since when."""
    health = entry.runtime_data.data
    account = entry.runtime_data.mailer.account
    fault = Fault(
        health.kind or Kind.SETUP, health.problem or Problem.UNFORESEEN, text=health.reply or ""
    )
    return {
        **describe_account(entry),
        "since": tell_time(health.since or dt_util.utcnow()),
        "reply": quote(health.reply or "-"),
        "answer": health.reply or "-",
        "explanation": quote(str(fault_error(fault, account.address, account.server))),
    }


def describe_outbox(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return what the texts may tell of an outbox: how much waits, and what stands in the way."""
    queue = entry.runtime_data.mailer.queue
    answers = (item.fault.reply for item in queue.items if item.fault)
    answer = next(answers, entry.runtime_data.data.reply) or "-"
    return {
        **describe_account(entry),
        "count": str(len(queue.items)),
        "size": f"{queue.size / 1e6:.1f}",
        "max_count": str(queue.limits.messages),
        "max_size": f"{queue.limits.size / 1e6:.0f}",
        "reply": quote(answer),
        "answer": answer,
    }


def describe_failed(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return what the texts may tell of the messages that have failed, the latest first."""
    failed = entry.runtime_data.mailer.queue.failed
    latest = sorted(failed, key=lambda item: item.failure.failed_at, reverse=True)
    return {
        **describe_account(entry),
        "count": str(len(failed)),
        "messages": "\n".join(map(_describe_message, latest[:MOST_LISTED])),
        "more": str(len(failed) - MOST_LISTED),
    }


def tell_time(moment: datetime) -> str:
    """Return a time as people here read it off a clock."""
    return dt_util.as_local(moment).strftime("%Y-%m-%d %H:%M")


def quote(text: str) -> str:
    """Return the words of a stranger so that Markdown shows them as they are."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _describe_message(item: FailedItem) -> str:
    """Return a line about a message: its title, its recipients, when it failed, and why."""
    failure = item.failure
    record = failure.spooled.record
    recipients = quote(_name_some(record.envelope.recipients))
    failed = tell_time(dt_util.utc_from_timestamp(failure.failed_at))
    reply = quote(failure.reply or failure.problem or failure.event)
    return f"- **{quote(record.title[:MOST_TITLE])}** → {recipients} · {failed} · {reply}"


def _name_some(recipients: Sequence[str]) -> str:
    """Return the first of the recipients, and how many more there are."""
    named = ", ".join(recipients[:MOST_NAMED])
    more = len(recipients) - MOST_NAMED
    return f"{named}, +{more}" if more > 0 else named


def _issue_of(health: Health) -> str | None:
    """Return the issue that a health calls for."""
    if health.kind not in (Kind.ACCOUNT, Kind.SETUP):
        return None
    return health.problem.value if health.problem in PROBLEMS else SETUP_PROBLEM
