"""What this integration wants to reach, and whether a run has shown it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .orders import Scenario, Way
from .plan import Cell, Plan
from .run import Results

FROM_DELAY: Final = 100  # Milliseconds; below, the processor counts for more than the line.


@dataclass(frozen=True)
class Target:
    """One number that was measured, and the number that it may not pass."""

    what: str
    measured: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Return whether the target is reached."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def wanted(self) -> str:
        """Return the limit in words."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g} {self.unit}".rstrip()

    def complaint(self) -> str:
        """Return a sentence that says what is missed and by how much."""
        missed_by = abs(self.measured - self.limit)
        return (
            f"{self.what} should be {self.wanted} and was {self.measured:.2f}: "
            f"missed by {missed_by:.2f} {self.unit}".rstrip()
            + "."
        )


def find(plan: Plan, results: Results) -> Iterator[Target]:
    """Yield the targets that a run can judge."""
    for delay in plan.delays:
        if delay >= FROM_DELAY:
            yield from _for_round_trips(plan, results, delay)
            yield from _for_burst(plan, results, delay)
        yield from _for_big(results, delay)
    if not plan.quick:
        yield from _for_start(results)


def round_trips(plan: Plan, results: Results, cell: Cell) -> float:
    """Return how many delays a message takes, the processor's time included."""
    count = plan.count(cell.scenario)
    return results.figures[cell].elapsed / (cell.delay / 1000) / count


def _for_round_trips(plan: Plan, results: Results, delay: int) -> Iterator[Target]:
    """Yield what single messages should reach."""
    wanted = (
        (Scenario.WARM, Way.OURS, "Warm message with CHUNKING", 1.2),
        (Scenario.WARM, Way.PIPELINING, "Warm message with PIPELINING alone", 2.2),
        (Scenario.COLD, Way.OURS, "Cold message with CHUNKING, TCP's handshake not counted", 8.0),
    )
    for scenario, way, what, limit in wanted:
        cell = Cell(scenario, delay, way)
        if cell in results.figures:
            measured = round_trips(plan, results, cell)
            yield Target(f"{what}, at {delay} ms", measured, limit, "round trips")


def _for_burst(plan: Plan, results: Results, delay: int) -> Iterator[Target]:
    """Yield what a burst should reach."""
    ours, builtin = (
        results.figures.get(Cell(Scenario.BURST, delay, way)) for way in (Way.OURS, Way.BUILTIN)
    )
    if ours and builtin:
        what = f"Burst of {plan.count(Scenario.BURST)} with CHUNKING, compared with built-in"
        ratio = builtin.elapsed / ours.elapsed
        yield Target(f"{what}, at {delay} ms", ratio, 8, "times as fast", at_least=True)


def _for_big(results: Results, delay: int) -> Iterator[Target]:
    """Yield what 20 MB of attachments should reach."""
    for way, how in ((Way.OURS, "CHUNKING"), (Way.PIPELINING, "PIPELINING alone")):
        if figures := results.figures.get(Cell(Scenario.BIG, delay, way)):
            what = f"with 20 MB and {how}, at {delay} ms"
            if figures.stall is not None:
                yield Target(f"Longest stall {what}", figures.stall * 1000, 20, "ms")
            yield Target(f"Memory growth {what}", figures.memory / 1e6, 70, "MB")


def _for_start(results: Results) -> Iterator[Target]:
    """Yield what Home Assistant's start should not take longer than."""
    for server, durations in results.set_ups.items():
        yield Target(f"Set-up, server {server}", durations["again"] * 1000, 50, "ms")
    if results.imports:
        ratio = results.imports["outlook_smtp"] / results.imports["ntfy"]
        yield Target("Import, compared with ntfy", ratio, 1.5, "times")
