"""The schedule in the first minute: temporary faults are retried within seconds."""

import pytest

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.outbox import schedule as schedule_module
from custom_components.outlook_smtp.outbox.schedule import RateLimiter, Schedule
from tests.promises import EARLY_CHECK, FIRST_MINUTE, LAST_DELAY

NOW = 1000.0
CLOCK_WRONG = Fault(Kind.TRANSIENT, Problem.CLOCK_WRONG)
PORTAL = (
    Problem.CERTIFICATE_EXPIRED,
    Problem.CERTIFICATE_UNTRUSTED,
    Problem.CERTIFICATE_WRONG_HOST,
    Problem.NOT_SMTP,
    Problem.STARTTLS_NOT_OFFERED,
    Problem.WRONG_SECURITY,
)


@pytest.fixture
def schedule(monkeypatch: pytest.MonkeyPatch) -> Schedule:
    """Return a new schedule without jitter and without a rate limit."""
    monkeypatch.setattr(schedule_module, "uniform", lambda *_: 1.0)
    schedule = Schedule(RateLimiter(per_minute=0))
    schedule.begin(NOW)
    return schedule


def test_wrong_clock_is_retried_within_seconds_then_less_often(
    schedule: Schedule,
) -> None:
    """It causes no hold, and the server is not contacted every second for days."""
    delays: list[float] = []
    for _ in range(11):
        schedule.fail(schedule.escalate(CLOCK_WRONG, NOW), NOW, submitting=False)
        delays.append(schedule.due - NOW)
    assert schedule.hold is None
    assert delays[:4] == [EARLY_CHECK, 10, 20, 40]
    assert delays[-1] == LAST_DELAY


@pytest.mark.parametrize("problem", PORTAL)
def test_portal_is_temporary_until_the_second_attempt(schedule: Schedule, problem: Problem) -> None:
    """Any check or new mail before the second attempt belongs to the first one."""
    fault = Fault(Kind.SETUP, problem)
    met = NOW + FIRST_MINUTE - 1
    for later in (0.0, 0.1, 3.9):
        passing = schedule.escalate(fault, met + later)
        assert passing == Fault(Kind.TRANSIENT, problem)
    schedule.fail(passing, met, submitting=False)
    assert schedule.hold is None
    assert schedule.due == met + EARLY_CHECK
    for later in (4.0, 5.0, 86_400.0):
        assert schedule.escalate(fault, met + later) is fault


@pytest.mark.parametrize("problem", PORTAL)
def test_faults_after_the_first_minute_count(schedule: Schedule, problem: Problem) -> None:
    """A server that has worked for a minute was changed."""
    fault = Fault(Kind.SETUP, problem)
    assert schedule.escalate(fault, NOW + FIRST_MINUTE) is fault


def test_other_setup_faults_count_in_the_first_minute(schedule: Schedule) -> None:
    """No portal accepts a sign-in."""
    fault = Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED)
    assert schedule.escalate(fault, NOW) is fault
