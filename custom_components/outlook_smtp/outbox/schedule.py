"""When the next try is due: rate limit, back-off and holds, as arithmetic on a clock's seconds.

All times are those of a clock that never jumps, in seconds, except in what is kept for after a
restart.
"""

from dataclasses import dataclass, replace
from math import inf, isnan
from random import uniform
import time
from typing import Any, Final

from ..delivery.faults import Fault, Kind, Problem

PER_MINUTE: Final = 30  # Messages; Microsoft's limit for one mailbox.
BURST: Final = 5  # Messages that may go at once; the rest of the minute's share is spread evenly.
FIRST_DELAY: Final = 15.0
LAST_DELAY: Final = 1800.0
JITTER: Final = 0.2  # The part of a delay by which it is longer or shorter, at random.
LONGEST_DELAY: Final = LAST_DELAY * (1 + JITTER)
PROBE_AFTER: Final = 3600.0
# What Microsoft counts over a day is given a day; the tiers of young accounts are eased sooner.
QUOTA_HOLDS: Final[dict[Problem, float]] = {
    Problem.DAILY_LIMIT: 86_400.0,
    Problem.SENDING_QUOTA: 14_400.0,
}
LONGEST_HOLD: Final = max(QUOTA_HOLDS.values())
EARLY_LOOK: Final = 5.0  # Seconds until a second look at what may be over at any moment.
FIRST_MINUTE: Final = 60.0
# What stands between a machine and its server while both the clock is being set and the router,
# or the portal of a hotel, answers in the place of every server.
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
# An answer of this kind may hide that the sign-in is refused for good.
MAX_AUTH_FAILURES: Final = 10
# How long what may end by itself is left alone: trying too often is what locks an account.
LOCK_DELAY: Final = 14_400.0
LONGEST_LOCK: Final = 86_400.0

_SIGN_IN: Final = "sign_in"  # Where the file of a hold says what was refused.
_LOCKS: Final = (Problem.ACCOUNT_LOCKED, Problem.TEMPORARY_AUTH_FAILURE)
# With these it does not matter which password it is.
_REFUSED_PASSWORDS: Final = (Problem.BASIC_AUTH_DISABLED, Problem.SECURITY_DEFAULTS)


def delay_after(failures: int, first: float | None = None) -> float:
    """Return how long to wait after so many failures in a row, without jitter."""
    return min((first or FIRST_DELAY) * 2.0 ** min(failures - 1, 16), LAST_DELAY)


def is_soon_over(fault: Fault) -> bool:
    """Return whether a passing fault deserves a second look within seconds."""
    return fault.problem is Problem.CLOCK_WRONG or fault.problem in AT_START


def hold_length(fault: Fault) -> float:
    """Return for how long no message is tried after a fault that one has met."""
    if fault.kind is Kind.QUOTA:
        return QUOTA_HOLDS.get(fault.problem, LONGEST_HOLD)
    return PROBE_AFTER


def delay_after_lock(locks: int) -> float:
    """Return how long to leave a locked account alone after so many tries that found it locked."""
    return min(LOCK_DELAY * 2.0 ** min(locks - 1, 16), LONGEST_LOCK)


def is_refusal(fault: Fault) -> bool:
    """Return whether the same sign-in would be refused again, and might lock the account."""
    refusals = (*_REFUSED_PASSWORDS, Problem.ACCOUNT_LOCKED)
    return fault.kind is Kind.CREDENTIALS or fault.problem in refusals


class RateLimiter:
    """Spreads messages so that no minute sees more than its share (a leaky bucket as a meter)."""

    def __init__(self, per_minute: int = PER_MINUTE, burst: int = BURST) -> None:
        """Allow a burst at once and the rest evenly; 0 messages a minute stand for no limit."""
        self._interval = 60.0 / (per_minute - burst) if per_minute else 0.0
        self._tolerance = self._interval * (burst - 1)
        self.level = -inf

    def free_at(self) -> float:
        """Return when the next message may go."""
        return self.level - self._tolerance

    def take(self, now: float) -> None:
        """Note that a message goes."""
        self.level = max(self.level, now) + self._interval

    def resume(self, level: float, now: float) -> None:
        """Go on from the level before a restart, which is never more than a burst just sent."""
        self.level = min(level, now + self._tolerance + self._interval)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that stands in the way of all messages.

    `until` is when the next message is tried all the same, endless where only a check, another
    sign-in or a person ends it. `submitting` says that the account is authenticated but may not
    send, so that only a message that is accepted proves the end.
    """

    fault: Fault
    until: float = inf
    submitting: bool = False


class Schedule:
    """Decides for one account, from how the last meetings with the server went."""

    def __init__(self, rate_limiter: RateLimiter | None = None) -> None:
        """Start with nothing in the way."""
        self.sign_in_hold: Hold | None = None
        self.mail_hold: Hold | None = None
        self.retry_at = -inf
        self.check_at = -inf  # Until then no check signs in by itself with what was refused.
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
        """Return what holds the messages, the sign-in before the right to send."""
        return (None if self._asked else self.sign_in_hold) or self.mail_hold

    @property
    def refusal(self) -> Fault | None:
        """Return why the sign-in was refused, if it would be refused again."""
        hold = self.sign_in_hold
        return hold.fault if hold and is_refusal(hold.fault) else None

    @property
    def due(self) -> float:
        """Return when the next message may be tried."""
        holds = (None if self._asked else self.sign_in_hold, self.mail_hold)
        held = max(hold.until if hold else -inf for hold in holds)
        return max(self.retry_at, self.rate_limiter.free_at(), held)

    def begin(self, now: float) -> None:
        """Note that Home Assistant has just started: the network around it may have, too."""
        self._started_at = now

    def after_others(self, deferrals: int, now: float) -> float:
        """Return when a message that was deferred so often is tried, after the others were."""
        delay = delay_after(max(deferrals, 1))
        return min(max(now, self.retry_at) + delay, now + LONGEST_DELAY)

    def start(self, now: float) -> None:
        """Note that a message is tried."""
        self.rate_limiter.take(now)

    def reset_backoff(self) -> None:
        """Forget the back-off: there is new mail."""
        self._failures = 0
        self.retry_at = -inf

    def flush(self) -> None:
        """Forget the back-off and what holds the mail: somebody asks for a try now.

        What was refused is tried once, and stays refused unless that goes well.
        """
        self.reset_backoff()
        self.mail_hold = None
        self._asked = self.refusal is not None
        if not self._asked:
            self.sign_in_hold = None

    def escalate(self, fault: Fault, now: float) -> Fault:
        """Return what a fault is after those before it.

        An endless "try again" as the answer to the sign-in becomes a matter of the credentials.
        Tries that new mail brought forward count once. What a portal answers in the first minute
        passes until the second look.
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
        """Return whether what was met so soon after the start deserves a second look."""
        if self._doubted_at is None and now < self._started_at + FIRST_MINUTE:
            self._doubted_at = now
        return self._doubted_at is not None and now < self._doubted_at + EARLY_LOOK * (1 - JITTER)

    def succeed(self, now: float, *, submitting: bool) -> None:
        """Note that the account was authenticated, and whether a message was accepted."""
        self._let_in()
        self.reset_backoff()
        if self.mail_hold and (submitting or now >= self.mail_hold.until):
            self.mail_hold = None

    def fail(self, fault: Fault, now: float, *, submitting: bool) -> None:
        """Note what stood in the way, and whether that was met when a message was handed in."""
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
                first = EARLY_LOOK if is_soon_over(fault) else FIRST_DELAY
                delay = delay_after(self._failures, first)
                self.retry_at = now + delay * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            case Kind.QUOTA | Kind.ACCOUNT if submitting or fault.kind is Kind.QUOTA:
                self.mail_hold = Hold(fault, now + hold_length(fault), submitting=True)
            case Kind.SETUP if self.refusal:
                pass  # Met on the way to the server, it says nothing about what was refused.
            case _:
                self.sign_in_hold = Hold(fault)
                self.check_at = -inf

    def _refuse(self, fault: Fault, now: float) -> None:
        """Hold all until somebody acts, or until a lock may be over.

        A try that somebody asked for before its time does not lengthen the wait.
        """
        if fault.problem not in _LOCKS:
            self.check_at = inf
        else:
            self._locks += 1 if now >= self.check_at or not self._locks else 0
            self.check_at = now + delay_after_lock(self._locks)
        self.sign_in_hold = Hold(fault)

    def _let_in(self) -> None:
        """Note that the sign-in works."""
        self._auth_failures = self._locks = 0
        self._asked = False
        self.sign_in_hold = None
        self.check_at = -inf

    @property
    def kept(self) -> object:
        """Return what is to be known after a restart; another one than before is to be written."""
        return self.mail_hold, self.refusal, self.check_at if self.refusal else None

    def write(self) -> dict[str, Any]:
        """Return what is kept for after a restart: what ends by itself, and what was refused."""
        values = write_hold(self.mail_hold)
        if self.refusal:
            until = time.time() + self.check_at - time.monotonic()
            kept = {"until": until, "locks": self._locks}
            values[_SIGN_IN] = write_hold(self.sign_in_hold) | kept
        return values

    def read(self, values: dict[str, Any], *, signed_in_anew: bool = False) -> None:
        """Take up what was kept, except a refusal of what no longer signs in."""
        self.mail_hold = read_hold(values)
        if not signed_in_anew:
            self._read_refusal(values.get(_SIGN_IN, {}))

    def _read_refusal(self, values: dict[str, Any]) -> None:
        """Take up what was refused before a restart, if anything was kept of it."""
        if hold := read_hold(values, LONGEST_LOCK):
            self.sign_in_hold = Hold(hold.fault)
            self.check_at = inf if values["until"] == inf else hold.until
            locks = values.get("locks")
            self._locks = locks if isinstance(locks, int) else 1


def write_hold(hold: Hold | None) -> dict[str, Any]:
    """Return what is kept of a hold: its end by the time of day, and why."""
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
    }


def read_hold(values: dict[str, Any], longest: float | None = None) -> Hold | None:
    """Return the hold that was kept, even if it is over; no clock makes it longer than it was.

    Args:
        values: What `write_hold` returned.
        longest: How long it may last at most, in seconds; by its fault when None.

    """
    try:
        left = float(values["until"]) - time.time()
        fault = Fault(
            Kind(values["kind"]),
            Problem(values["problem"]),
            values["code"],
            values["enhanced"],
            str(values["text"]),
        )
    except KeyError, OverflowError, TypeError, ValueError:
        return None
    if isnan(left):
        return None
    left = min(left, hold_length(fault) if longest is None else longest)
    return Hold(fault, time.monotonic() + left, submitting=True)
