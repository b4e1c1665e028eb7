"""What can go wrong with a sign-in, by what is to be done about it."""

from collections.abc import Mapping
from enum import StrEnum
import re
from typing import Any, Final

from ..delivery.secrets import MAX_READ

_TRACE: Final = re.compile(r"(?:Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
MAX_DESCRIPTION: Final = 300  # Characters.


class AuthProblem(StrEnum):
    """The stable keys of all problems; translations rely on them."""

    # The person has to sign in (again).
    SIGN_IN_REQUIRED = "sign_in_required"
    SIGN_IN_DECLINED = "sign_in_declined"
    CODE_EXPIRED = "code_expired"
    # Time heals it.
    IDENTITY_UNREACHABLE = "identity_unreachable"
    # The app registration has to be mended.
    APPLICATION_REFUSED = "application_refused"
    # Nobody foresaw it: worth another try, and a report.
    UNEXPECTED_ANSWER = "unexpected_answer"
    # The sign-in worked and is of no use.
    NO_SEND_PERMISSION = "no_send_permission"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - The name of a problem.
    NO_ADDRESS = "no_address"


# RFC 6749, section 5.2, RFC 8628, section 3.5, and
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_PROBLEMS: Final[dict[str, AuthProblem]] = {
    "invalid_grant": AuthProblem.SIGN_IN_REQUIRED,
    "interaction_required": AuthProblem.SIGN_IN_REQUIRED,
    "login_required": AuthProblem.SIGN_IN_REQUIRED,
    "consent_required": AuthProblem.SIGN_IN_REQUIRED,
    "authorization_declined": AuthProblem.SIGN_IN_DECLINED,
    "access_denied": AuthProblem.SIGN_IN_DECLINED,
    "expired_token": AuthProblem.CODE_EXPIRED,
    "code_expired": AuthProblem.CODE_EXPIRED,
    "bad_verification_code": AuthProblem.CODE_EXPIRED,
    "temporarily_unavailable": AuthProblem.IDENTITY_UNREACHABLE,
    "server_error": AuthProblem.IDENTITY_UNREACHABLE,
    "invalid_client": AuthProblem.APPLICATION_REFUSED,
    "unauthorized_client": AuthProblem.APPLICATION_REFUSED,
    "invalid_scope": AuthProblem.APPLICATION_REFUSED,
    "invalid_resource": AuthProblem.APPLICATION_REFUSED,
    "invalid_request": AuthProblem.APPLICATION_REFUSED,
}


class AuthError(Exception):
    """Microsoft refused, or could not be reached; `problem` says what is to be done.

    `code` is the protocol's error code and `description` Microsoft's words, cleaned: they hold
    the AADSTS number that people search for, and never a token. `retry_after` is for how many
    seconds Microsoft asked to be left alone, if it did.
    """

    def __init__(
        self,
        problem: AuthProblem,
        code: str = "",
        description: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keep the problem and Microsoft's words."""
        super().__init__(f"{problem}: {code} {description}".rstrip(": "))
        self.problem = problem
        self.code = code
        self.description = description
        self.retry_after = retry_after


def read_error(
    answer: Mapping[str, Any], status: int = 400, retry_after: float | None = None
) -> AuthError:
    """Turn an error answer into what it stands for (RFC 6749, sections 4.1.2.1 and 5.2).

    Args:
        answer: What Microsoft sent.
        status: The HTTP status of the answer.
        retry_after: What its header of that name said, in seconds.

    """
    code = _clean(answer.get("error", ""))
    description = _clean(answer.get("error_description", "")) or f"HTTP {status}"
    problem = _PROBLEMS.get(code, AuthProblem.UNEXPECTED_ANSWER)
    if status == 429 or status >= 500:
        problem = AuthProblem.IDENTITY_UNREACHABLE
    return AuthError(problem, code, description, retry_after)


def _clean(words: Any) -> str:
    """Return words as one line, without the numbers under which Microsoft logs the request."""
    text = _UNPRINTABLE.sub(" ", _TRACE.sub("", str(words)[:MAX_READ]))
    return " ".join(text.split())[:MAX_DESCRIPTION]
