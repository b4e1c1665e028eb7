"""Every known error of Microsoft Graph's `sendMail`, and what it means."""

from dataclasses import dataclass, field
from typing import Any

DENIED = "Access is denied. Check credentials and try again."
WASCL = "Cannot send mail. Follow the instructions in your Inbox to verify your account., WASCL"
TOO_LARGE = "The message exceeds the maximum supported size."


@dataclass(frozen=True, kw_only=True)
class GraphAnswer:
    """One response to any request; with `accepts` the message is sent anyway.

    With `hangs` it waits for `FakeGraph.go_on`; `body` replaces the JSON.
    """

    status: int
    code: str = ""
    message: str = ""
    inner: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "application/json"
    accepts: bool = False
    hangs: bool = False

    def error(self, request_id: str) -> dict[str, Any]:
        """Return the JSON error object."""
        inner = {"date": "2026-11-28T12:00:00", "request-id": request_id} | self.inner
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


@dataclass(frozen=True)
class GraphRow:
    """One error, and the kind and problem that it means."""

    name: str
    answer: GraphAnswer
    meaning: str


def _row(
    name: str, status: int, code: str, meaning: str, message: str = "", **more: Any
) -> GraphRow:
    """Return a row."""
    answer = GraphAnswer(status=status, code=code, message=message or f"{name}.", **more)
    return GraphRow(name, answer, meaning)


GRAPH_CATALOGUE = (
    _row(
        "token",
        401,
        "InvalidAuthenticationToken",
        "credentials identity_refused",
        "Lifetime validation failed, the token is expired.",
    ),
    _row("other_401", 401, "unauthenticated", "credentials identity_refused", "Sign in."),
    _row("permission", 403, "ErrorAccessDenied", "credentials no_send_permission", DENIED),
    _row(
        "send_as",
        403,
        "ErrorSendAsDenied",
        "message sender_not_allowed",
        "The user account which was used to submit this request does not have the right to send "
        "mail on behalf of the specified sending account., Cannot submit message.",
    ),
    *(
        _row(
            f"rest_api_{status}",
            status,
            "MailboxNotEnabledForRESTAPI",
            "account mailbox_not_supported",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        )
        for status in (403, 404)
    ),
    _row(
        "concurrency",
        429,
        "ApplicationThrottled",
        "transient sender_throttled",
        "Application is over its MailboxConcurrency limit.",
        headers={"Retry-After": "10"},
    ),
    _row(
        "verdict",
        429,
        "ApplicationThrottled",
        "transient sender_throttled",
        "WASCL UserAction verdict is not None. Actual verdict is Throttle.",
    ),
    _row(
        "daily",
        429,
        "ErrorExceededMessageLimit",
        "quota daily_limit",
        "Cannot send mail. Daily Message/Recipient limit exceeded. Follow the instructions in "
        "your Inbox to verify your account.",
    ),
    _row(
        "verification",
        400,
        "ErrorMessageSubmissionBlocked",
        "account verification_required",
        f"{WASCL} UserAction verdict is not None. Actual verdict is HipSend, ShowTierUpgrade.",
    ),
    _row(
        "suspended",
        403,
        "ErrorAccountSuspend",
        "account suspended",
        "Account suspended. Follow the instructions in your Inbox to verify your account.",
    ),
    _row("blocked", 400, "ErrorMessageBlocked", "message message_refused"),
    _row("recipients", 429, "ErrorExceededMaxRecipientLimit", "quota sending_quota"),
    _row("recipients_block", 429, "ErrorExceededMaxRecipientLimitBlock", "quota sending_quota"),
    _row("tier", 429, "ErrorExceededMaxRecipientLimitShowTierUpgrade", "quota sending_quota"),
    _row("hourly", 429, "ErrorExceededHourlyMessageLimit", "quota sending_quota"),
    _row("submission_quota", 429, "ErrorSubmissionQuotaExceeded", "quota daily_limit"),
    _row("throttled", 429, "ErrorMessageThrottled", "transient sender_throttled"),
    _row("passing", 503, "ErrorMessageTransientError", "transient temporary_server_error"),
    _row("slow_store", 503, "ErrorMessageTimeout", "transient timeout"),
    _row("mailbox_full", 403, "ErrorQuotaExceeded", "account mailbox_full"),
    _row("size", 400, "ErrorMessageSizeExceeded", "message message_too_large", TOO_LARGE),
    _row("length", 413, "BadRequest", "message message_too_large"),
    _row("unavailable", 503, "serviceNotAvailable", "transient service_unavailable"),
    *(
        _row(f"lost_{status}", status, "UnknownError", "transient answer_lost")
        for status in (500, 502, 504)
    ),
    _row("lost_store", 504, "ErrorMessageTimeout", "transient answer_lost"),
    _row("other_5xx", 507, "insufficientStorage", "transient temporary_server_error"),
    _row("request_timeout", 408, "requestTimeout", "transient timeout"),
    _row("plain_429", 429, "tooManyRequests", "transient sender_throttled"),
    _row("unknown_400", 400, "ErrorNobodyKnows", "message message_refused"),
    _row("unknown_404", 404, "ErrorNobodyKnows", "account unexpected_reply"),
    _row(
        "inner",
        400,
        "generalException",
        "account suspended",
        inner={"code": "stillGeneral", "innererror": {"code": "ErrorAccountSuspend"}},
    ),
    _row(
        "outer",
        400,
        "errorMessageblocked",
        "message message_refused",
        inner={"code": "NewAndParticular"},
    ),
)
