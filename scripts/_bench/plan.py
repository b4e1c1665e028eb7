"""What a run measures: which ways, scenarios and delays, how often and with how many messages."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from .orders import Scenario, Way

DELAYS: Final = (0, 20, 100, 200)  # Milliseconds there and back.
LONGEST_ROW: Final = 20  # The longest delay at which messages in a row wait for 1,000 of them.
ONCE: Final = (Scenario.BURST, Scenario.QUEUE)
DESCRIPTION: Final = """\
Measures sending. Without --quick, --once, --delay and --scenario all is measured, in the better
part of an hour, and docs/performance.md is written; any other run only prints."""


@dataclass(frozen=True, order=True)
class Cell:
    """A row of a table: one way to send, in one scenario, behind one delay in milliseconds."""

    scenario: Scenario
    delay: int
    way: Way


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run measures."""

    delays: tuple[int, ...]
    scenarios: tuple[Scenario, ...]
    quick: bool
    once: bool
    full: bool

    @classmethod
    def read(cls) -> Self:
        """Read the command line."""
        parser = argparse.ArgumentParser(prog="scripts/bench", description=DESCRIPTION)
        add = parser.add_argument
        add("--quick", action="store_true", help="a first impression in two minutes")
        add("--once", action="store_true", help="everything, but each row once only")
        add("--full", action="store_true", help="1,000 messages in a row over long lines too")
        add("--delay", type=int, nargs="+", metavar="MS", help="only behind these delays")
        add("--scenario", nargs="+", choices=tuple(Scenario), help="only these scenarios")
        options = parser.parse_args()
        everything = [item for item in Scenario if not (options.quick and item is Scenario.QUEUE)]
        return cls(
            delays=tuple(options.delay or ((100,) if options.quick else DELAYS)),
            scenarios=tuple(map(Scenario, options.scenario or everything)),
            quick=options.quick,
            once=options.once,
            full=options.full,
        )

    @property
    def complete(self) -> bool:
        """Return whether all that the page tells of is measured, as often as it says."""
        everything = (self.delays, self.scenarios) == (DELAYS, tuple(Scenario))
        return everything and not (self.quick or self.once)

    @property
    def cells(self) -> Iterator[Cell]:
        """Yield all rows, those that are not measured too."""
        for scenario in self.scenarios:
            for delay in self.delays:
                for way in Way:
                    if way is not Way.PIPELINING or scenario is not Scenario.QUEUE:
                        yield Cell(scenario, delay, way)

    def omission(self, cell: Cell) -> str | None:
        """Return why a row is not measured, if it takes too long to be measured every time."""
        in_a_row = cell.scenario is Scenario.QUEUE and cell.way is not Way.OURS
        if self.full or not in_a_row or cell.delay == 0:
            return None
        if cell.delay > LONGEST_ROW:
            return "only with --full"
        return "not with --once" if self.once else None

    def count(self, scenario: Scenario) -> int:
        """Return how many messages are sent."""
        counts = {
            Scenario.WARM: 3 if self.quick else 10,
            Scenario.BURST: 20 if self.quick else 100,
            Scenario.QUEUE: 1000,
        }
        return counts.get(scenario, 1)

    def passes(self, scenario: Scenario) -> tuple[bool, ...]:
        """Return for each process that measures whether it watches the event loop."""
        if self.quick or self.once:
            return (scenario is Scenario.BIG,)
        return (*((False,) * (1 if scenario in ONCE else 3)), True)
