"""Sign-in errors, classified by remedy."""

from collections.abc import Mapping
import re
from typing import Any, Final

from ..delivery.faults import Fault, Kind, Problem
from ..delivery.secrets import MAX_READ, shorten
from .error_codes import CATALOGUE, KINDS, NEEDS_SIGN_IN

_TRACE: Final = re.compile(r"(?:Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
MAX_DESCRIPTION: Final = 300  # Characters.


# What an error means if its message has no code of the catalogue: RFC 6749, section 5.2, and
# RFC 8628, section 3.5.
_PROBLEMS: Final[dict[str, Problem]] = {
    "invalid_grant": Problem.SIGN_IN_REQUIRED,
    "interaction_required": Problem.SIGN_IN_REQUIRED,
    "login_required": Problem.SIGN_IN_REQUIRED,
    "consent_required": Problem.SIGN_IN_REQUIRED,
    "authorization_declined": Problem.SIGN_IN_DECLINED,
    "access_denied": Problem.SIGN_IN_DECLINED,
    "expired_token": Problem.CODE_EXPIRED,
    "code_expired": Problem.CODE_EXPIRED,
    "bad_verification_code": Problem.CODE_EXPIRED,
    "temporarily_unavailable": Problem.IDENTITY_UNREACHABLE,
    "server_error": Problem.IDENTITY_UNREACHABLE,
    "invalid_client": Problem.APPLICATION_REFUSED,
    "unauthorized_client": Problem.APPLICATION_REFUSED,
    "invalid_scope": Problem.APPLICATION_REFUSED,
    "invalid_resource": Problem.APPLICATION_REFUSED,
    "invalid_request": Problem.APPLICATION_REFUSED,
}

_NUMBER: Final = re.compile(r"AADSTS(\d{4,8})\b")
# Microsoft says this about a personal account without a code.
_NO_CONSUMERS: Final = "not enabled for consumers"


class AuthError(Exception):
    """Microsoft refused a request or was unreachable; `problem` classifies the remedy.

    `code` is the protocol's error code and `description` Microsoft's message, cleaned: it holds
    the AADSTS number that people search for, and never a token. `retry_after` is the delay in
    seconds that Microsoft asked for, if any. If there was no response, `is_silent` is set, and the
    description is that of the failed request.
    """

    def __init__(
        self,
        problem: Problem,
        code: str = "",
        description: str = "",
        retry_after: float | None = None,
        *,
        is_silent: bool = False,
    ) -> None:
        """Store the problem and Microsoft's message."""
        super().__init__(f"{problem}: {code} {description}".rstrip(": "))
        self.problem = problem
        self.code = code
        self.description = description
        self.retry_after = retry_after
        self.is_silent = is_silent

    @property
    def needs_sign_in(self) -> bool:
        """Return whether Microsoft refuses until somebody signs in again."""
        return self.problem in NEEDS_SIGN_IN


def read_error(
    answer: Mapping[str, Any], status: int = 400, retry_after: float | None = None
) -> AuthError:
    """Turn an error response into an `AuthError` (RFC 6749, sections 4.1.2.1 and 5.2).

    Args:
        answer: Microsoft's response.
        status: The HTTP status of the response.
        retry_after: The value of the Retry-After header, in seconds.

    """
    code = _clean(answer.get("error", ""))
    description = _clean(answer.get("error_description", "")) or f"HTTP {status}"
    problem = _problem_of(description) or _PROBLEMS.get(code, Problem.UNEXPECTED_ANSWER)
    if status == 429 or status >= 500:
        problem = Problem.IDENTITY_UNREACHABLE
    return AuthError(problem, code, description, retry_after)


def read_auth_error(error: AuthError) -> Fault:
    """Turn an error of Microsoft's identity platform into a fault of the account."""
    text = " ".join(filter(None, (error.code, error.description)))
    kind = KINDS.get(error.problem, Kind.CREDENTIALS)
    if error.is_silent:
        return Fault(kind, error.problem, detail=text)
    return Fault(kind, error.problem, text=text, retry_after=error.retry_after)


def _problem_of(description: str) -> Problem | None:
    """Return the problem that a message names by its code, or None if it names none."""
    for number in _NUMBER.findall(description):
        if known := CATALOGUE.get(int(number)):
            return known[0]
    return Problem.ACCOUNT_TYPE_REFUSED if _NO_CONSUMERS in description else None


def _clean(words: Any) -> str:
    """Return a message on one line, without Microsoft's trace and correlation IDs."""
    text = _UNPRINTABLE.sub(" ", _TRACE.sub("", str(words)[:MAX_READ]))
    return shorten(" ".join(text.split()), MAX_DESCRIPTION)
