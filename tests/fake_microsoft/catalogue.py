"""Every known refusal of Microsoft's servers, in full."""

from .row import BACK, CHINA, FRONT, OLDER, Row
from .rows_sender import SENDER, STORE
from .script import Step

UNSUCCESSFUL = "535 5.7.139 Authentication unsuccessful"
DISABLED = "SmtpClientAuthentication is disabled for the"
MORE = "Visit https://aka.ms/smtp_auth_disabled for more information."

SIGN_IN = (
    Row(
        "basic_auth_disabled",
        Step.AUTH,
        f"{UNSUCCESSFUL}, basic authentication is disabled. {FRONT}",
        "account basic_auth_disabled",
    ),
    Row(
        "tenant_disabled",
        Step.AUTH,
        f"{UNSUCCESSFUL}, {DISABLED} Tenant. {MORE} {FRONT}",
        "account smtp_disabled_tenant",
    ),
    Row(
        "mailbox_disabled",
        Step.AUTH,
        f"{UNSUCCESSFUL}, {DISABLED} Mailbox. {MORE} {FRONT}",
        "account smtp_disabled_mailbox",
    ),
    Row(
        "credentials_incorrect",
        Step.AUTH,
        f"{UNSUCCESSFUL}, the user credentials were incorrect. {FRONT}",
        "credentials invalid_credentials",
    ),
    Row(
        "criteria_not_met",
        Step.AUTH,
        f"{UNSUCCESSFUL}, the request did not meet the criteria to be authenticated successfully. "
        f"Contact your administrator. {FRONT}",
        "account conditional_access",
    ),
    Row(
        "security_defaults",
        Step.AUTH,
        f"{UNSUCCESSFUL}, user is locked by your organization's security defaults policy. "
        f"Contact your administrator. {FRONT}",
        "account security_defaults",
    ),
    Row(
        "account_locked",
        Step.AUTH,
        f"{UNSUCCESSFUL}, account locked {FRONT}",
        "account account_locked",
    ),
    Row(
        "federation_unreachable",
        Step.AUTH,
        f"{UNSUCCESSFUL}, federated STS service was unreachable. {FRONT}",
        "transient federation_unreachable",
    ),
    Row(
        "federation_without_https",
        Step.AUTH,
        f"{UNSUCCESSFUL}, the federated STS URL does not support HTTPS. {FRONT}",
        "transient federation_unreachable",
    ),
    Row("unsuccessful", Step.AUTH, f"{UNSUCCESSFUL} {FRONT}", "credentials auth_refused"),
    Row(
        "identity_refused",
        Step.AUTH,
        f"535 5.7.3 Authentication unsuccessful {FRONT}",
        "credentials password_refused",
    ),
    Row(
        "basic_auth_not_supported",
        Step.AUTH,
        f"550 5.7.30 Basic authentication is not supported for Client Submission. {FRONT}",
        "account basic_auth_disabled",
    ),
    Row(
        "unrecognized_mechanism",
        Step.AUTH,
        f"504 5.7.4 Unrecognized authentication type {FRONT}",
        "setup mechanism_not_offered",
    ),
    Row(
        "invalid_xoauth2",
        Step.AUTH,
        f"501 5.5.124 Invalid XOAUTH2 auth data {FRONT}",
        "setup malformed_auth",
    ),
    Row(
        "temporary_auth_failure",
        Step.AUTH,
        f"454 4.7.0 Temporary authentication failure {FRONT}",
        "transient temporary_auth_failure",
    ),
    Row(
        "temporary_server_error",
        Step.AUTH,
        f"451 4.7.0 Temporary server error. Please try again later. PRX4 {FRONT}",
        "transient temporary_auth_failure",
    ),
)

CONNECTION = (
    Row(
        "old_tls",
        Step.AUTH,
        "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to "
        f"support TLS 1.2. Visit https://aka.ms/smtp_auth_tls. {FRONT}",
        "setup tls_too_old",
    ),
    Row(
        "not_authenticated",
        Step.MAIL,
        f"530 5.7.57 Client not authenticated to send mail. {FRONT}",
        "setup not_authenticated",
    ),
    Row(
        "not_authenticated_tenant_disabled",
        Step.MAIL,
        "530 5.7.57 Client not authenticated to send mail. Error: "
        f"{UNSUCCESSFUL}, {DISABLED} Tenant. {MORE} {FRONT}",
        "account smtp_disabled_tenant",
    ),
    Row(
        "not_authenticated_incorrect",
        Step.MAIL,
        "530 5.7.57 Client not authenticated to send mail. Error: "
        f"{UNSUCCESSFUL}, the user credentials were incorrect. {FRONT}",
        "credentials invalid_credentials",
    ),
    Row(
        "not_authenticated_older",
        Step.MAIL,
        "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM "
        + OLDER,
        "setup not_authenticated",
    ),
    Row(
        "not_authenticated_identity",
        Step.MAIL,
        "530 5.7.57 Client not authenticated to send mail. Error: "
        f"535 5.7.3 Authentication unsuccessful {FRONT}",
        "credentials password_refused",
    ),
    Row(
        "sign_in_needed",
        Step.RCPT,
        f"530 5.7.0 Authentication needed {FRONT}",
        "setup not_authenticated",
    ),
    Row(
        "identity_expired",
        Step.MAIL,
        f"535 5.7.3 Authentication unsuccessful {OLDER}",
        "credentials password_refused",
    ),
    Row(
        "sign_in_expired",
        Step.DATA,
        f"535 5.7.8 The access token has expired {FRONT}",
        "credentials auth_refused",
    ),
    Row(
        "not_implemented",
        Step.DATA,
        f"502 5.3.3 Command not implemented {FRONT}",
        "setup unexpected_reply",
    ),
    Row(
        "starttls_first",
        Step.MAIL,
        f"530 5.7.0 Must issue a STARTTLS command first {FRONT}",
        "setup tls_required",
    ),
    Row(
        "starttls_required",
        Step.MAIL,
        f"451 5.7.3 STARTTLS is required to send mail {FRONT}",
        "setup tls_required",
    ),
    Row(
        "service_not_active",
        Step.GREETING,
        f"421 4.3.2 Service not active {FRONT}",
        "transient service_unavailable",
    ),
    Row(
        "service_not_available",
        Step.MAIL,
        f"421 4.3.2 Service not available {FRONT}",
        "transient service_unavailable",
    ),
    Row(
        "too_many_connections",
        Step.FINAL,
        "432 4.3.2 Concurrent connections limit exceeded. "
        f"Visit https://aka.ms/concurrent_sending for more information. {BACK}",
        "transient too_many_connections",
    ),
    Row(
        "sender_thread_limit",
        Step.FINAL,
        f"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded {BACK}",
        "transient too_many_connections",
    ),
    Row(
        "server_busy",
        Step.MAIL,
        f"451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719) {FRONT}",
        "transient server_busy",
    ),
    Row(
        "temporary_server_error_mrh1",
        Step.FINAL,
        f"451 4.3.111 Temporary server error. Please try again later. MRH1 {BACK}",
        "transient temporary_server_error",
    ),
    Row(
        "insufficient_resources",
        Step.MAIL,
        f"452 4.3.1 Insufficient system resources {FRONT}",
        "transient temporary_server_error",
    ),
    Row(
        "organization_queue_quota",
        Step.RCPT,
        f"450 4.7.3 Organization queue quota exceeded {FRONT}",
        "transient server_busy",
    ),
    Row(
        "socket_error",
        Step.DATA,
        f"421 4.4.2 Connection dropped due to SocketError {FRONT}",
        "transient connection_lost",
    ),
    Row("timed_out", Step.FINAL, f"421 4.4.1 Connection timed out {FRONT}", "transient timeout"),
    Row(
        "too_many_recipients",
        Step.RCPT,
        f"452 4.5.3 Too many recipients {FRONT}",
        "transient recipient_limit",
    ),
    Row(
        "mailbox_busy",
        Step.RCPT,
        f"450 4.2.1 The mailbox is busy {FRONT}",
        "transient try_again_later",
    ),
    Row(
        "mailbox_over_quota",
        Step.RCPT,
        f"452 4.2.2 Mailbox full {FRONT}",
        "transient try_again_later",
    ),
    Row(
        "greylisted",
        Step.RCPT,
        f"451 4.7.1 Greylisted, try again {FRONT}",
        "transient try_again_later",
    ),
    Row(
        "other_4xx",
        Step.FINAL,
        f"451 4.9.99 Something else for now {BACK}",
        "transient try_again_later",
    ),
)

MESSAGE = (
    Row(
        "too_big",
        Step.FINAL,
        f"552 5.3.4 Message size exceeds fixed maximum message size {FRONT}",
        "message message_too_large",
    ),
    Row(
        "too_big_for_mailbox",
        Step.FINAL,
        f"554 5.2.0 {STORE}MessageSubmissionExceededException.MapiExceptionMaxSubmissionExceeded; "
        f"Message size exceeds maximum size limit. {BACK}",
        "message message_too_large",
    ),
    Row(
        "recipient_unknown",
        Step.RCPT,
        f"550 5.1.1 User unknown {FRONT}",
        "message recipient_refused",
    ),
    Row(
        "recipient_invalid",
        Step.RCPT,
        f"501 5.1.3 Invalid address {FRONT}",
        "message recipient_refused",
    ),
    Row(
        "recipient_malformed",
        Step.RCPT,
        f"550 5.1.7 Invalid address {FRONT}",
        "message recipient_refused",
    ),
    Row(
        "bare_linefeeds",
        Step.FINAL,
        "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which "
        f"cannot be sent via DATA and receiving system does not support BDAT {BACK}",
        "message bare_linefeed",
    ),
    Row(
        "other_5xx_in_china",
        Step.FINAL,
        f"554 5.9.98 Something else {CHINA}",
        "message message_refused",
    ),
    Row(
        "other_5xx",
        Step.FINAL,
        f"554 5.9.99 Something else for good {BACK}",
        "message message_refused",
    ),
)

CATALOGUE: tuple[Row, ...] = (*SIGN_IN, *CONNECTION, *SENDER, *MESSAGE)
