"""The errors of Microsoft's identity platform."""

from dataclasses import dataclass
from datetime import UTC, datetime
import re
from typing import Any
import uuid

NUMBER = re.compile(r"AADSTS(\d+)")


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal: the protocol's error code, Microsoft's message and the HTTP status."""

    error: str
    words: str
    status: int = 400


class RefusedError(Exception):
    """A request is refused; details fill the placeholders of the message."""

    def __init__(self, refusal: Refusal, *details: str) -> None:
        """Store the response."""
        super().__init__(refusal.error)
        self.refusal = Refusal(refusal.error, refusal.words.format(*details), refusal.status)


def answer(refusal: Refusal) -> dict[str, Any]:
    """Return the JSON error object, with Microsoft's trace numbers."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    tail = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    return {
        "error": refusal.error,
        "error_description": f"{refusal.words} {tail}".lstrip(),
        "error_codes": [int(number) for number in NUMBER.findall(refusal.words)],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
    }


PENDING = Refusal(
    "authorization_pending",
    "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
)
SLOW_DOWN = Refusal("slow_down", "The client polls too often for this code.")
DECLINED = Refusal("authorization_declined", "The end user has denied the authorization request.")
DENIED = Refusal("access_denied", "AADSTS65004: User declined to consent to access the app.")
CODE_EXPIRED = Refusal(
    "expired_token",
    "AADSTS70020: The provided value for the input parameter 'device_code' is not valid. "
    "This code has expired.",
)
BAD_CODE = Refusal("bad_verification_code", "AADSTS70018: Bad verification code.")
CODE_INVALID = Refusal(
    "invalid_grant", "AADSTS70000: The provided value for the 'code' parameter is not valid."
)
CODE_STALE = Refusal(
    "invalid_grant",
    "AADSTS70008: The provided authorization code or refresh token has expired due to inactivity. "
    "Send a new interactive authorization request for this user and resource.",
)
CODE_REDEEMED = Refusal(
    "invalid_grant",
    "AADSTS54005: OAuth2 Authorization code was already redeemed, please retry with a new valid "
    "code or use an existing refresh token.",
)
VERIFIER_MISSING = Refusal(
    "invalid_grant", "AADSTS50148: The code_verifier is missing although a challenge was supplied."
)
VERIFIER_WRONG = Refusal(
    "invalid_grant",
    "AADSTS501481: The Code_Verifier does not match the code_challenge supplied in the "
    "authorization request.",
)
CHALLENGE_PLAIN = Refusal("invalid_request", "The code_challenge_method must be S256.")
REDIRECT_UNKNOWN = Refusal(
    "invalid_request",
    "AADSTS50011: The redirect URI '{}' specified in the request does not match the redirect URIs "
    "configured for the application '{}'.",
)
REDIRECT_CHANGED = Refusal(
    "invalid_client",
    "AADSTS500112: The reply address '{}' does not match the reply address '{}' provided when "
    "requesting Authorization code.",
)
REFRESH_INVALID = Refusal(
    "invalid_grant",
    "AADSTS70000: The provided value for the input parameter 'refresh_token' or 'assertion' is "
    "not valid.",
)
REFRESH_REVOKED = Refusal(
    "invalid_grant",
    "AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is "
    "needed. The user might have changed or reset their password.",
)
REFRESH_STALE = Refusal(
    "invalid_grant",
    "AADSTS700082: The refresh token has expired due to inactivity. The token was issued on {} "
    "and was inactive for 90.00:00:00.",
)
INTERACTION_REQUIRED = Refusal(
    "interaction_required",
    "AADSTS50076: Due to a configuration change made by your administrator, or because you moved "
    "to a new location, you must use multi-factor authentication to access the service.",
)
CONSENT_REQUIRED = Refusal(
    "consent_required",
    "AADSTS65001: The user or administrator has not consented to use the application.",
)
NOT_CONSENTED = Refusal(
    "invalid_grant",
    "AADSTS65001: The user or administrator has not consented to use the application with ID '{}'. "
    "Send an interactive authorization request for this user and resource.",
)
UNAUTHORIZED = Refusal(
    "invalid_grant",
    "AADSTS70000: The request was denied because one or more scopes requested are unauthorized or "
    "expired. The user must first sign in and grant the client application access to the requested "
    "scope.",
)
TWO_RESOURCES = Refusal(
    "invalid_request",
    "AADSTS28000: Provided value for the input parameter scope is not valid because it contains "
    "more than one resource. Scope {} is not valid.",
)
WRONG_KIND = Refusal(
    "invalid_grant",
    "AADSTS50020: User account '{}' does not exist in tenant '{}' and cannot access the "
    "application in that tenant.",
)
TENANT_UNKNOWN = Refusal(
    "invalid_request",
    "AADSTS90002: Tenant '{}' not found. Check to make sure you have the correct tenant ID and "
    "are signing into the correct cloud.",
)
PARAMETER_MISSING = Refusal(
    "invalid_request",
    "AADSTS900144: The request body must contain the following parameter: '{}'.",
)
GRANT_UNKNOWN = Refusal(
    "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type '{}'."
)
RESPONSE_TYPE_UNKNOWN = Refusal(
    "unsupported_response_type",
    "AADSTS700054: response_type '{}' is not enabled for the application.",
)
CLIENT_UNKNOWN = Refusal(
    "unauthorized_client",
    "AADSTS700016: Application with identifier '{}' was not found in the directory '{}'. This can "
    "happen if the application has not been installed by the administrator of the tenant or "
    "consented to by any user in the tenant.",
)
SECRET_UNWANTED = Refusal(
    "invalid_client",
    "AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be "
    "presented.",
    401,
)
SECRET_MISSING = Refusal(
    "invalid_client",
    "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or "
    "'client_secret'.",
    401,
)
SECRET_WRONG = Refusal(
    "invalid_client",
    "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request "
    "is the client secret value, not the client secret ID, for a secret added to app '{}'.",
    401,
)
SECRET_EXPIRED = Refusal(
    "invalid_client",
    "AADSTS7000222: The provided client secret keys for app '{}' are expired. Visit the Azure "
    "portal to create new keys for your app.",
    401,
)
SCOPE_INVALID = Refusal(
    "invalid_scope",
    "AADSTS70011: The provided request must include a 'scope' input parameter. The provided value "
    "for the input parameter 'scope' is not valid. The scope {} is not valid.",
)
SERVER_ERROR = Refusal("server_error", "", 500)
UNAVAILABLE = Refusal(
    "temporarily_unavailable",
    "AADSTS90033: A transient error has occurred. Please try again.",
    503,
)
