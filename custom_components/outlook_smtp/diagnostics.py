"""Diagnostics of an account for a bug report, without secrets and addresses."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from math import isfinite
import re
import ssl
import time
from typing import Any, Final

import aiosmtplib
from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import (
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    __version__,
)
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from .auth.application import TENANT_GROUPS
from .const import (
    CONF_ACCOUNT_KIND,
    CONF_IMPLEMENTATION,
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    CONF_TENANT,
    DOMAIN,
)
from .coordinator import OutlookSmtpConfigEntry
from .delivery.faults import Stage
from .health import Health
from .outbox.events import Attempt
from .outbox.queue import Queue
from .outbox.queued import FailedMessage, QueuedMessage
from .outbox.schedule import Hold
from .outbox.worker import DeliveryWorker

TO_REDACT: Final = {
    CONF_CLIENT_ID,
    CONF_EMAIL,
    CONF_IMPLEMENTATION,
    CONF_PASSWORD,
    CONF_REPLY_TO,
    CONF_SENDER_ADDRESS,
    CONF_SENDER_NAME,
    CONF_TENANT,
    CONF_TOKEN,
    CONF_USERNAME,
}

MOST_LISTED: Final = 50  # Messages of each kind; the counts give the full number.

# Email addresses, and the public IP address that a server sees. Each run of characters is
# matched only once, from its start.
_ADDRESS: Final = re.compile(
    r"""("[^"]*+"|(?<![^\s<>",:;()\[\]@])[^\s<>",:;()\[\]@]++)@"""
    r"""(\[[^\[\]]*+\]|[^\s<>"',:;()\[\]]++)"""
    r"|(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])"
    r"|(?<![\w:.])(?=[0-9a-f:]*::|([0-9a-f]{1,4}:){7})[0-9a-f:]{3,39}",
    re.IGNORECASE,
)
# Other identifiers of people and organizations at Microsoft: IDs of applications and directories,
# names in quotes, Exchange's names of mailboxes, and the domains that Microsoft assigns.
_NAME: Final = re.compile(
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?<!\w)'[^']*'(?!\w)"
    r"|/o=[^;,]{0,100}/cn=[^\s;,]*"
    r"|(?<![\w.-])[\w.-]+\.(onmicrosoft|mail\.protection\.outlook)\.com\b",
    re.IGNORECASE,
)
# What identifies an account, in addition to the password and the token.
_OWN: Final = (CONF_EMAIL, CONF_SENDER_ADDRESS, CONF_REPLY_TO, CONF_TENANT, CONF_USERNAME)
# Mailbox domains that identify no one.
_PUBLIC: Final = ("hotmail.com", "live.com", "msn.com", "outlook.com")


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry
) -> dict[str, Any]:
    """Return the account's settings and health, and the state of its server and outbox."""
    data = entry.runtime_data
    coordinator = data.coordinator
    timings = coordinator.last_timings
    integration = await async_get_integration(hass, DOMAIN)
    return {
        "versions": {
            "integration": str(integration.version),
            "home_assistant": __version__,
            "aiosmtplib": aiosmtplib.__version__,
            "openssl": ssl.OPENSSL_VERSION,
        },
        "account_kind": entry.data[CONF_ACCOUNT_KIND],
        "route": data.route.name,
        "data": async_redact_data(dict(entry.data), TO_REDACT),
        "options": async_redact_data(dict(entry.options), TO_REDACT),
        "recipients": len(entry.subentries),
        "health": _health(coordinator.data, _own_words(entry)),
        "server": _redact_texts(data.route.describe()),
        "stage_seconds": _rounded(timings) if timings else None,
        "last_outcomes": [_outcome(when, attempt) for when, attempt in coordinator.attempts],
        "outbox": _outbox(data.queue, data.worker),
    }


def _health(health: Health, own_words: list[str]) -> dict[str, Any]:
    """Return the health, with the server's reply redacted."""
    reply = _redacted(health.reply, own_words) if health.reply else None
    doubt = health.doubt.problem if health.doubt else None
    detail = _redacted(health.detail, own_words)
    return asdict(health) | {"reply": reply, "detail": detail, "doubt": doubt}


def _own_words(entry: OutlookSmtpConfigEntry) -> list[str]:
    """Return the words that identify the account: the names it signs in with, and its domains."""
    known = {**entry.data, **entry.options}
    words = {known[key] for key in _OWN if known.get(key)} - {*TENANT_GROUPS}
    domains = {match[2] for match in _ADDRESS.finditer(" ".join(words)) if match[2]}
    return [*words, *(name for name in domains if name.lower() not in _PUBLIC)]


def _redact_texts(value: Any) -> Any:
    """Return a server's description with each text redacted, but for the ID that support needs."""
    if isinstance(value, dict):
        return {
            key: item if key == "request_id" else _redact_texts(item) for key, item in value.items()
        }
    return _redacted(value) if isinstance(value, str) else value


def _outcome(when: datetime, attempt: Attempt) -> dict[str, Any]:
    """Return the result of an attempt, as keys and numbers only."""
    fault = attempt.fault
    return {
        "when": when.isoformat(timespec="seconds"),
        "submitting": attempt.submitting,
        "latency": round(attempt.latency, 3),
        "kind": fault.kind if fault else None,
        "problem": fault.problem if fault else None,
        "code": fault.code if fault else None,
        "enhanced": fault.enhanced if fault else None,
    }


def _outbox(queue: Queue, worker: DeliveryWorker) -> dict[str, Any]:
    """Return the sizes, ages and reasons of waiting and failed messages, but no content."""
    now = time.monotonic()
    return {
        "count": len(queue.waiting),
        "bytes": queue.size,
        "limits": asdict(queue.limits),
        "oldest_age": max((round(now - item.since) for item in queue.waiting), default=None),
        "hold": _hold(hold, now) if (hold := worker.hold) else None,
        "held_by_user": worker.is_held,
        "delayed": len(queue.delayed),
        "waiting": [
            _waiting(item, now, worker.next_try(item)) for item in queue.waiting[:MOST_LISTED]
        ],
        "failed_count": len(queue.failed),
        "failed": [_failed(item, now) for item in queue.failed[:MOST_LISTED]],
        "set_aside_count": len(queue.quarantined),
    }


def _hold(hold: Hold, now: float) -> dict[str, Any]:
    """Return why messages are held, and for how many more seconds."""
    return {
        "kind": hold.fault.kind,
        "problem": hold.fault.problem,
        "by_mail": hold.submitting,
        "seconds_left": _seconds(hold.until - now),
    }


def _waiting(queued: QueuedMessage, now: float, due: float) -> dict[str, Any]:
    """Return how long a message has been waiting, and why."""
    return {
        "size": queued.entry.size,
        "recipients": len(queued.recipients),
        "age": round(now - queued.since),
        "tries": queued.tries,
        "problem": queued.fault.problem if queued.fault else None,
        "due_in": _seconds(due - now),
    }


def _failed(failed: FailedMessage, now: float) -> dict[str, Any]:
    """Return why a message failed, and how long ago."""
    return {
        "size": failed.failure.spooled.entry.size,
        "age": round(now - failed.since),
        "event": failed.failure.event,
        "problem": failed.failure.problem or None,
    }


def _redacted(text: str, own_words: Iterable[str] = ()) -> str:
    """Return a server's text without addresses, names and words that identify the account."""
    text = _NAME.sub("***", _ADDRESS.sub("***", text))
    for word in own_words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "***", text, flags=re.IGNORECASE)
    return text


def _seconds(left: float) -> int | None:
    """Return the seconds that are left, rounded, or None if there is no known end."""
    return max(round(left), 0) if isfinite(left) else None


def _rounded(timings: dict[Stage, float]) -> dict[str, float]:
    """Return the seconds that each stage took, rounded."""
    return {str(stage): round(seconds, 3) for stage, seconds in timings.items()}
