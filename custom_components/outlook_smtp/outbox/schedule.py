"""When the next try is due: rate limit, back-off and holds, computed from clock times.

All times are seconds of the monotonic clock, except in what is saved for after a restart.
"""

from dataclasses import dataclass, replace
from math import inf, isnan
from random import uniform
import time
from typing import Any, Final

from ..delivery.faults import Fault, Kind, Problem

PER_MINUTE: Final = 30  # Messages; Microsoft's limit for one mailbox.
BURST: Final = 5  # Messages that may go at once; the rest are spread evenly over the minute.
FIRST_DELAY: Final = 15.0
LAST_DELAY: Final = 1800.0
JITTER: Final = 0.2  # The fraction of a delay that is added or subtracted at random.
LONGEST_DELAY: Final = LAST_DELAY * (1 + JITTER)
PROBE_AFTER: Final = 3600.0
# Daily limits are held for a day; the quotas of new accounts are raised sooner.
QUOTA_HOLDS: Final[dict[Problem, float]] = {
    Problem.DAILY_LIMIT: 86_400.0,
    Problem.SENDING_QUOTA: 14_400.0,
}
LONGEST_HOLD: Final = max(QUOTA_HOLDS.values())
EARLY_CHECK: Final = 5.0  # Seconds until the second check of a fault that may end at any moment.
FIRST_MINUTE: Final = 60.0
# Faults that are common shortly after a start, while the clock is not set yet and the router or
# a captive portal answers in place of every server.
AT_START: Final = frozenset(
    {
        Problem.CERTIFICATE_EXPIRED,
        Problem.CERTIFICATE_UNTRUSTED,
        Problem.CERTIFICATE_WRONG_HOST,
        Problem.NOT_SMTP,
        Problem.STARTTLS_NOT_OFFERED,
        Problem.WRONG_SECURITY,
    }
)
# So many temporary failures in a row may mean that the sign-in is refused for good.
MAX_AUTH_FAILURES: Final = 10
# Seconds to leave a locked account alone: too many attempts are what locks it.
LOCK_DELAY: Final = 14_400.0
LONGEST_LOCK: Final = 86_400.0

_HELD: Final = "held"  # The key of the user's hold in the hold file.
_SIGN_IN: Final = "sign_in"  # The key of the refused sign-in in the hold file.
_LOCKS: Final = (Problem.ACCOUNT_LOCKED, Problem.TEMPORARY_AUTH_FAILURE)
# With these problems, no password would be accepted.
_REFUSED_PASSWORDS: Final = (Problem.BASIC_AUTH_DISABLED, Problem.SECURITY_DEFAULTS)


def delay_after(failures: int, first: float | None = None) -> float:
    """Return how long to wait after this many failures in a row, without jitter."""
    return min((first or FIRST_DELAY) * 2.0 ** min(failures - 1, 16), LAST_DELAY)


def is_soon_over(fault: Fault) -> bool:
    """Return whether a temporary fault deserves a second check within seconds."""
    return fault.problem is Problem.CLOCK_WRONG or fault.problem in AT_START


def hold_length(fault: Fault) -> float:
    """Return how long to hold all messages after a fault."""
    if fault.kind is Kind.QUOTA:
        if fault.retry_after is not None:
            return min(max(fault.retry_after, LAST_DELAY), LONGEST_HOLD)
        return QUOTA_HOLDS.get(fault.problem, LONGEST_HOLD)
    return PROBE_AFTER


def delay_after_lock(locks: int) -> float:
    """Return how long to leave an account alone after this many tries that found it locked."""
    return min(LOCK_DELAY * 2.0 ** min(locks - 1, 16), LONGEST_LOCK)


def is_refusal(fault: Fault) -> bool:
    """Return whether the same sign-in would be refused again and could lock the account."""
    refusals = (*_REFUSED_PASSWORDS, Problem.ACCOUNT_LOCKED)
    return fault.kind is Kind.CREDENTIALS or fault.problem in refusals


class RateLimiter:
    """Spreads messages so that no minute exceeds the limit (a leaky bucket as a meter)."""

    def __init__(self, per_minute: int = PER_MINUTE, burst: int = BURST) -> None:
        """Allow a burst at once and the rest evenly; 0 messages a minute mean no limit."""
        self._interval = 60.0 / (per_minute - burst) if per_minute else 0.0
        self._tolerance = self._interval * (burst - 1)
        self.level = -inf

    def free_at(self) -> float:
        """Return when the next message may be sent."""
        return self.level - self._tolerance

    def take(self, now: float) -> None:
        """Count a message that is sent."""
        self.level = max(self.level, now) + self._interval

    def resume(self, level: float, now: float) -> None:
        """Continue from the level before a restart, at most that of a burst sent just now."""
        self.level = min(level, now + self._tolerance + self._interval)


@dataclass(frozen=True, slots=True)
class Hold:
    """A fault that blocks all messages.

    `until` is when the next message is tried anyway, infinite if only a check, another sign-in or
    the user can end the hold. `submitting` says that the account is authenticated but may not send,
    so that only an accepted message proves that the hold is over.
    """

    fault: Fault
    until: float = inf
    submitting: bool = False


class Schedule:
    """Decides when to try messages of one account, based on earlier attempts."""

    def __init__(self, rate_limiter: RateLimiter | None = None) -> None:
        """Start without a hold."""
        self.is_held = False  # By the user, until the user releases it.
        self.sign_in_hold: Hold | None = None
        self.mail_hold: Hold | None = None
        self.retry_at = -inf
        self.busy_until = -inf  # Until then the server asked to be left alone.
        self.check_at = -inf  # Until then, no automatic check uses refused credentials.
        self._locks = 0
        self._asked = False
        self.rate_limiter = rate_limiter or RateLimiter()
        self._failures = 0
        self._auth_failures = 0
        self._counted_at = -inf
        self._started_at = -inf
        self._doubted_at: float | None = None

    @property
    def hold(self) -> Hold | None:
        """Return the current hold; one on the sign-in comes first."""
        return (None if self._asked else self.sign_in_hold) or self.mail_hold

    @property
    def refusal(self) -> Fault | None:
        """Return why the sign-in was refused, if it would be refused again."""
        hold = self.sign_in_hold
        return hold.fault if hold and is_refusal(hold.fault) else None

    @property
    def due(self) -> float:
        """Return when the next message may be tried."""
        if self.is_held:
            return inf
        holds = (None if self._asked else self.sign_in_hold, self.mail_hold)
        held = max(hold.until if hold else -inf for hold in holds)
        return max(self.retry_at, self.busy_until, self.rate_limiter.free_at(), held)

    def begin(self, now: float) -> None:
        """Note that Home Assistant has just started, and the network may have, too."""
        self._started_at = now

    def after_others(self, deferrals: int, now: float) -> float:
        """Return when to try a message with this many deferrals, after the others."""
        delay = delay_after(max(deferrals, 1))
        return min(max(now, self.retry_at) + delay, now + LONGEST_DELAY)

    def start(self, now: float) -> None:
        """Count a message that is tried."""
        self.rate_limiter.take(now)

    def reset_backoff(self) -> None:
        """Reset the back-off, for example because of a new message."""
        self._failures = 0
        self.retry_at = -inf

    def flush(self) -> None:
        """Reset the back-off and the holds, because a user asks for a try now.

        A refused sign-in is tried once, and stays refused unless that succeeds.
        """
        self.reset_backoff()
        self.busy_until = -inf
        self.mail_hold = None
        self._asked = self.refusal is not None
        if not self._asked:
            self.sign_in_hold = None

    def escalate(self, fault: Fault, now: float) -> Fault:
        """Return a fault with the kind that it has in view of earlier faults.

        Too many temporary failures of the sign-in become a credentials fault; tries in quick
        succession because of new mail count once. A fault from a captive portal in the first minute
        counts as temporary until the second check.
        """
        if fault.problem in AT_START and self._is_doubtful(now):
            return replace(fault, kind=Kind.TRANSIENT)
        if fault.problem is not Problem.TEMPORARY_AUTH_FAILURE:
            return fault
        if now >= self._counted_at + FIRST_DELAY * (1 - JITTER):
            self._counted_at = now
            self._auth_failures += 1
        if self._auth_failures < MAX_AUTH_FAILURES:
            return fault
        return replace(fault, kind=Kind.CREDENTIALS)

    def _is_doubtful(self, now: float) -> bool:
        """Return whether a fault came so soon after the start that it deserves a second check."""
        if self._doubted_at is None and now < self._started_at + FIRST_MINUTE:
            self._doubted_at = now
        return self._doubted_at is not None and now < self._doubted_at + EARLY_CHECK * (1 - JITTER)

    def succeed(self, now: float, *, submitting: bool) -> None:
        """Record that the account was authenticated, and whether a message was accepted."""
        self._let_in()
        self.reset_backoff()
        if self.mail_hold and (submitting or now >= self.mail_hold.until):
            self.mail_hold = None

    def fail(self, fault: Fault, now: float, *, submitting: bool) -> None:
        """Record a fault, and whether it occurred while submitting a message."""
        self._asked = False
        if submitting:
            self._let_in()
        if is_refusal(fault):
            self._refuse(fault, now)
            return
        match fault.kind:
            case Kind.MESSAGE:
                self.succeed(now, submitting=False)
            case Kind.TRANSIENT:
                self._failures += 1
                first = EARLY_CHECK if is_soon_over(fault) else FIRST_DELAY
                delay = delay_after(self._failures, first)
                self.retry_at = now + delay * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
                self.wait(fault, now)
            case Kind.QUOTA | Kind.ACCOUNT if submitting or fault.kind is Kind.QUOTA:
                self.mail_hold = Hold(fault, now + hold_length(fault), submitting=True)
            case Kind.SETUP if self.refusal:
                pass  # A connection problem says nothing about the refused sign-in.
            case _:
                self.sign_in_hold = Hold(fault)
                self.check_at = -inf

    def wait(self, fault: Fault, now: float) -> None:
        """Wait for as long as the server asked, if it did."""
        if fault.retry_after is not None:
            self.busy_until = now + min(fault.retry_after, LONGEST_HOLD)

    def _refuse(self, fault: Fault, now: float) -> None:
        """Hold all messages until the user acts, or until a lock may be over.

        An early try that the user asked for does not extend the wait.
        """
        if fault.problem not in _LOCKS:
            self.check_at = inf
        else:
            self._locks += 1 if now >= self.check_at or not self._locks else 0
            self.check_at = now + delay_after_lock(self._locks)
        self.sign_in_hold = Hold(fault)

    def _let_in(self) -> None:
        """Record that the sign-in works."""
        self._auth_failures = self._locks = 0
        self._asked = False
        self.sign_in_hold = None
        self.check_at = -inf

    @property
    def kept(self) -> object:
        """Return the state to save for after a restart, to compare it with what was saved last."""
        check_at = self.check_at if self.refusal else None
        return self.is_held, self.mail_hold, self.refusal, check_at

    def write(self) -> dict[str, Any]:
        """Return what to save for a restart: holds with an end or a user's, a refused sign-in."""
        values = write_hold(self.mail_hold)
        if self.is_held:
            values[_HELD] = True
        if self.refusal:
            until = time.time() + self.check_at - time.monotonic()
            kept = {"until": until, "locks": self._locks}
            values[_SIGN_IN] = write_hold(self.sign_in_hold) | kept
        return values

    def read(self, values: dict[str, Any], *, credentials_changed: bool = False) -> None:
        """Restore what was saved, but no refusal of replaced credentials or of an earlier route."""
        self.is_held = values.get(_HELD) is True
        self.mail_hold = read_hold(values)
        if not credentials_changed:
            self._read_refusal(values.get(_SIGN_IN, {}))
        elif self.mail_hold and self.mail_hold.fault.kind is Kind.ACCOUNT:
            self.mail_hold = None  # The user acted, and may have changed the route.

    def _read_refusal(self, values: dict[str, Any]) -> None:
        """Restore the refused sign-in from before a restart, if any."""
        if hold := read_hold(values, LONGEST_LOCK):
            self.sign_in_hold = Hold(hold.fault)
            self.check_at = inf if values["until"] == inf else hold.until
            locks = values.get("locks")
            self._locks = locks if isinstance(locks, int) else 1


def write_hold(hold: Hold | None) -> dict[str, Any]:
    """Return the data to save of a hold: its end on the system clock, and its fault."""
    if hold is None:
        return {}
    fault = hold.fault
    return {
        "until": time.time() + hold.until - time.monotonic(),
        "kind": fault.kind,
        "problem": fault.problem,
        "code": fault.code,
        "enhanced": fault.enhanced,
        "text": fault.text,
        "retry_after": fault.retry_after,
    }


def read_hold(values: dict[str, Any], longest: float | None = None) -> Hold | None:
    """Return the saved hold, even if it is over; a wrong clock cannot make it longer.

    Args:
        values: The result of `write_hold`.
        longest: The longest remaining time in seconds; None means that of its fault.

    """
    try:
        left = float(values["until"]) - time.time()
        fault = Fault(
            Kind(values["kind"]),
            Problem(values["problem"]),
            values["code"],
            values["enhanced"],
            str(values["text"]),
            retry_after=_seconds(values.get("retry_after")),
        )
    except KeyError, OverflowError, TypeError, ValueError:
        return None
    if isnan(left):
        return None
    left = min(left, hold_length(fault) if longest is None else longest)
    return Hold(fault, time.monotonic() + left, submitting=True)


def _seconds(value: object) -> float | None:
    """Return a duration that was kept, if it is one."""
    return float(value) if isinstance(value, int | float) and value >= 0 else None
