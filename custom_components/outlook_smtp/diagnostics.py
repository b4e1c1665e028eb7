"""What a bug report needs to know of an account, without its secrets and addresses."""

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
from .coordinator import Health, OutlookSmtpConfigEntry
from .mailer import Mailer
from .outbox.delivery import Contact
from .outbox.item import FailedItem, Item
from .outbox.schedule import Hold
from .smtp.session import ServerInfo

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

MOST_LISTED: Final = 50  # Messages of each kind; the counts say how many there are.

# Mail addresses, and the IP address under which a server sees the house. Each run of characters
# is looked at once, from its start.
_ADDRESS: Final = re.compile(
    r"""("[^"]*+"|(?<![^\s<>",:;()\[\]@])[^\s<>",:;()\[\]@]++)@"""
    r"""(\[[^\[\]]*+\]|[^\s<>"',:;()\[\]]++)"""
    r"|(?<![\d.])\d{1,3}(\.\d{1,3}){3}(?![\d.])"
    r"|(?<![\w:.])(?=[0-9a-f:]*::|([0-9a-f]{1,4}:){7})[0-9a-f:]{3,39}",
    re.IGNORECASE,
)
# What else Microsoft names people and organizations by: ids of applications and directories,
# names in quotes, Exchange's own names of mailboxes, and domains that it gives to organizations.
_NAME: Final = re.compile(
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?<!\w)'[^']*'(?!\w)"
    r"|/o=[^;,]{0,100}/cn=[^\s;,]*"
    r"|(?<![\w.-])[\w.-]+\.(onmicrosoft|mail\.protection\.outlook)\.com\b",
    re.IGNORECASE,
)
# What an account signs in with and sends from, beside the password and the token.
_OWN: Final = (CONF_EMAIL, CONF_SENDER_ADDRESS, CONF_REPLY_TO, CONF_TENANT, CONF_USERNAME)
# Domains of mailboxes that name nobody.
_PUBLIC: Final = ("hotmail.com", "live.com", "msn.com", "outlook.com")


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: OutlookSmtpConfigEntry
) -> dict[str, Any]:
    """Return the account's settings and health, and what is known of its server and outbox."""
    coordinator = entry.runtime_data
    mailer = coordinator.mailer
    report = coordinator.last_report
    integration = await async_get_integration(hass, DOMAIN)
    return {
        "versions": {
            "integration": str(integration.version),
            "home_assistant": __version__,
            "aiosmtplib": aiosmtplib.__version__,
            "openssl": ssl.OPENSSL_VERSION,
        },
        "account_kind": entry.data[CONF_ACCOUNT_KIND],
        "data": async_redact_data(dict(entry.data), TO_REDACT),
        "options": async_redact_data(dict(entry.options), TO_REDACT),
        "recipients": len(entry.subentries),
        "health": _health(coordinator.data, _own_words(entry)),
        "server": _server(info) if (info := mailer.courier.server_info) else None,
        "stage_seconds": _rounded(report.timings) if report else None,
        "last_outcomes": [_outcome(when, contact) for when, contact in coordinator.contacts],
        "outbox": _outbox(mailer),
    }


def _health(health: Health, own_words: list[str]) -> dict[str, Any]:
    """Return the health, with nothing in Microsoft's words that tells whose it is."""
    reply = _redacted(health.reply, own_words) if health.reply else None
    return asdict(health) | {"reply": reply}


def _own_words(entry: OutlookSmtpConfigEntry) -> list[str]:
    """Return what tells whose account it is: the names that it signs in with, and its domains."""
    known = {**entry.data, **entry.options}
    words = {known[key] for key in _OWN if known.get(key)} - {*TENANT_GROUPS}
    domains = {match[2] for match in _ADDRESS.finditer(" ".join(words)) if match[2]}
    return [*words, *(name for name in domains if name.lower() not in _PUBLIC)]


def _server(info: ServerInfo) -> dict[str, Any]:
    """Return what a server said of itself."""
    certificate: dict[str, Any] = dict(info.certificate)
    issuer = {
        name: _redacted(value) for part in certificate.get("issuer", ()) for name, value in part
    }
    return {
        "extensions": {name: _redacted(value) for name, value in info.extensions.items()},
        "size_limit": info.size_limit,
        "tls_version": info.tls_version,
        "certificate": {
            "not_before": certificate.get("notBefore"),
            "not_after": certificate.get("notAfter"),
            "issuer": issuer,
        },
    }


def _outcome(when: datetime, contact: Contact) -> dict[str, Any]:
    """Return how a meeting with the server went, in keys and numbers alone."""
    fault = contact.fault
    return {
        "when": when.isoformat(timespec="seconds"),
        "submitting": contact.submitting,
        "latency": round(contact.latency, 3),
        "kind": fault.kind if fault else None,
        "problem": fault.problem if fault else None,
        "code": fault.code if fault else None,
        "enhanced": fault.enhanced if fault else None,
    }


def _outbox(mailer: Mailer) -> dict[str, Any]:
    """Return what waits and what has failed: sizes, ages and reasons, but no word of it."""
    queue, courier = mailer.queue, mailer.courier
    now = time.monotonic()
    return {
        "count": len(queue.items),
        "bytes": queue.size,
        "limits": asdict(queue.limits),
        "oldest_age": max((round(now - item.born) for item in queue.items), default=None),
        "hold": _hold(hold, now) if (hold := courier.hold) else None,
        "waiting": [_waiting(item, now, courier.due(item)) for item in queue.items[:MOST_LISTED]],
        "failed_count": len(queue.failed),
        "failed": [_failed(item, now) for item in queue.failed[:MOST_LISTED]],
        "set_aside_count": len(queue.set_aside),
    }


def _hold(hold: Hold, now: float) -> dict[str, Any]:
    """Return what holds the messages, and for how many more seconds."""
    return {
        "kind": hold.fault.kind,
        "problem": hold.fault.problem,
        "by_mail": hold.by_mail,
        "seconds_left": _seconds(hold.until - now),
    }


def _waiting(item: Item, now: float, due: float) -> dict[str, Any]:
    """Return how long a message waits, and for what."""
    return {
        "size": item.record.size,
        "recipients": len(item.recipients),
        "age": round(now - item.born),
        "tries": item.tries,
        "problem": item.fault.problem if item.fault else None,
        "due_in": _seconds(due - now),
    }


def _failed(item: FailedItem, now: float) -> dict[str, Any]:
    """Return why a message was kept aside, and for how long."""
    return {
        "size": item.failure.spooled.record.size,
        "age": round(now - item.born),
        "event": item.failure.event,
        "problem": item.failure.problem or None,
    }


def _redacted(text: str, own_words: Iterable[str] = ()) -> str:
    """Return a text of the server's without addresses, names and words of the account's own."""
    text = _NAME.sub("***", _ADDRESS.sub("***", text))
    for word in own_words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "***", text, flags=re.IGNORECASE)
    return text


def _seconds(left: float) -> int | None:
    """Return the seconds until something, none where nobody knows the end."""
    return max(round(left), 0) if isfinite(left) else None


def _rounded(timings: dict[Any, float]) -> dict[str, float]:
    """Return the seconds that each stage took."""
    return {str(stage): round(seconds, 3) for stage, seconds in timings.items()}
