"""Raise repair issues for an account when a person must act, and clear them afterwards."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import Health, OutlookSmtpConfigEntry
from .delivery.faults import Fault, Kind, Problem
from .errors import fault_error
from .foreign_text import Markdown, quote, shown
from .outbox.events import Delivery
from .outbox.spool import QUARANTINE
from .outbox.spooled import Failure

# Problems with an issue text of their own.
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
OUTBOX_NOT_WRITABLE: Final = "outbox_not_writable"
MESSAGES_FAILED: Final = "messages_failed"
MESSAGES_DISCARDED: Final = "discarded"
FILES_QUARANTINED: Final = "set_aside"
PASSWORDS_END: Final = "passwords_end"

HEALTH_ISSUES: Final = (*(problem.value for problem in PROBLEMS), SETUP_PROBLEM)
ACCOUNT_ISSUES: Final = (
    *HEALTH_ISSUES,
    OUTBOX_FULL,
    OUTBOX_NOT_WRITABLE,
    MESSAGES_FAILED,
    MESSAGES_DISCARDED,
    FILES_QUARANTINED,
    PASSWORDS_END,
)
# Where work accounts lose passwords by default at the end of December 2026.
# https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-basic-authentication-exchange-online
PASSWORDS_END_AT: Final = "smtp.office365.com"
MOST_LISTED: Final = 10  # Messages or files.
MOST_NAMED: Final = 5  # Recipients of each.
MOST_TITLE: Final = 100  # Characters.

# The content and recipients of messages: every user may list issues, only administrators open them.
_PRIVATE: Final = "messages"


class AccountIssues:
    """The issues of one account, updated with its health and its outbox."""

    def __init__(self, hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
        """Follow an account until it is unloaded."""
        self._hass = hass
        self._entry = entry
        data = entry.runtime_data
        entry.async_on_unload(data.coordinator.async_add_listener(self._async_on_health))
        entry.async_on_unload(data.queue.subscribe(self._async_on_delivery))
        entry.async_on_unload(self._async_end)
        self._async_on_health()
        self._async_on_delivery()

    @callback
    def _async_on_health(self) -> None:
        """Raise an issue if no email can be sent; a temporary fault changes nothing.

        A clock that is still wrong once the health is off needs a person.
        """
        health = self._entry.runtime_data.coordinator.data
        self._raise_while(
            _is_losing_password(self._entry, health),
            PASSWORDS_END,
            partial(describe_passwords_end, self._entry),
            ir.IssueSeverity.WARNING,
        )
        current = _issue_of(health)
        if health.connected is None or (health.kind is Kind.TRANSIENT and current is None):
            return
        for key in HEALTH_ISSUES:
            if key != current:
                self._clear(key)
        if current:
            self._raise(current, describe_health(self._entry))

    @callback
    def _async_on_delivery(self, _: Delivery | None = None) -> None:
        """Raise the issues of the outbox while they apply."""
        entry = self._entry
        queue = entry.runtime_data.queue
        warning = ir.IssueSeverity.WARNING
        self._raise_while(queue.is_full, OUTBOX_FULL, self._describe_full)
        self._raise_while(queue.disk.error, OUTBOX_NOT_WRITABLE, partial(describe_disk, entry))
        self._raise_while(queue.failed, MESSAGES_FAILED, partial(describe_failed, entry), warning)
        self._raise_while(
            queue.discarded, MESSAGES_DISCARDED, partial(describe_discarded, entry), warning
        )
        self._raise_while(
            queue.quarantined, FILES_QUARANTINED, partial(describe_quarantined, entry), warning
        )

    def _describe_full(self) -> dict[str, str]:
        """Return the placeholders of the issue of a full outbox, and since when it is full."""
        issue_id = issue_id_of(OUTBOX_FULL, self._entry.entry_id)
        known = ir.async_get(self._hass).async_get_issue(DOMAIN, issue_id)
        since = ((known and known.translation_placeholders) or {}).get("since")
        return describe_outbox(self._entry) | {"since": since or format_time(dt_util.utcnow())}

    @callback
    def _async_end(self) -> None:
        """Keep issues across a reload, but clear those of a disabled account."""
        if self._entry.disabled_by:
            async_clear_account(self._hass, self._entry)

    def _raise_while(
        self,
        there: object,
        key: str,
        describe: Callable[[], dict[str, str]],
        severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
    ) -> None:
        """Raise an issue while there is something to report, else clear it."""
        if there:
            self._raise(key, describe(), severity)
        else:
            self._clear(key)

    def _raise(
        self,
        key: str,
        placeholders: dict[str, str],
        severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
    ) -> None:
        """Raise or update an issue."""
        placeholders.pop(_PRIVATE, None)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id_of(key, self._entry.entry_id),
            data={"key": key, "entry_id": self._entry.entry_id},
            is_fixable=key != OUTBOX_NOT_WRITABLE,  # Resolved as soon as the disk is writable.
            severity=severity,
            translation_key=key,
            translation_placeholders=shown(placeholders),
        )

    def _clear(self, key: str) -> None:
        """Clear an issue if it was raised."""
        ir.async_delete_issue(self._hass, DOMAIN, issue_id_of(key, self._entry.entry_id))


@callback
def async_clear_account(hass: HomeAssistant, entry: OutlookSmtpConfigEntry) -> None:
    """Clear all issues of a removed or disabled account."""
    for key in ACCOUNT_ISSUES:
        ir.async_delete_issue(hass, DOMAIN, issue_id_of(key, entry.entry_id))


def issue_id_of(key: str, entry_id: str) -> str:
    """Return the ID of an entry's issue."""
    return f"{key}_{entry_id}"


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
        health.kind or Kind.SETUP, health.problem or Problem.UNFORESEEN, text=health.reply or ""
    )
    return {
        **describe_account(entry),
        "since": format_time(health.since or dt_util.utcnow()),
        "reply": health.reply or "-",
        "answer": health.reply or "-",
        "explanation": str(fault_error(fault, entry.data[CONF_EMAIL], entry.runtime_data.route)),
    }


def describe_passwords_end(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an account whose password will soon be refused."""
    return describe_account(entry) | {"host": PASSWORDS_END_AT}


def describe_outbox(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of an outbox: how much waits, and the problem."""
    queue = entry.runtime_data.queue
    answers = (item.fault.reply for item in queue.waiting if item.fault)
    answer = next(answers, entry.runtime_data.coordinator.data.reply) or "-"
    return {
        **describe_account(entry),
        "count": str(len(queue.waiting)),
        "size": f"{queue.size / 1e6:.1f}",
        "max_count": str(queue.limits.messages),
        "max_size": f"{queue.limits.size / 1e6:.0f}",
        "reply": answer,
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
    latest = sorted(failed, key=lambda item: item.failure.failed_at, reverse=True)
    return {
        **describe_account(entry),
        "count": str(len(failed)),
        "messages": _list_messages([item.failure for item in latest]),
        "more": str(len(failed) - MOST_LISTED),
    }


def describe_discarded(entry: OutlookSmtpConfigEntry) -> dict[str, str]:
    """Return the placeholders of failed messages that were deleted early, latest first."""
    queue = entry.runtime_data.queue
    return {
        **describe_account(entry),
        "count": str(len(queue.discarded)),
        "messages": _list_messages(list(reversed(queue.discarded))),
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


def format_time(when: datetime) -> str:
    """Format a time in the local time zone."""
    return dt_util.as_local(when).strftime("%Y-%m-%d %H:%M")


def _list_messages(failures: Sequence[Failure]) -> Markdown:
    """Return a line for each of the first messages."""
    return Markdown("\n".join(map(_describe_message, failures[:MOST_LISTED])))


def _describe_message(failure: Failure) -> str:
    """Return a line for a message: title, recipients, time and reason of the failure."""
    entry = failure.spooled.entry
    recipients = _name_some(entry.envelope.recipients)
    failed = format_time(dt_util.utc_from_timestamp(failure.failed_at))
    reply = quote(failure.reply or failure.problem or failure.event)
    return f"- **{quote(entry.title[:MOST_TITLE])}** → {recipients} · {failed} · {reply}"


def _name_some(recipients: Sequence[str]) -> str:
    """Return the first recipients and the number of others."""
    named = ", ".join(map(quote, recipients[:MOST_NAMED]))
    more = len(recipients) - MOST_NAMED
    return f"{named}, +{more}" if more > 0 else named


def _is_losing_password(entry: OutlookSmtpConfigEntry, health: Health) -> bool:
    """Return whether an account has a password that works now but will soon be refused."""
    is_affected = entry.data[CONF_HOST].lower().rstrip(".") == PASSWORDS_END_AT
    is_refused = health.problem in (Problem.BASIC_AUTH_DISABLED, Problem.SECURITY_DEFAULTS)
    return is_affected and CONF_PASSWORD in entry.data and not is_refused


def _issue_of(health: Health) -> str | None:
    """Return the issue that matches a health."""
    if health.problem is Problem.CLOCK_WRONG:
        return SETUP_PROBLEM
    if health.kind not in (Kind.ACCOUNT, Kind.SETUP):
        return None
    return health.problem.value if health.problem in PROBLEMS else SETUP_PROBLEM
