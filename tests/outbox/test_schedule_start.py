"""The schedule in the first minute: what may soon be over is tried again within seconds."""

import pytest

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem
from custom_components.outlook_smtp.outbox import schedule as schedule_module
from custom_components.outlook_smtp.outbox.schedule import RateLimiter, Schedule
from tests.promises import EARLY_LOOK, FIRST_MINUTE, LAST_DELAY

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
    """Return a schedule that has just begun, without jitter and without a rate limit."""
    monkeypatch.setattr(schedule_module, "uniform", lambda *_: 1.0)
    schedule = Schedule(RateLimiter(per_minute=0))
    schedule.begin(NOW)
    return schedule


def test_a_wrong_clock_is_looked_at_within_seconds_and_then_ever_more_rarely(
    schedule: Schedule,
) -> None:
    """It holds nothing, and a server is not asked every second for days."""
    delays: list[float] = []
    for _ in range(11):
        schedule.fail(schedule.escalate(CLOCK_WRONG, NOW), NOW, submitting=False)
        delays.append(schedule.due - NOW)
    assert schedule.hold is None
    assert delays[:4] == [EARLY_LOOK, 10, 20, 40]
    assert delays[-1] == LAST_DELAY


@pytest.mark.parametrize("problem", PORTAL)
def test_a_portal_passes_until_the_second_look(schedule: Schedule, problem: Problem) -> None:
    """Whatever meets it meanwhile, a check or new mail, is part of the first look."""
    fault = Fault(Kind.SETUP, problem)
    met = NOW + FIRST_MINUTE - 1
    for later in (0.0, 0.1, 3.9):
        passing = schedule.escalate(fault, met + later)
        assert passing == Fault(Kind.TRANSIENT, problem)
    schedule.fail(passing, met, submitting=False)
    assert schedule.hold is None
    assert schedule.due == met + EARLY_LOOK
    for later in (4.0, 5.0, 86_400.0):
        assert schedule.escalate(fault, met + later) is fault


@pytest.mark.parametrize("problem", PORTAL)
def test_what_is_met_after_the_first_minute_counts(schedule: Schedule, problem: Problem) -> None:
    """A server that has answered for a minute was changed."""
    fault = Fault(Kind.SETUP, problem)
    assert schedule.escalate(fault, NOW + FIRST_MINUTE) is fault


def test_other_faults_of_the_setup_count_in_the_first_minute_too(schedule: Schedule) -> None:
    """No portal lets anybody sign in."""
    fault = Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED)
    assert schedule.escalate(fault, NOW) is fault
