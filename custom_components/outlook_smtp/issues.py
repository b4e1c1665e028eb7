"""Raise repair issues for an account when a person must act, and clear them afterwards."""

from collections.abc import Callable
from functools import partial
from typing import Final

from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Kind, Problem
from .foreign_text import shown
from .health import Health
from .issue_texts import (
    PASSWORDS_END_AT,
    describe_discarded,
    describe_disk,
    describe_failed,
    describe_flood,
    describe_health,
    describe_outbox,
    describe_passwords_end,
    describe_quarantined,
    format_time,
)
from .outbox.events import Delivery

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
FLOOD: Final = "flood"
PASSWORDS_END: Final = "passwords_end"

HEALTH_ISSUES: Final = (*(problem.value for problem in PROBLEMS), SETUP_PROBLEM)
ACCOUNT_ISSUES: Final = (
    *HEALTH_ISSUES,
    OUTBOX_FULL,
    OUTBOX_NOT_WRITABLE,
    MESSAGES_FAILED,
    MESSAGES_DISCARDED,
    FILES_QUARANTINED,
    FLOOD,
    PASSWORDS_END,
)

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
        current = None if _is_asked_to_sign_in(self._entry, health) else _issue_of(health)
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
        self._raise_while(queue.is_full, OUTBOX_FULL, partial(describe_outbox, entry))
        self._raise_while(queue.disk.error, OUTBOX_NOT_WRITABLE, partial(describe_disk, entry))
        self._raise_while(queue.failed, MESSAGES_FAILED, partial(describe_failed, entry), warning)
        self._raise_while(
            queue.discarded, MESSAGES_DISCARDED, partial(describe_discarded, entry), warning
        )
        self._raise_while(
            queue.quarantined, FILES_QUARANTINED, partial(describe_quarantined, entry), warning
        )
        self._raise_while(queue.brake.flood, FLOOD, partial(describe_flood, entry))

    def _since(self, key: str) -> dict[str, str]:
        """Return since when an issue is raised, also if it is only updated."""
        known = ir.async_get(self._hass).async_get_issue(
            DOMAIN, issue_id_of(key, self._entry.entry_id)
        )
        since = ((known and known.translation_placeholders) or {}).get("since")
        return {"since": since or format_time(dt_util.utcnow())}

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
        placeholders = self._since(key) | placeholders
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


def _is_losing_password(entry: OutlookSmtpConfigEntry, health: Health) -> bool:
    """Return whether an account has a password that works now but will soon be refused."""
    is_affected = entry.data[CONF_HOST].lower().rstrip(".") == PASSWORDS_END_AT
    is_refused = (
        health.problem in (Problem.BASIC_AUTH_DISABLED, Problem.SECURITY_DEFAULTS)
        or health.kind is Kind.CREDENTIALS
    )
    return is_affected and CONF_PASSWORD in entry.data and not is_refused


def _is_asked_to_sign_in(entry: OutlookSmtpConfigEntry, health: Health) -> bool:
    """Return whether Home Assistant itself raises an issue, which leads to the sign-in."""
    passwords_refused = health.problem is Problem.BASIC_AUTH_DISABLED
    return passwords_refused and CONF_PASSWORD in entry.data


def _issue_of(health: Health) -> str | None:
    """Return the issue that matches a health."""
    if health.problem is Problem.CLOCK_WRONG:
        return SETUP_PROBLEM
    if health.kind not in (Kind.ACCOUNT, Kind.SETUP):
        return None
    return health.problem.value if health.problem in PROBLEMS else SETUP_PROBLEM
