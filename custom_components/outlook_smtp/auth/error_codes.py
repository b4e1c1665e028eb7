"""The catalogue of Microsoft's sign-in errors: what each AADSTS code means.

Dialogs, repairs, and docs/sign-in.md are fed from it. To teach the integration another
code, add one line, and run `scripts/lint --fix`.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from collections.abc import Mapping
from typing import Final

from ..delivery.faults import Kind, Problem

# By code: the problem, and the beginning of Microsoft's message.
CATALOGUE: Final[Mapping[int, tuple[Problem, str]]] = {
    # The client ID, and the directory that holds the app registration.
    700016: (Problem.CLIENT_ID_UNKNOWN, "Application was not found in the directory"),
    90002: (Problem.TENANT_UNKNOWN, "Tenant not found"),
    900021: (Problem.TENANT_UNKNOWN, "Requested tenant identifier is not valid"),
    900023: (Problem.TENANT_UNKNOWN, "Specified tenant identifier is neither a valid DNS name"),
    50059: (Problem.TENANT_UNKNOWN, "No tenant-identifying information found"),
    5000225: (Problem.DIRECTORY_BLOCKED, "This tenant has been blocked due to inactivity"),
    # Which accounts it is for.
    50020: (Problem.ACCOUNT_TYPE_REFUSED, "User account does not exist in tenant"),
    16000: (Problem.ACCOUNT_TYPE_REFUSED, "User account does not exist in tenant"),
    50194: (Problem.ACCOUNT_TYPE_REFUSED, "Application is not configured as multi-tenant"),
    9002331: (Problem.ACCOUNT_TYPE_REFUSED, "Application is for Microsoft Account users only"),
    9002346: (Problem.ACCOUNT_TYPE_REFUSED, "Application is for Microsoft Account users only"),
    # How people sign in to it.
    7000218: (Problem.PUBLIC_CLIENT_OFF, "The request body must contain client_secret"),
    70002: (Problem.PUBLIC_CLIENT_OFF, "The application must be marked as 'mobile'"),
    700025: (Problem.SECRET_NOT_ALLOWED, "Client is public so no secret should be presented"),
    7000215: (Problem.SECRET_WRONG, "Invalid client secret provided"),
    7000222: (Problem.SECRET_EXPIRED, "The provided client secret keys are expired"),
    50011: (Problem.REDIRECT_WRONG, "The redirect URI does not match"),
    500112: (Problem.REDIRECT_WRONG, "The reply address does not match"),
    # What it may do, and who has to agree.
    70011: (Problem.PERMISSION_MISSING, "The provided value for scope is not valid"),
    650053: (Problem.PERMISSION_MISSING, "The application asked for a scope that does not exist"),
    650057: (Problem.PERMISSION_MISSING, "The client does not list the requested permissions"),
    65001: (Problem.CONSENT_REQUIRED, "The user or administrator has not consented"),
    90094: (Problem.ADMIN_CONSENT_REQUIRED, "Admin consent is required"),
    90095: (Problem.ADMIN_CONSENT_REQUIRED, "Admin consent is required"),
    50105: (Problem.USER_NOT_ASSIGNED, "The user is not assigned to a role for the application"),
    65004: (Problem.SIGN_IN_DECLINED, "User declined to consent"),
    # The rules of an organization.
    53000: (Problem.CONDITIONAL_ACCESS, "Device is not in required device state"),
    53001: (Problem.CONDITIONAL_ACCESS, "Device is not domain joined"),
    53002: (Problem.CONDITIONAL_ACCESS, "The application is not an approved app"),
    53003: (Problem.CONDITIONAL_ACCESS, "Access has been blocked by Conditional Access policies"),
    530032: (Problem.CONDITIONAL_ACCESS, "Blocked by security policy"),
    50074: (Problem.MFA_REQUIRED, "Strong authentication is required"),
    50076: (Problem.MFA_REQUIRED, "You must use multi-factor authentication"),
    50079: (Problem.MFA_REQUIRED, "You must enroll in multi-factor authentication"),
    50057: (Problem.ACCOUNT_DISABLED, "The user account is disabled"),
    # The code, and the sign-in itself.
    70018: (Problem.CODE_EXPIRED, "Bad verification code"),
    70019: (Problem.CODE_EXPIRED, "The code has expired"),
    70020: (Problem.CODE_EXPIRED, "This code has expired"),
    50173: (Problem.SIGN_IN_REQUIRED, "The provided grant has expired due to it being revoked"),
    700082: (Problem.SIGN_IN_REQUIRED, "The refresh token has expired due to inactivity"),
    90033: (Problem.IDENTITY_UNREACHABLE, "A transient error has occurred"),
}

# Faults of the app registration; all others need the account's owner, unless they pass.
KINDS: Final[Mapping[Problem, Kind]] = {
    Problem.ACCOUNT_TYPE_REFUSED: Kind.SETUP,
    Problem.APPLICATION_REFUSED: Kind.SETUP,
    Problem.CLIENT_ID_UNKNOWN: Kind.SETUP,
    Problem.DIRECTORY_BLOCKED: Kind.SETUP,
    Problem.IDENTITY_UNREACHABLE: Kind.TRANSIENT,
    Problem.PERMISSION_MISSING: Kind.SETUP,
    Problem.PUBLIC_CLIENT_OFF: Kind.SETUP,
    Problem.REDIRECT_WRONG: Kind.SETUP,
    Problem.SECRET_EXPIRED: Kind.SETUP,
    Problem.SECRET_NOT_ALLOWED: Kind.SETUP,
    Problem.SECRET_WRONG: Kind.SETUP,
    Problem.TENANT_UNKNOWN: Kind.SETUP,
    Problem.UNEXPECTED_ANSWER: Kind.TRANSIENT,
    Problem.USER_NOT_ASSIGNED: Kind.SETUP,
}

# What Microsoft refuses until somebody signs in again.
NEEDS_SIGN_IN: Final = frozenset(
    {
        Problem.ACCOUNT_DISABLED,
        Problem.ADMIN_CONSENT_REQUIRED,
        Problem.CONDITIONAL_ACCESS,
        Problem.CONSENT_REQUIRED,
        Problem.MFA_REQUIRED,
        Problem.SIGN_IN_REQUIRED,
    }
)
