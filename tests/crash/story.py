"""Consecutive sender processes, killed or not, and the messages that their servers received."""

import os
from pathlib import Path
from random import Random
import signal
from typing import Any, Final

from .audit import Round
from .flaky_microsoft import FlakyMicrosoft
from .flaky_server import NO_USER, SPLIT
from .kill_points import SWITCHING, KillPoint
from .messages import GONE
from .sender_process import Order, Place, outbox_of
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
        self, supervisor: Supervisor, place: Place, microsoft: FlakyMicrosoft, chances: Random
    ) -> None:
        """Start with the first message."""
        self.rounds: list[Round] = []
        self._supervisor = supervisor
        self._microsoft = microsoft
        self._place = place
        self.log = Path(place.log)
        self.outbox = outbox_of(Path(place.folder))
        self._chances = chances
        self._number = self._step = 1

    def kill(self) -> None:
        """Run a sender process until a random kill, while the servers drop connections."""
        self._inject_faults()
        self._check_killed(self._live(KillPoint.draw(self._chances)))

    def halt(self, phase: str, outgoing: int) -> None:
        """Kill a sender process that halts before a phase of the first suitable message."""
        self._number += (outgoing - self._number) % 6
        self._microsoft.behave(refuses=SPLIT)
        life = self._live(KillPoint(f"+{phase}", 1, 0.0), halt=phase)
        assert life.phase == phase

    def finish(self) -> None:
        """Let a sender process send everything left, without obstacles."""
        self._end()

    def fill(self, messages: int) -> None:
        """Let a sender process queue some messages, or a few more."""
        self._end(fill=self._number + messages - 1)

    def kill_switching(self) -> None:
        """Run a process that switches routes until a random kill, while the servers fail."""
        self._inject_faults()
        self._check_killed(self._live(KillPoint.draw(self._chances, SWITCHING), switch=True))

    def finish_switching(self) -> None:
        """Let a process that switches routes send everything left, without obstacles."""
        self._end(switch=True)

    def _inject_faults(self) -> None:
        """Let the servers fail at random."""
        self._microsoft.behave(self._chances.choice(TROUBLE), self._chances.choice(REFUSED))

    def _check_killed(self, life: Life) -> None:
        """Check that a sender process was killed, and did not die of itself."""
        assert life.status == -signal.SIGKILL, self.log.read_text(errors="replace")
        assert life.errors == []

    def _end(self, **task: Any) -> None:
        """Let a sender process do its task to the end, without obstacles."""
        self._microsoft.behave()
        life = self._live(None, **task)
        assert life.status == 0, self.log.read_text(errors="replace")
        assert life.errors == []

    def _live(self, kill_point: KillPoint | None, **task: Any) -> Life:
        """Run one sender process, and collect what the servers receive meanwhile.

        Without a particular task, one that will be killed cancels and retries messages, and may
        have a wrong clock.
        """
        is_free = bool(kill_point and not task)
        order = Order(
            number=self._number,
            step=self._step,
            seed=self._chances.getrandbits(32),
            finish=kill_point is None,
            clock=self._chances.choice(CLOCKS) if is_free else 0.0,
            set_after=self._chances.choice((None, 0, 1, 3)),
            meddle=is_free,
            **task,
        )
        before = len(self._microsoft.received)
        life = self._supervisor.run(self._place, order, kill_point)
        self._microsoft.wait_for_silence()
        torn = any(self.outbox.rglob("*.part"))
        self.rounds.append(Round(life, tuple(self._microsoft.received[before:]), torn=torn))
        self._number = max((self._number, *(number + 1 for number in life.calls)))
        self._step = max((self._step, *(step + 1 for step in life.calls.values())))
        return life
