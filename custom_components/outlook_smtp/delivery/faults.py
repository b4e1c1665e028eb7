"""The vocabulary of faults between this client and a submission server."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The stages of an SMTP session, in order."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    GREETING = "greeting"
    STARTTLS = "starttls"
    CERTIFICATE = "certificate"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


class Kind(StrEnum):
    """What a fault means for the account's mail, which decides what happens next."""

    MESSAGE = "message"
    TRANSIENT = "transient"
    CREDENTIALS = "credentials"
    ACCOUNT = "account"
    QUOTA = "quota"
    SETUP = "setup"


class Problem(StrEnum):
    """The stable keys of all problems; translations and automations rely on them."""

    # On the way to the server.
    HOST_NOT_FOUND = "host_not_found"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_LOST = "connection_lost"
    NETWORK_UNREACHABLE = "network_unreachable"
    PORT_BLOCKED = "port_blocked"
    PORT_BLOCKED_OTHER_OPEN = "port_blocked_other_open"
    TIMEOUT = "timeout"
    NOT_SMTP = "not_smtp"
    WRONG_SECURITY = "wrong_security"
    # Encryption.
    EHLO_REFUSED = "ehlo_refused"
    STARTTLS_NOT_OFFERED = "starttls_not_offered"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NONCOMPLIANT = "certificate_noncompliant"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_WRONG_HOST = "certificate_wrong_host"
    CLOCK_WRONG = "clock_wrong"
    TLS_FAILED = "tls_failed"
    TLS_REQUIRED = "tls_required"
    TLS_TOO_OLD = "tls_too_old"
    # Signing in.
    ACCOUNT_LOCKED = "account_locked"
    AUTH_REFUSED = "auth_refused"
    BASIC_AUTH_DISABLED = "basic_auth_disabled"
    CONDITIONAL_ACCESS = "conditional_access"
    FEDERATION_UNREACHABLE = "federation_unreachable"
    IDENTITY_REFUSED = "identity_refused"
    INVALID_CREDENTIALS = "invalid_credentials"
    MALFORMED_AUTH = "malformed_auth"
    MECHANISM_NOT_OFFERED = "mechanism_not_offered"
    NOT_AUTHENTICATED = "not_authenticated"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - The name of a problem.
    SECURITY_DEFAULTS = "security_defaults"
    SMTP_DISABLED_MAILBOX = "smtp_disabled_mailbox"
    SMTP_DISABLED_TENANT = "smtp_disabled_tenant"
    TEMPORARY_AUTH_FAILURE = "temporary_auth_failure"
    # Microsoft's identity platform, which issues tokens.
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_TYPE_REFUSED = "account_type_refused"
    ADMIN_CONSENT_REQUIRED = "admin_consent_required"
    APPLICATION_REFUSED = "application_refused"
    CLIENT_ID_UNKNOWN = "client_id_unknown"
    CONSENT_REQUIRED = "consent_required"
    DIRECTORY_BLOCKED = "directory_blocked"
    MFA_REQUIRED = "mfa_required"
    PERMISSION_MISSING = "permission_missing"
    PUBLIC_CLIENT_OFF = "public_client_off"
    REDIRECT_WRONG = "redirect_wrong"
    SECRET_EXPIRED = "secret_expired"  # noqa: S105 - The name of a problem.
    SECRET_NOT_ALLOWED = "secret_not_allowed"  # noqa: S105 - The name of a problem.
    SECRET_WRONG = "secret_wrong"  # noqa: S105 - The name of a problem.
    TENANT_UNKNOWN = "tenant_unknown"
    USER_NOT_ASSIGNED = "user_not_assigned"
    IDENTITY_UNREACHABLE = "identity_unreachable"
    NO_ADDRESS = "no_address"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - The name of a problem.
    NO_SEND_PERMISSION = "no_send_permission"
    SIGN_IN_DECLINED = "sign_in_declined"
    SIGN_IN_REQUIRED = "sign_in_required"
    CODE_EXPIRED = "code_expired"
    UNEXPECTED_ANSWER = "unexpected_answer"
    # The server asks to retry later.
    RECIPIENT_LIMIT = "recipient_limit"
    SERVER_BUSY = "server_busy"
    SERVICE_UNAVAILABLE = "service_unavailable"
    TEMPORARY_SERVER_ERROR = "temporary_server_error"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TRY_AGAIN_LATER = "try_again_later"
    # The account may not send now.
    DAILY_LIMIT = "daily_limit"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_NOT_SUPPORTED = "mailbox_not_supported"
    SENDER_BLOCKED = "sender_blocked"
    SENDER_THROTTLED = "sender_throttled"
    SENDING_QUOTA = "sending_quota"
    SUSPENDED = "suspended"
    VERIFICATION_REQUIRED = "verification_required"
    # One message.
    ANSWER_LOST = "answer_lost"
    BARE_LINEFEED = "bare_linefeed"
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_TOO_LARGE = "message_too_large"
    RECIPIENT_REFUSED = "recipient_refused"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    UTF8_NOT_SUPPORTED = "utf8_not_supported"
    # Anything else, quoted.
    INVALID_CLIENT_NAME = "invalid_client_name"
    UNEXPECTED_REPLY = "unexpected_reply"
    UNFORESEEN = "unforeseen"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong.

    `code` and `enhanced` are the server's reply code (RFC 5321) and enhanced status code
    (RFC 3463), or the HTTP status and Microsoft Graph's error code, if there was a reply; `text` is
    its cleaned text. If no server spoke, `detail` is what the system says, for the log. `hint` is
    the variable part of the remedy: the other port, the right host. `recipient_only` says that only
    a recipient is deferred. `retry_after` is how long the server asks clients to wait, in seconds.
    """

    kind: Kind
    problem: Problem
    code: int | None = None
    enhanced: str | None = None
    text: str = ""
    hint: str = ""
    recipient_only: bool = False
    retry_after: float | None = None
    detail: str = ""

    @property
    def reply(self) -> str:
        """Return the server's reply on one line, as a person would quote it."""
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)

    @property
    def is_recipients_own(self) -> bool:
        """Return whether the fault is limited to a recipient or a message."""
        return self.kind is Kind.MESSAGE or self.recipient_only

    @property
    def is_refused_identity(self) -> bool:
        """Return whether the server itself refused the credentials."""
        return self.kind is Kind.CREDENTIALS and self.code is not None


class SubmissionError(Exception):
    """A submission or a check failed; `fault` says what and why.

    `submitting` says that the account was authenticated and a message was being submitted.
    """

    def __init__(self, fault: Fault, *, submitting: bool = False) -> None:
        """Keep the fault; the exception's text is its key and the server's reply."""
        super().__init__(f"{fault.problem}: {fault.reply or fault.detail}")
        self.fault = fault
        self.submitting = submitting
