"""Actions to manage the outbox: flush, list, cancel, retry."""

from functools import partial
from typing import Any, Final

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..clock import time_of
from ..const import ATTR_CONFIG_ENTRY_ID, ATTR_ID, DOMAIN
from ..coordinator import OutlookSmtpData
from ..errors import input_error, outbox_errors
from ..outbox.queued import InProgressError, QueuedMessage, UnknownMessageError
from ..outbox.spooled import Failure
from .send_message import find_account

SERVICE_FLUSH_OUTBOX: Final = "flush_outbox"
SERVICE_LIST_OUTBOX: Final = "list_outbox"
SERVICE_CANCEL_MESSAGE: Final = "cancel_message"
SERVICE_RETRY_FAILED: Final = "retry_failed"

ATTR_LIMIT: Final = "limit"
DEFAULT_LIMIT: Final = 100  # Messages of each kind.
MAX_LIMIT: Final = 1000

_LIMIT: Final = vol.All(vol.Coerce(int), vol.Range(min=1, max=MAX_LIMIT))
_ACCOUNT: Final[dict[vol.Marker, Any]] = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}


@callback
def async_setup_outbox_actions(hass: HomeAssistant) -> None:
    """Register the actions, which require an administrator."""
    register = partial(async_register_admin_service, hass)
    register(DOMAIN, SERVICE_FLUSH_OUTBOX, _async_flush, vol.Schema(_ACCOUNT))
    register(
        DOMAIN,
        SERVICE_LIST_OUTBOX,
        _async_list,
        vol.Schema({**_ACCOUNT, vol.Optional(ATTR_LIMIT, default=DEFAULT_LIMIT): _LIMIT}),
        supports_response=SupportsResponse.ONLY,
    )
    register(
        DOMAIN,
        SERVICE_CANCEL_MESSAGE,
        _async_cancel,
        vol.Schema({**_ACCOUNT, vol.Required(ATTR_ID): cv.string}),
    )
    register(
        DOMAIN,
        SERVICE_RETRY_FAILED,
        _async_retry,
        # A template that renders to nothing must not select all messages.
        vol.Schema({**_ACCOUNT, vol.Optional(ATTR_ID): vol.All(cv.string, vol.Length(min=1))}),
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_flush(call: ServiceCall) -> None:
    """Try to send all waiting messages now, including those on hold."""
    account = find_account(call)
    if account.runtime_data.worker.is_held:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="outbox_held",
            translation_placeholders={"account": account.title},
        )
    await account.runtime_data.worker.flush()


async def _async_list(call: ServiceCall) -> ServiceResponse:
    """Return waiting and failed messages without their content, up to a limit."""
    data = find_account(call).runtime_data
    queue, limit = data.queue, call.data[ATTR_LIMIT]
    hold = data.worker.hold
    response: dict[str, Any] = {
        "waiting": [_describe_waiting(data, queued) for queued in queue.waiting[:limit]],
        "waiting_count": len(queue.waiting),
        "failed": [_describe_failure(failed.failure) for failed in queue.failed[:limit]],
        "failed_count": len(queue.failed),
        "hold": {
            "problem": hold.fault.problem.value,
            "reply": hold.fault.reply,
            "until": time_of(hold.until),
        }
        if hold
        else None,
    }
    if data.worker.is_held:
        response["held"] = True
    if discarded := queue.discarded:
        response["discarded"] = [_describe_failure(failure) for failure in discarded]
    return response


async def _async_cancel(call: ServiceCall) -> None:
    """Delete a waiting or failed message."""
    message_id = call.data[ATTR_ID]
    queue = find_account(call).runtime_data.queue
    try:
        with outbox_errors(queue):
            await queue.cancel(message_id)
    except UnknownMessageError as error:
        raise input_error("unknown_message", ATTR_ID, message_id) from error
    except InProgressError as error:
        raise input_error("message_under_way", ATTR_ID, message_id) from error


async def _async_retry(call: ServiceCall) -> ServiceResponse:
    """Queue one or all failed messages again."""
    queue = find_account(call).runtime_data.queue
    message_id = call.data.get(ATTR_ID)
    try:
        with outbox_errors(queue):
            count = await queue.retry(message_id)
    except UnknownMessageError as error:
        raise input_error("unknown_message", ATTR_ID, str(message_id)) from error
    return {"count": count} if call.return_response else None


def _describe_waiting(data: OutlookSmtpData, queued: QueuedMessage) -> dict[str, Any]:
    """Return the details of a waiting message."""
    under_way = queued in data.queue.under_way
    return {
        "id": queued.spooled.id,
        "created": queued.entry.created.isoformat(),
        "to": list(queued.entry.to),
        "title": queued.entry.title,
        "waiting": list(queued.recipients),
        "size": queued.entry.size,
        "attempts": queued.tries,
        "next_try": None if under_way else time_of(data.worker.next_try(queued)),
        "last_reply": queued.fault.reply if queued.fault else None,
        "problem": queued.fault.problem.value if queued.fault else None,
        **({"delayed": True} if queued.spooled.id in data.queue.delayed else {}),
        **({"send_at": send_at.isoformat()} if (send_at := queued.entry.send_at) else {}),
    }


def _describe_failure(failure: Failure) -> dict[str, Any]:
    """Return the details of a failed message."""
    entry = failure.spooled.entry
    return {
        "id": failure.spooled.id,
        "created": entry.created.isoformat(),
        "to": list(entry.to),
        "title": entry.title,
        "recipients": list(entry.envelope.recipients),
        "size": entry.size,
        "failed": dt_util.utc_from_timestamp(failure.failed_at).isoformat(),
        "outcome": failure.event,
        "problem": failure.problem or None,
        "last_reply": failure.reply or None,
    }
