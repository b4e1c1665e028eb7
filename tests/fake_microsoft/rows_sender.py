"""Refusals of a sender: not allowed to send, or not so much."""

from .row import BACK, FRONT, Row
from .script import Step
from .wording import diagnostics

STORE = "STOREDRV.Submission.Exception:"
FAILED = "Failed to process message due to a permanent exception with message"
DENIED = f"{STORE}SendAsDeniedException.MapiExceptionSendAsDenied; {FAILED}"
CANNOT_SUBMIT = diagnostics("Cannot submit message.")


def _spam(verdict: str) -> str:
    """Return the refusal of the outbound spam filter with its verdict."""
    reason = f"WASCL UserAction verdict is not None. Actual verdict is {verdict}."
    return (
        f"554 5.2.0 {STORE}OutboundSpamException; {FAILED} "
        f"[BeginDiagnosticData]{reason} OutboundSpamException: {reason}[EndDiagnosticData] {BACK}"
    )


SENDER = (
    Row(
        "send_as_denied",
        Step.FINAL,
        "554 5.2.252 SendAsDenied; alice@outlook.com not allowed to send as bob@example.com; "
        f"{DENIED} {CANNOT_SUBMIT} {BACK}",
        "message sender_not_allowed",
    ),
    Row(
        "send_as_denied_store",
        Step.FINAL,
        f"554 5.2.0 {DENIED} {CANNOT_SUBMIT} {BACK}",
        "message sender_not_allowed",
    ),
    Row(
        "send_as_no_permission",
        Step.FINAL,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender " + FRONT,
        "message sender_not_allowed",
    ),
    Row(
        "send_as_denied_nested",
        Step.FINAL,
        f"550 5.3.4 554 5.2.0 {DENIED} {CANNOT_SUBMIT} {BACK}",
        "message sender_not_allowed",
    ),
    Row("quota_refused", Step.FINAL, _spam("RefuseQuota"), "quota sending_quota"),
    Row(
        "quota_refused_upgrade",
        Step.FINAL,
        _spam("RefuseQuota, ShowTierUpgrade"),
        "quota sending_quota",
    ),
    Row("hip_notify", Step.FINAL, _spam("HipNotify"), "account verification_required"),
    Row(
        "hip_notify_upgrade",
        Step.FINAL,
        _spam("HipNotify, ShowTierUpgrade"),
        "account verification_required",
    ),
    Row("hip_send", Step.FINAL, _spam("HipSend"), "account verification_required"),
    Row("throttled", Step.FINAL, _spam("Throttle"), "transient sender_throttled"),
    Row("unknown_verdict", Step.FINAL, _spam("HoldForReview"), "quota sending_quota"),
    Row("suspended", Step.FINAL, _spam("Suspend"), "account suspended"),
    Row("suspended_upgrade", Step.FINAL, _spam("Suspend, ShowTierUpgrade"), "account suspended"),
    Row(
        "submission_quota_store",
        Step.FINAL,
        f"554 5.2.0 {STORE}SubmissionQuotaExceededException; {FAILED} "
        "[BeginDiagnosticData]The message can't be submitted because the sender's submission "
        f"quota was exceeded.[EndDiagnosticData] {BACK}",
        "quota daily_limit",
    ),
    Row(
        "submission_quota",
        Step.FINAL,
        f"550 5.2.2 Submission quota exceeded {BACK}",
        "quota daily_limit",
    ),
    Row(
        "daily_limit",
        Step.FINAL,
        "550 5.1.90 Your message can't be sent because you've reached your daily limit for "
        f"message recipients {BACK}",
        "quota daily_limit",
    ),
    Row(
        "mailbox_full",
        Step.FINAL,
        f"554 5.2.2 mailbox full; {STORE}QuotaExceededException.MapiExceptionQuotaExceeded; "
        f"{FAILED} {CANNOT_SUBMIT} {BACK}",
        "account mailbox_full",
    ),
    Row(
        "mailbox_full_visit",
        Step.FINAL,
        "554 5.2.2 Mailbox full. Visit https://aka.ms/mailboxfull for more information.; "
        f"{STORE}QuotaExceededException.MapiExceptionQuotaExceeded; {FAILED} {CANNOT_SUBMIT} "
        f"{BACK}",
        "account mailbox_full",
    ),
    Row(
        "bad_outbound_sender",
        Step.FINAL,
        f"550 5.1.8 Access denied, bad outbound sender AS(42004) {BACK}",
        "account sender_blocked",
    ),
    Row(
        "spam_abuse",
        Step.FINAL,
        f"550 5.7.501 Access denied, spam abuse detected {BACK}",
        "account sender_blocked",
    ),
    Row(
        "banned_sender_502",
        Step.FINAL,
        f"550 5.7.502 Access denied, banned sender {BACK}",
        "account sender_blocked",
    ),
    Row(
        "banned_sender_503",
        Step.FINAL,
        f"550 5.7.503 Access denied, banned sender {BACK}",
        "account sender_blocked",
    ),
    Row(
        "banned_sender_511",
        Step.FINAL,
        f"550 5.7.511 Access denied, banned sender {BACK}",
        "account sender_blocked",
    ),
    Row(
        "tenant_threshold",
        Step.FINAL,
        f"550 5.7.705 Access denied, tenant has exceeded threshold {BACK}",
        "account sender_blocked",
    ),
    Row(
        "traffic_not_accepted",
        Step.FINAL,
        f"550 5.7.708 Access denied, traffic not accepted from this IP {BACK}",
        "account sender_blocked",
    ),
    *(
        Row(
            f"throttled_{name}",
            Step.FINAL,
            f"550 5.2.{detail} Sender throttled due to continuous {reason} errors. {BACK}",
            f"account {problem}",
        )
        for name, detail, reason, problem in (
            ("mailbox_full", 251, "mailbox full", "mailbox_full"),
            ("send_as_denied", 252, "send as denied", "sender_throttled"),
            ("license", 253, "invalid license", "sender_throttled"),
            ("too_many_recipients", 254, "too many recipients", "sender_throttled"),
            ("invalid_recipients", 255, "invalid recipients", "sender_throttled"),
        )
    ),
    Row(
        "tenant_external_limit",
        Step.FINAL,
        "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit for "
        f"sending email to external recipients (tenant external recipient rate limit) {BACK}",
        "quota daily_limit",
    ),
    Row(
        "onmicrosoft_limit",
        Step.RCPT,
        "550 5.7.236 Messages of onmicrosoft.com addresses to external recipients are limited "
        + FRONT,
        "quota daily_limit",
    ),
    Row(
        "unregistered_domain",
        Step.FINAL,
        "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains "
        + BACK,
        "account sender_blocked",
    ),
    Row(
        "other_limit",
        Step.FINAL,
        f"550 5.7.299 Something else of the sender {BACK}",
        "account sender_blocked",
    ),
    Row(
        "other_block",
        Step.MAIL,
        f"550 5.7.799 Something else of the tenant {FRONT}",
        "account sender_blocked",
    ),
)
