"""The schedule: rate limit, back-off and holds."""

from dataclasses import replace
import json
from math import inf
import time
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.outbox import schedule as schedule_module
from custom_components.outlook_smtp.outbox.schedule import (
    Hold,
    RateLimiter,
    Schedule,
    delay_after,
    read_hold,
    write_hold,
)
from tests.promises import (
    BURST,
    FIRST_DELAY,
    JITTER,
    LAST_DELAY,
    LOCK_HOURS,
    LONGEST_DELAY,
    LONGEST_HOLD,
    MAX_AUTH_FAILURES,
    PER_MINUTE,
    PROBE_AFTER,
)

NOW = 1000.0
INTERVAL = 60 / (PER_MINUTE - BURST)
ROUNDING = 1e-6

BUSY = Fault(Kind.TRANSIENT, Problem.SERVER_BUSY, 451)
AUTH_FAILURE = Fault(Kind.TRANSIENT, Problem.TEMPORARY_AUTH_FAILURE, 451)
WRONG_PASSWORD = Fault(Kind.CREDENTIALS, Problem.INVALID_CREDENTIALS, 535)
SUSPENDED = Fault(Kind.ACCOUNT, Problem.SUSPENDED, 554)
SETUP = Fault(Kind.SETUP, Problem.NOT_SMTP)
PASSWORDS_OFF = Fault(Kind.ACCOUNT, Problem.BASIC_AUTH_DISABLED, 535)
LOCKED = Fault(Kind.ACCOUNT, Problem.ACCOUNT_LOCKED, 535)
GIVEN_UP = Fault(Kind.CREDENTIALS, Problem.TEMPORARY_AUTH_FAILURE, 451)
REFUSED = Fault(Kind.MESSAGE, Problem.MESSAGE_REFUSED, 554)
SENDING_QUOTA = Fault(Kind.QUOTA, Problem.SENDING_QUOTA, 554)
DAILY_LIMIT = Fault(Kind.QUOTA, Problem.DAILY_LIMIT, 550, "5.1.90", "It is enough")
OTHER_QUOTA = Fault(Kind.QUOTA, Problem.UNEXPECTED_REPLY, 550)
FAULTS = (
    BUSY,
    AUTH_FAILURE,
    WRONG_PASSWORD,
    LOCKED,
    SUSPENDED,
    SETUP,
    REFUSED,
    SENDING_QUOTA,
    DAILY_LIMIT,
    OTHER_QUOTA,
)


@pytest.fixture
def schedule() -> Schedule:
    """Return a schedule without a rate limit."""
    return Schedule(RateLimiter(per_minute=0))


def test_delays_double_from_a_quarter_of_a_minute_to_half_an_hour() -> None:
    """Each consecutive failure doubles the delay, up to a limit that is never exceeded."""
    delays = [delay_after(failures) for failures in range(1, 10)]
    assert delays == [15, 30, 60, 120, 240, 480, 960, 1800, 1800]
    assert delay_after(10**6) == LAST_DELAY


@pytest.mark.parametrize("end", [1 - JITTER, 1 + JITTER])
def test_jitter_shortens_or_lengthens_a_delay_by_a_fifth(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch, end: float
) -> None:
    """Many installations do not retry at the same moment."""
    ends: list[tuple[float, float]] = []

    def uniform(*between: float) -> float:
        ends.append((between[0], between[1]))
        return end

    monkeypatch.setattr(schedule_module, "uniform", uniform)
    for failures in range(1, 10):
        schedule.fail(BUSY, NOW, submitting=False)
        assert schedule.due == NOW + delay_after(failures) * end
    assert set(ends) == {(0.8, 1.2)}
    assert schedule.due <= NOW + LONGEST_DELAY


@pytest.mark.parametrize("submitting", [False, True])
def test_new_mail_and_a_sign_in_reset_the_back_off(schedule: Schedule, *, submitting: bool) -> None:
    """The next failure starts with the shortest delay again."""
    for reset in (
        schedule.reset_backoff,
        schedule.flush,
        lambda: schedule.succeed(NOW, submitting=submitting),
        lambda: schedule.fail(REFUSED, NOW, submitting=submitting),
    ):
        for _ in range(5):
            schedule.fail(BUSY, NOW, submitting=True)
        reset()
        assert schedule.due == -inf
        schedule.fail(BUSY, NOW, submitting=True)
        assert schedule.due <= NOW + FIRST_DELAY * (1 + JITTER)


def test_no_new_mail_shortens_the_time_that_a_server_asked_for(schedule: Schedule) -> None:
    """Only a person who asks for a try does; and no server may ask for more than a day."""
    schedule.fail(replace(BUSY, retry_after=120.0), NOW, submitting=True)
    schedule.reset_backoff()
    assert schedule.due == NOW + 120.0
    schedule.succeed(NOW, submitting=False)
    assert schedule.due == NOW + 120.0
    schedule.flush()
    assert schedule.due == -inf
    schedule.fail(replace(BUSY, retry_after=1e9), NOW, submitting=True)
    assert schedule.due == NOW + LONGEST_HOLD
    schedule.fail(replace(BUSY, retry_after=0.0), NOW + LONGEST_HOLD, submitting=True)
    assert schedule.due == pytest.approx(
        NOW + LONGEST_HOLD + 2 * FIRST_DELAY, abs=2 * FIRST_DELAY * JITTER
    )


@pytest.mark.parametrize(
    ("asked", "length"), [(0.0, LAST_DELAY), (7200.0, 7200.0), (1e9, LONGEST_HOLD)]
)
def test_a_quota_is_held_until_the_time_that_the_server_named(
    schedule: Schedule, asked: float, length: float
) -> None:
    """But no sooner than the back-off would; a restart does not change that."""
    fault = replace(DAILY_LIMIT, retry_after=asked)
    now = time.monotonic()
    schedule.fail(fault, now, submitting=True)
    assert schedule.due == pytest.approx(now + length)
    again = Schedule()
    again.read(json.loads(json.dumps(schedule.write())))
    assert again.due == pytest.approx(now + length, abs=1.0)
    assert again.mail_hold
    assert again.mail_hold.fault == fault


@pytest.mark.parametrize("kept", [-1.0, "soon", None, [], float("nan")])
def test_what_is_no_time_is_none_that_a_server_named(kept: object) -> None:
    """A file that somebody changed holds as long as its problem does."""
    written = write_hold(Hold(DAILY_LIMIT, time.monotonic() + 2 * LONGEST_HOLD, submitting=True))
    hold = read_hold(written | {"retry_after": kept})
    assert hold
    assert hold.fault == DAILY_LIMIT
    assert hold.until == pytest.approx(time.monotonic() + LONGEST_HOLD, abs=1.0)


def test_burst_is_immediate_and_the_rest_even() -> None:
    """Five messages are sent at once, then one every 2.4 s."""
    schedule = Schedule()
    for _ in range(BURST):
        assert schedule.due <= NOW
        schedule.start(NOW)
    for number in range(1, 50):
        assert schedule.due == pytest.approx(NOW + number * INTERVAL)
        schedule.start(schedule.due)


def test_quiet_minute_allows_no_more_than_a_burst() -> None:
    """Unused capacity is not accumulated."""
    schedule = Schedule()
    schedule.start(NOW)
    for _ in range(BURST):
        assert schedule.due <= NOW + 3600
        schedule.start(NOW + 3600)
    assert schedule.due > NOW + 3600


def test_no_rate_limiter_means_no_limit(schedule: Schedule) -> None:
    """A rate of zero per minute means unlimited."""
    for _ in range(1000):
        assert schedule.due <= NOW
        schedule.start(NOW)


@pytest.mark.parametrize(
    ("fault", "submitting", "hold"),
    [
        (WRONG_PASSWORD, False, Hold(WRONG_PASSWORD)),
        (WRONG_PASSWORD, True, Hold(WRONG_PASSWORD)),
        (LOCKED, False, Hold(LOCKED)),
        (LOCKED, True, Hold(LOCKED)),
        (SETUP, False, Hold(SETUP)),
        (SETUP, True, Hold(SETUP)),
        (SUSPENDED, False, Hold(SUSPENDED)),
        (SUSPENDED, True, Hold(SUSPENDED, NOW + PROBE_AFTER, submitting=True)),
        (SENDING_QUOTA, True, Hold(SENDING_QUOTA, NOW + 4 * 3600, submitting=True)),
        (DAILY_LIMIT, True, Hold(DAILY_LIMIT, NOW + 24 * 3600, submitting=True)),
        (OTHER_QUOTA, True, Hold(OTHER_QUOTA, NOW + LONGEST_HOLD, submitting=True)),
        (BUSY, True, None),
        (REFUSED, True, None),
    ],
)
def test_each_kind_of_fault_has_its_hold(
    schedule: Schedule, fault: Fault, *, submitting: bool, hold: Hold | None
) -> None:
    """Temporary holds end with a retry; others have no end."""
    schedule.fail(fault, NOW, submitting=submitting)
    assert schedule.hold == hold
    if hold:
        assert schedule.due == hold.until


def test_check_only_ends_holds_of_the_sign_in(
    schedule: Schedule,
) -> None:
    """A check proves that the account can sign in, not that it may send."""
    schedule.fail(DAILY_LIMIT, NOW, submitting=True)
    schedule.fail(WRONG_PASSWORD, NOW, submitting=False)
    assert schedule.due == inf
    schedule.succeed(NOW + 60, submitting=False)
    assert schedule.due == NOW + LONGEST_HOLD
    schedule.succeed(NOW + LONGEST_HOLD, submitting=False)
    assert schedule.hold is None


def test_accepted_message_ends_every_hold(schedule: Schedule) -> None:
    """A retry was requested before the end, and it succeeded."""
    schedule.fail(WRONG_PASSWORD, NOW, submitting=False)
    schedule.fail(SENDING_QUOTA, NOW, submitting=True)
    schedule.succeed(NOW, submitting=True)
    assert schedule.due == -inf


def test_repeated_try_again_counts_as_refused_credentials(
    schedule: Schedule,
) -> None:
    """The tenth in a row and later ones do; those retried because of new mail count once."""
    for number in range(MAX_AUTH_FAILURES - 1):
        for delay in (0, 1, 10):
            now = NOW + number * FIRST_DELAY + delay
            assert schedule.escalate(AUTH_FAILURE, now) is AUTH_FAILURE
    for number in range(MAX_AUTH_FAILURES, MAX_AUTH_FAILURES + 2):
        fault = schedule.escalate(AUTH_FAILURE, NOW + number * FIRST_DELAY)
        assert fault.kind is Kind.CREDENTIALS
        assert fault.problem is Problem.TEMPORARY_AUTH_FAILURE


@pytest.mark.parametrize("fault", [None, BUSY, REFUSED, SUSPENDED, SENDING_QUOTA])
def test_authentication_clears_the_holds_of_the_sign_in(
    schedule: Schedule, fault: Fault | None
) -> None:
    """Whatever the fate of the submitted message, the sign-in works."""
    for number in range(MAX_AUTH_FAILURES - 1):
        schedule.escalate(AUTH_FAILURE, NOW + number * FIRST_DELAY)
    later = NOW + MAX_AUTH_FAILURES * FIRST_DELAY
    assert schedule.escalate(BUSY, later) is BUSY
    if fault:
        schedule.fail(fault, NOW, submitting=True)
    else:
        schedule.succeed(NOW, submitting=False)
    assert schedule.escalate(AUTH_FAILURE, later) is AUTH_FAILURE


def test_locked_account_waits_twice_as_long_each_time(
    schedule: Schedule,
) -> None:
    """Requested retries do not lengthen it; a successful sign-in resets it."""
    now, waits = NOW, []
    for _ in range(5):
        schedule.fail(LOCKED, now, submitting=False)
        waits.append((schedule.check_at - now) / 3600)
        early = now + 60
        schedule.fail(LOCKED, early, submitting=False)
        assert schedule.check_at - early == waits[-1] * 3600
        now = schedule.check_at
    assert waits == LOCK_HOURS
    schedule.succeed(now, submitting=False)
    schedule.fail(LOCKED, now, submitting=False)
    assert schedule.check_at == now + LOCK_HOURS[0] * 3600


@pytest.mark.parametrize("fault", [WRONG_PASSWORD, LOCKED, GIVEN_UP, PASSWORDS_OFF])
@pytest.mark.parametrize("met", [BUSY, SETUP])
def test_flush_tries_refused_credentials(schedule: Schedule, fault: Fault, met: Fault) -> None:
    """A fault on the way to the server proves nothing: the refusal stays."""
    schedule.fail(fault, NOW, submitting=False)
    check_at = schedule.check_at
    assert check_at > NOW
    schedule.flush()
    assert schedule.due <= NOW
    schedule.fail(met, NOW, submitting=False)
    assert (schedule.due, schedule.check_at) == (inf, check_at)
    assert schedule.refusal == fault


@pytest.mark.parametrize("fault", [WRONG_PASSWORD, LOCKED, SETUP, None])
@pytest.mark.parametrize("quota", [DAILY_LIMIT, None])
def test_refusal_survives_a_restart(
    schedule: Schedule, fault: Fault | None, quota: Fault | None
) -> None:
    """It is cleared only when something else signs in; temporary holds are stored next to it."""
    now = time.monotonic()
    if quota:
        schedule.fail(quota, now, submitting=True)
    if fault:
        schedule.fail(fault, now, submitting=False)
    again, anew = Schedule(), Schedule()
    written = json.loads(json.dumps(schedule.write()))
    again.read(written)
    anew.read(written, credentials_changed=True)
    assert again.refusal == schedule.refusal
    assert again.check_at == pytest.approx(schedule.check_at)
    assert (again.mail_hold and again.mail_hold.fault) == quota
    assert (anew.mail_hold and anew.mail_hold.fault) == quota
    assert anew.sign_in_hold is None
    if fault is LOCKED:
        again.fail(LOCKED, again.check_at, submitting=False)
        assert again.check_at == pytest.approx(now + sum(LOCK_HOURS[:2]) * 3600, abs=1)


@pytest.mark.parametrize(("fault", "is_kept"), [(DAILY_LIMIT, True), (SUSPENDED, False)])
def test_hold_of_the_account_ends_when_the_user_acts(
    schedule: Schedule, fault: Fault, *, is_kept: bool
) -> None:
    """A different sign-in or route deserves a try at once; a quota belongs to the mailbox."""
    schedule.fail(fault, time.monotonic(), submitting=True)
    restored = Schedule()
    restored.read(schedule.write(), credentials_changed=True)
    assert (restored.mail_hold is not None) is is_kept


def test_check_that_is_throttled_delays_messages(schedule: Schedule) -> None:
    """Whatever was answered, the server asked to be left alone."""
    schedule.wait(replace(BUSY, retry_after=120.0), NOW)
    assert schedule.due == NOW + 120.0
    schedule.wait(BUSY, NOW)
    assert schedule.due == NOW + 120.0


@pytest.mark.parametrize("kept", [{"locks": "many"}, {"until": "never"}, None, [], "refused"])
def test_invalid_refusal_is_ignored(schedule: Schedule, kept: Any) -> None:
    """An edited file is ignored, or treated as one written now."""
    schedule.fail(LOCKED, time.monotonic(), submitting=False)
    written = schedule.write()
    again = Schedule()
    again.read({"sign_in": written["sign_in"] | kept if isinstance(kept, dict) else kept})
    assert bool(again.refusal) is (kept == {"locks": "many"})


@pytest.mark.parametrize(
    ("fault", "length"),
    [
        (SUSPENDED, PROBE_AFTER),
        (SENDING_QUOTA, 4 * 3600),
        (DAILY_LIMIT, LONGEST_HOLD),
        (OTHER_QUOTA, LONGEST_HOLD),
    ],
)
@pytest.mark.parametrize("jump", [-365 * 86_400.0, -60.0, 0.0, 60.0])
def test_hold_is_never_longer_than_its_original_length(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, length: float, jump: float
) -> None:
    """A clock that was set back does not extend a hold beyond its original length."""
    clock = {"time": 1.8e9, "monotonic": NOW}
    monkeypatch.setattr(time, "time", lambda: clock["time"])
    monkeypatch.setattr(time, "monotonic", lambda: clock["monotonic"])
    written = write_hold(Hold(fault, NOW + length, submitting=True))
    clock |= {"time": 1.8e9 + jump, "monotonic": 5.0}
    expected = 5.0 + min(length - jump, length)
    assert read_hold(written) == Hold(fault, expected, submitting=True)


def test_ended_hold_is_ignored(schedule: Schedule) -> None:
    """A clock that was set forward ends it; the next attempt shows whether that is right."""
    schedule.mail_hold = read_hold(write_hold(Hold(DAILY_LIMIT, -inf, submitting=True)))
    assert schedule.mail_hold
    assert schedule.due == -inf
    assert write_hold(None) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"until": None},
        {"until": "tomorrow"},
        {"until": 10**400},
        {"until": float("nan")},
        {"kind": "new"},
        {"problem": ["daily_limit"]},
    ],
    ids=str,
)
def test_invalid_hold_is_ignored(change: dict[str, Any]) -> None:
    """A file that was edited, or is from another version, is ignored."""
    written = {
        "until": inf,
        "kind": "quota",
        "problem": "daily_limit",
        "code": 550,
        "enhanced": "5.1.90",
        "text": "It is enough",
    }
    assert read_hold(written)
    assert read_hold(written | change) is None
    assert read_hold({name: written[name] for name in written if name not in change}) is None


class AnySequence(RuleBasedStateMachine):
    """Whatever happens in whatever order, the schedule keeps its guarantees."""

    def __init__(self) -> None:
        """Start without obstacles."""
        super().__init__()
        self.schedule = Schedule()
        self.now = NOW
        self.starts: list[float] = []

    @rule(seconds=st.floats(0, 3 * LONGEST_HOLD) | st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @precondition(lambda self: self.schedule.due < inf)
    @rule(fault=st.sampled_from(FAULTS) | st.none(), submitting=st.booleans())
    def try_a_message(self, fault: Fault | None, *, submitting: bool) -> None:
        """Try a message as soon as it is due."""
        self.now = max(self.now, self.schedule.due)
        self.schedule.start(self.now)
        self.starts.append(self.now)
        if fault is None:
            self.schedule.succeed(self.now, submitting=True)
        else:
            self.schedule.fail(
                self.schedule.escalate(fault, self.now), self.now, submitting=submitting
            )

    @rule(fault=st.sampled_from((AUTH_FAILURE, WRONG_PASSWORD, LOCKED, SUSPENDED, SETUP)))
    def check_fails(self, fault: Fault) -> None:
        """A check fails at the sign-in."""
        held = self.schedule.mail_hold
        self.schedule.fail(self.schedule.escalate(fault, self.now), self.now, submitting=False)
        assert self.schedule.mail_hold is held

    @rule()
    def check_succeeds(self) -> None:
        """A check signs in: a hold from a message does not end early."""
        held = self.schedule.mail_hold
        self.schedule.succeed(self.now, submitting=False)
        assert self.schedule.sign_in_hold is None
        if held and self.now < held.until:
            assert self.schedule.due >= held.until

    @rule()
    def mail_is_added(self) -> None:
        """New mail arrives: only holds and the rate limit remain."""
        self.schedule.reset_backoff()
        assert self.schedule.hold or self.schedule.due <= self.now + INTERVAL + ROUNDING

    @rule()
    def somebody_asks_for_a_try(self) -> None:
        """A flush: only the rate limit remains."""
        self.schedule.flush()
        assert self.schedule.hold is None
        assert self.schedule.due <= self.now + INTERVAL + ROUNDING

    @invariant()
    def no_wait_is_longer_than_it_may_be(self) -> None:
        """Only holds that need a person have no end."""
        if self.schedule.hold and self.schedule.hold is self.schedule.sign_in_hold:
            assert self.schedule.due == inf
        elif self.schedule.mail_hold:
            assert self.schedule.due <= self.now + LONGEST_HOLD
        else:
            assert self.schedule.due <= self.now + LONGEST_DELAY

    @invariant()
    def no_check_signs_in_with_what_is_refused(self) -> None:
        """Refused credentials wait for a person, a locked account for hours, others not at all."""
        if self.schedule.refusal is None:
            assert self.schedule.check_at == -inf
        elif self.schedule.refusal in (LOCKED, GIVEN_UP):
            assert self.schedule.check_at <= self.now + LONGEST_HOLD
        else:
            assert self.schedule.check_at == inf

    @invariant()
    def no_minute_sees_more_than_its_share(self) -> None:
        """Five at once, thirty a minute, and evenly: no interval exceeds its share."""
        last = self.starts[-PER_MINUTE - BURST :]
        for count, start in enumerate(reversed(last), 1):
            span = last[-1] - start if last else 0.0
            assert count <= BURST + span / INTERVAL + ROUNDING
            assert count <= PER_MINUTE or span > 60 - ROUNDING


AnySequence.TestCase.settings = settings(max_examples=50, stateful_step_count=60)
TestAnySequence = AnySequence.TestCase
