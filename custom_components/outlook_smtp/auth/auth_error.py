"""Sign-in errors, classified by remedy."""

from collections.abc import Mapping
import re
from typing import Any, Final

from ..delivery.faults import Fault, Kind, Problem
from ..delivery.secrets import MAX_READ

_TRACE: Final = re.compile(r"(?:Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
MAX_DESCRIPTION: Final = 300  # Characters.


# RFC 6749, section 5.2, RFC 8628, section 3.5, and
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
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

_KINDS: Final[dict[Problem, Kind]] = {
    Problem.APPLICATION_REFUSED: Kind.SETUP,
    Problem.IDENTITY_UNREACHABLE: Kind.TRANSIENT,
    Problem.UNEXPECTED_ANSWER: Kind.TRANSIENT,
}


class AuthError(Exception):
    """Microsoft refused a request or was unreachable; `problem` classifies the remedy.

    `code` is the protocol's error code and `description` Microsoft's message, cleaned: it holds
    the AADSTS number that people search for, and never a token. `retry_after` is the delay in
    seconds that Microsoft asked for, if any.
    """

    def __init__(
        self,
        problem: Problem,
        code: str = "",
        description: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Store the problem and Microsoft's message."""
        super().__init__(f"{problem}: {code} {description}".rstrip(": "))
        self.problem = problem
        self.code = code
        self.description = description
        self.retry_after = retry_after


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
    problem = _PROBLEMS.get(code, Problem.UNEXPECTED_ANSWER)
    if status == 429 or status >= 500:
        problem = Problem.IDENTITY_UNREACHABLE
    return AuthError(problem, code, description, retry_after)


def read_auth_error(error: AuthError) -> Fault:
    """Turn an error of Microsoft's identity platform into a fault of the account."""
    text = " ".join(filter(None, (error.code, error.description)))
    kind = _KINDS.get(error.problem, Kind.CREDENTIALS)
    return Fault(kind, error.problem, text=text, retry_after=error.retry_after)


def _clean(words: Any) -> str:
    """Return a message on one line, without Microsoft's trace and correlation IDs."""
    text = _UNPRINTABLE.sub(" ", _TRACE.sub("", str(words)[:MAX_READ]))
    return " ".join(text.split())[:MAX_DESCRIPTION]
