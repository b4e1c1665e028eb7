"""The tables of results, as Markdown that is readable on a terminal too."""

from collections.abc import Iterator, Sequence
from typing import Final

from . import targets
from .orders import Scenario, Way
from .plan import Cell, Plan
from .run import Results

type Table = Sequence[Sequence[str]]

WAYS: Final[dict[Way, str]] = {
    Way.BUILTIN: "built-in smtp",
    Way.AIOSMTPLIB: "plain aiosmtplib",
    Way.OURS: "Outlook.com SMTP",
    Way.PIPELINING: "Outlook.com SMTP, PIPELINING alone",
}
IN_A_ROW: Final = ", in a row"  # Who has no outbox sends the messages of the queue like this.
HEADER: Final = (
    "Delay",
    "Way",
    "Time (s)",
    "Round trips a message",
    "Faster than built-in",
    "Messages a second",
    "Longest stall (ms)",
    "Memory growth (MB)",
    "CPU a message (ms)",
)


def render(table: Table) -> str:
    """Return a table as Markdown, in columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rows = [_line(row, widths) for row in table]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((rows[0], rule, *rows[1:]))


def of_scenario(plan: Plan, results: Results, scenario: Scenario) -> Table:
    """Return the table of a scenario."""
    return [HEADER, *_rows(plan, results, scenario)]


def of_targets(plan: Plan, results: Results) -> Table:
    """Return the table of targets."""
    rows = [
        (target.what, target.wanted, f"{target.measured:.2f}", "yes" if target.reached else "no")
        for target in targets.find(plan, results)
    ]
    return [("Target", "Wanted", "Measured", "Reached"), *rows]


def of_lines(results: Results) -> Table:
    """Return the table of what was measured of the lines."""
    rows = [(f"{delay} ms", f"{took * 1000:.1f}") for delay, took in results.lines.items()]
    return [("Delay", "Answer to EHLO (ms)"), *rows]


def of_set_ups(results: Results) -> Table:
    """Return the table of set-up times."""
    rows = [
        (server, f"{durations['first'] * 1000:.1f}", f"{durations['again'] * 1000:.1f}")
        for server, durations in results.set_ups.items()
    ]
    return [("Server", "First set-up, loading the code (ms)", "Set-up (ms)"), *rows]


def of_imports(results: Results) -> Table:
    """Return the table of import times."""
    rows = [(name, f"{seconds * 1000:.1f}") for name, seconds in results.imports.items()]
    return [("Integration", "Import (ms)"), *rows]


def _rows(plan: Plan, results: Results, scenario: Scenario) -> Iterator[Sequence[str]]:
    """Yield the rows of a scenario."""
    for cell in plan.cells:
        if cell.scenario is scenario:
            has_outbox = cell.way in (Way.OURS, Way.PIPELINING)
            suffix = IN_A_ROW if scenario is Scenario.QUEUE and not has_outbox else ""
            named = (f"{cell.delay} ms", WAYS[cell.way] + suffix)
            yield (*named, *_values(plan, results, cell))


def _values(plan: Plan, results: Results, cell: Cell) -> Sequence[str]:
    """Return what was measured of a row."""
    if omission := plan.omission(cell):
        return (omission, *("" for _ in HEADER[3:]))
    figures, count = results.figures[cell], plan.count(cell.scenario)
    builtin = results.figures.get(Cell(cell.scenario, cell.delay, Way.BUILTIN))
    if cell.scenario is Scenario.QUEUE:
        builtin = None  # It composes the messages meanwhile, which this integration has done.
    return (
        f"{figures.elapsed:.3f}",
        f"{targets.round_trips(plan, results, cell):.2f}" if cell.delay else "-",
        f"{builtin.elapsed / figures.elapsed:.2f}x" if builtin else "-",
        f"{count / figures.elapsed:.1f}",
        "-" if figures.stall is None else f"{figures.stall * 1000:.1f}",
        f"{figures.memory / 1e6:.1f}",
        f"{figures.cpu / count * 1000:.1f}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Return a row, in columns."""
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"
