"""The catalogue of responses: which Microsoft Graph error code means which problem.

To teach the integration a new code, add one line to `CATALOGUE`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
import json
import re
import time
from typing import Any, Final

from ..delivery.faults import Fault, Kind, Problem
from ..delivery.secrets import MAX_TEXT, Secrets, one_line, shorten

ACCEPTED: Final = 202  # The only success; https://learn.microsoft.com/graph/api/user-sendmail
# Bytes of a request: "The maximum request length supported is 4MB." Some tenants accept more.
# https://learn.microsoft.com/answers/questions/1824204/ and
# https://github.com/microsoftgraph/microsoft-graph-docs-contrib/issues/682
REQUEST_LIMIT: Final = 4 * 1024 * 1024
# Bytes of the largest message that fits in Base64.
SOFT_SIZE_LIMIT: Final = REQUEST_LIMIT // 4 * 3
MAX_ANSWER: Final = 64 * 1024  # Bytes to read; a response that names 100 recipients has 30,000.
MAX_CODE: Final = 100  # Characters of an error code to keep.
LONGEST_RETRY_AFTER: Final = 86_400.0  # Seconds; a day, like the longest hold.

NOT_BASE64: Final = "ErrorMimeContentInvalidBase64String"
# https://learn.microsoft.com/graph/errors and
# https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode
CATALOGUE: Final[tuple[tuple[str, Kind, Problem], ...]] = (
    ("ErrorAccessDenied", Kind.CREDENTIALS, Problem.NO_SEND_PERMISSION),
    # The account.
    ("MailboxNotEnabledForRESTAPI", Kind.ACCOUNT, Problem.MAILBOX_NOT_SUPPORTED),
    ("ErrorMessageSubmissionBlocked", Kind.ACCOUNT, Problem.VERIFICATION_REQUIRED),
    ("ErrorAccountSuspend", Kind.ACCOUNT, Problem.SUSPENDED),
    ("ErrorQuotaExceeded", Kind.ACCOUNT, Problem.MAILBOX_FULL),
    # Sending limits.
    ("ApplicationThrottled", Kind.TRANSIENT, Problem.SENDER_THROTTLED),
    ("ErrorMessageThrottled", Kind.TRANSIENT, Problem.SENDER_THROTTLED),
    ("ErrorMessageTransientError", Kind.TRANSIENT, Problem.TEMPORARY_SERVER_ERROR),
    ("ErrorMessageTimeout", Kind.TRANSIENT, Problem.TIMEOUT),
    ("ErrorExceededMessageLimit", Kind.QUOTA, Problem.DAILY_LIMIT),
    ("ErrorExceededHourlyMessageLimit", Kind.QUOTA, Problem.SENDING_QUOTA),
    ("ErrorExceededMaxRecipientLimit", Kind.QUOTA, Problem.SENDING_QUOTA),
    ("ErrorExceededMaxRecipientLimitBlock", Kind.QUOTA, Problem.SENDING_QUOTA),
    ("ErrorSubmissionQuotaExceeded", Kind.QUOTA, Problem.DAILY_LIMIT),
    # The message.
    ("ErrorSendAsDenied", Kind.MESSAGE, Problem.SENDER_NOT_ALLOWED),
    ("ErrorInvalidRecipients", Kind.MESSAGE, Problem.RECIPIENT_REFUSED),
    ("ErrorMessageBlocked", Kind.MESSAGE, Problem.MESSAGE_REFUSED),
    ("ErrorMessageSizeExceeded", Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE),
    (NOT_BASE64, Kind.MESSAGE, Problem.MESSAGE_REFUSED),
)

_UPGRADE_SUFFIX: Final = "showtierupgrade"  # The suffix of some codes; the rest names the error.
_BY_CODE: Final = {code.casefold(): (kind, problem) for code, kind, problem in CATALOGUE}
# Statuses whose meaning does not depend on the error code.
_ALWAYS: Final = {401: (Kind.CREDENTIALS, Problem.IDENTITY_REFUSED)}
_LOST: Final = (Kind.TRANSIENT, Problem.ANSWER_LOST)
# Statuses without a known error code.
_BY_STATUS: Final = {
    408: (Kind.TRANSIENT, Problem.TIMEOUT),
    413: (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE),
    429: (Kind.TRANSIENT, Problem.SENDER_THROTTLED),
    503: (Kind.TRANSIENT, Problem.SERVICE_UNAVAILABLE),
    # The message may have been sent: four 504 responses once meant four copies.
    **dict.fromkeys((500, 502, 504), _LOST),
}
_UNEXPECTED: Final = (Kind.TRANSIENT, Problem.UNEXPECTED_REPLY)
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: the HTTP status, and Microsoft's error code and message, cleaned.

    `message` is the full message, unmasked: search it, but never show it. `retry_after` is in
    seconds.
    """

    status: int
    code: str
    text: str
    request_id: str
    retry_after: float | None = None
    message: str = field(default="", repr=False)

    @property
    def words(self) -> str:
        """Return the message to quote, with the request ID that Microsoft's support asks for."""
        trace = f"(request-id {self.request_id})" if self.request_id else ""
        return f"{shorten(self.text, MAX_TEXT - len(trace) - 1)} {trace}".strip()

    def fault(self, length: int = 0) -> Fault:
        """Turn an error response to a request of `length` bytes into a fault."""
        kind, problem = self._meaning(length)
        return Fault(
            kind,
            problem,
            self.status,
            self.code or None,
            self.words,
            retry_after=self.retry_after,
        )

    @property
    def _is_page(self) -> bool:
        """Return whether the response is a page, which only a proxy sends."""
        return self.message.lstrip().startswith("<")

    def _meaning(self, length: int) -> tuple[Kind, Problem]:
        """Classify the response: by its status, its error code, then its status again."""
        if self.status == 200 and length > REQUEST_LIMIT and not self._is_page:
            return Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE
        known, by_status = _look_up(self.code), _BY_STATUS.get(self.status)
        if known and known[0] is Kind.TRANSIENT and by_status == _LOST:
            known = None  # Whatever the reason, the message may be on its way.
        return _ALWAYS.get(self.status) or known or by_status or self._unknown()

    def _unknown(self) -> tuple[Kind, Problem]:
        """Classify an unknown error; without an error code, it may come from a proxy."""
        if 200 <= self.status < 300 and not self._is_page:  # It may have meant yes.
            return _LOST
        if self.status >= 500:
            return Kind.TRANSIENT, Problem.TEMPORARY_SERVER_ERROR
        if self.status < 400 or not self.code:
            return _UNEXPECTED
        if self.status == 400:
            return Kind.MESSAGE, Problem.MESSAGE_REFUSED
        return Kind.ACCOUNT, Problem.UNEXPECTED_REPLY


def _look_up(code: str) -> tuple[Kind, Problem] | None:
    """Return the catalogue's entry for an error code."""
    return _BY_CODE.get(code.casefold().removesuffix(_UPGRADE_SUFFIX))


def read_answer(status: int, headers: Mapping[str, str], body: bytes, secrets: Secrets) -> Answer:
    """Read a response.

    Args:
        status: The status code.
        headers: The header fields.
        body: The body, or as much of it as was read.
        secrets: The secrets to mask in all texts except `message`.

    """
    text = body.decode("utf-8", "replace")
    levels = list(_levels(text))
    codes = _texts(levels, "code")
    known = [code for code in codes if _look_up(code)]
    message = next(iter(_texts(levels, "message")), "") if codes else text
    if 300 <= status < 400:
        message = headers.get("Location", "")
    request_id = _REQUEST_ID.fullmatch(headers.get("request-id", ""))
    return Answer(
        status,
        one_line(secrets.mask((known or codes or [""])[-1]))[:MAX_CODE],
        shorten(one_line(secrets.mask(message))),
        request_id[0] if request_id else "",
        read_retry_after(headers),
        message,
    )


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds to wait before the next request (RFC 9110, section 10.2.3).

    A date is compared with the response's own, if any: this machine's clock may be wrong.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        seconds = float(value)
    elif (until := _read_date(value)) is not None:
        now = _read_date(headers.get("Date", ""))
        seconds = until - (time.time() if now is None else now)
    else:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _read_date(text: str) -> float | None:
    """Return an HTTP date in seconds since the epoch, or None if it is invalid."""
    with suppress(OverflowError, ValueError):
        if date := parsedate_tz(text):
            return float(mktime_tz(date))
    return None


def _levels(text: str) -> Iterator[dict[str, Any]]:
    """Yield the nested error objects of a JSON text, outermost first."""
    answer: Any = None
    with suppress(RecursionError, ValueError):
        answer = json.loads(text)
    level = answer.get("error") if isinstance(answer, dict) else None
    while isinstance(level, dict):
        yield level
        level = level.get("innerError", level.get("innererror"))


def _texts(levels: list[dict[str, Any]], name: str) -> list[str]:
    """Return the text members with a name of nested error objects, outermost first."""
    return [text for level in levels if isinstance(text := level.get(name), str) and text]
