"""Acknowledged messages survive the death of the process, and arrive once or, rarely, twice.

Kills happen at random moments; `CRASH_SEED` repeats those of another run as far as timing allows,
and `CRASH_KILLS` sets their number: 50 in each run, 200 in the nightly one. After a kill,
everything written to the operating system survives; a power cut is a different case. Two of three
sender processes start with a clock that is days or decades wrong, and in some it is corrected:
nothing expires because of that. A sender process reports each action in advance: a cancellation
whose response was lost may have worked or not, and nothing else may be unaccounted for.
"""

from collections.abc import Callable
import os
from pathlib import Path
from random import Random
import signal
from typing import Final

import pytest

from .audit import Audit, Round, complaints, count, left_behind
from .flaky_server import NO_USER, SPLIT, FlakyServer
from .kill_points import KillPoint
from .messages import GONE
from .sender_process import Order, outbox_of
from .supervisor import Life, Supervisor

KILLS: Final = int(os.environ.get("CRASH_KILLS") or 50)
DAY: Final = 86_400.0
# The error of a sender process's clock, in seconds; machines without a battery may start in 1970.
CLOCKS: Final = (0.0, 0.0, 0.0, -3 * DAY, -30 * DAY, -56 * 365 * DAY, 3 * DAY, 30 * DAY, 3650 * DAY)
TROUBLE: Final = (0.0, 0.2, 0.4, 0.6)  # Share of the connections in a round.

# The recipients that the server refuses in a round, permanently or temporarily.
REFUSED: Final[tuple[dict[str, str], ...]] = ({}, {GONE: NO_USER}, SPLIT, SPLIT)


class Story:
    """Consecutive rounds with consecutively numbered messages."""

    def __init__(
        self, supervisor: Supervisor, server: FlakyServer, outbox: Path, chances: Random
    ) -> None:
        """Start with the first message."""
        self.rounds: list[Round] = []
        self._supervisor = supervisor
        self._server = server
        self._outbox = outbox
        self._chances = chances
        self._number = self._step = 1

    def kill(self) -> None:
        """Run a sender process until a random kill, while the server drops connections."""
        self._server.trouble = self._chances.choice(TROUBLE)
        self._server.refuses = self._chances.choice(REFUSED)
        life = self._live(KillPoint.draw(self._chances))
        assert life.status == -signal.SIGKILL, self._supervisor.log.read_text(errors="replace")
        assert life.errors == []

    def halt(self, phase: str, outgoing: int) -> None:
        """Kill a sender process that halts before a phase of the first suitable message."""
        self._number += (outgoing - self._number) % 6
        self._server.refuses = SPLIT
        life = self._live(KillPoint(f"+{phase}", 1, 0.0), halt=phase)
        assert life.phase == phase

    def finish(self) -> None:
        """Let a sender process send everything left, without obstacles."""
        self._server.trouble = 0.0
        self._server.refuses = None
        life = self._live(None)
        assert life.status == 0, self._supervisor.log.read_text(errors="replace")
        assert life.errors == []

    def _live(self, kill_point: KillPoint | None, halt: str = "") -> Life:
        """Run one sender process, and collect what the server receives meanwhile."""
        seed = self._chances.getrandbits(32)
        order = Order(
            number=self._number,
            step=self._step,
            seed=seed,
            finish=kill_point is None,
            clock=self._chances.choice(CLOCKS) if kill_point and not halt else 0.0,
            set_after=self._chances.choice((None, 0, 1, 3)),
            meddle=bool(kill_point and not halt),
            halt=halt,
        )
        before = len(self._server.received)
        life = self._supervisor.run(order, kill_point)
        self._server.wait_for_silence()
        torn = any(self._outbox.rglob("*.part"))
        self.rounds.append(Round(life, tuple(self._server.received[before:]), torn=torn))
        self._number = max((self._number, *(number + 1 for number in life.calls)))
        self._step = max((self._step, *(step + 1 for step in life.calls.values())))
        return life


@pytest.mark.timeout(60 + 2 * KILLS)
def test_nothing_is_lost_and_only_lost_replies_cause_duplicates(
    server: FlakyServer,
    folder: Path,
    chances: Random,
    report: Callable[[Audit], str],
) -> None:
    """Killed repeatedly while sending, Home Assistant loses nothing.

    The server drops connections, defers some recipients and refuses others for good, while
    messages are canceled and retried at random.
    """
    log = folder / "sender.log"
    outbox = outbox_of(folder)
    with Supervisor(folder, log, server.ca_file) as supervisor:
        story = Story(supervisor, server, outbox, chances)
        for _ in range(KILLS):
            story.kill()
        story.finish()
    result = count(story.rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert left_behind(outbox) == [], summary
    assert complaints(log) == [], summary


def test_refused_recipient_is_kept_as_failed_once(
    server: FlakyServer, folder: Path, chances: Random, report: Callable[[Audit], str]
) -> None:
    """Killed while it splits a message, Home Assistant continues with the rest.

    Message 6 is accepted for one recipient, refused for one and deferred for one, message 2 only
    the first two.
    """
    outbox = outbox_of(folder)
    with Supervisor(folder, folder / "sender.log", server.ca_file) as supervisor:
        story = Story(supervisor, server, outbox, chances)
        for phase, outgoing in (("fail", 6), ("restrict", 6), ("delete", 2)):
            story.halt(phase, outgoing)
            story.finish()
    result = count(story.rounds)
    summary = report(result)
    assert result.wrongs == {}, summary
    assert left_behind(outbox) == [], summary
