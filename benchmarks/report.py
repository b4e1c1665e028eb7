"""The tables of a run, its targets, and the page docs/performance.md."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import floor, log10
import os
from pathlib import Path
import platform
import re
from string import Template
from typing import Final, NamedTuple, override

from .meters import MEMORY, STALL, SYNCS, TIME
from .run import Results
from .scenarios import AGAIN, CODES, FASTER, ROUND_TRIPS, SCENARIOS, SET_UP, WAITING
from .senders import OURS, PIPELINING, Way

TEMPLATE: Final = Path(__file__).with_name("performance.md")
PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"
FAR: Final = 100  # Milliseconds from which the delay outweighs the processor.


class Target(NamedTuple):
    """A limit of a figure of a row, at delays from `since` milliseconds on."""

    what: str
    scenario: str
    way: Way
    column: str
    limit: float
    since: int = 0

    @override
    def __str__(self) -> str:
        """Say the limit."""
        return f"at {'least' if self.column == FASTER else 'most'} {self.limit:g}"

    def is_reached(self, measured: float) -> bool:
        """Return whether a number is within the limit."""
        return measured >= self.limit if self.column == FASTER else measured <= self.limit


MOST_WAITING, CODE = WAITING[-1], CODES[-1]
ALIVE, DEAD, SILENT = SET_UP
TARGETS: Final = (
    Target("Warm message with CHUNKING", "warm", OURS, ROUND_TRIPS, 1.2, FAR),
    Target("Warm message with PIPELINING alone", "warm", PIPELINING, ROUND_TRIPS, 2.2, FAR),
    Target("Cold message, TCP's handshake not counted", "cold", OURS, ROUND_TRIPS, 8, FAR),
    Target("Burst of 100, compared with built-in", "burst", OURS, FASTER, 8, FAR),
    Target("Urgent message behind 20 MB at 1 MB/s", "overtake", OURS, TIME, 2),
    Target("Message after a snapshot of one second", "snapshot", OURS, ROUND_TRIPS, 1.3, FAR),
    Target("20 MB with CHUNKING", "big", OURS, STALL, 20),
    Target("20 MB with CHUNKING", "big", OURS, MEMORY, 70),
    Target("20 MB with PIPELINING alone", "big", PIPELINING, STALL, 20),
    Target("20 MB with PIPELINING alone", "big", PIPELINING, MEMORY, 70),
    Target("Start with 10,000 waiting", "waiting", MOST_WAITING, TIME, 2),
    Target("Start with 10,000 waiting", "waiting", MOST_WAITING, MEMORY, 60),
    Target("Short message", "wear", OURS, SYNCS, 3),
    Target("Set-up, server alive", "set_up", ALIVE, AGAIN, 50),
    Target("Set-up, server dead", "set_up", DEAD, AGAIN, 50),
    Target("Set-up, server silent", "set_up", SILENT, AGAIN, 50),
    Target("Import, compared with ntfy", "import", CODE, FASTER, 0.67),
)


def judged(results: Results) -> Iterator[tuple[Target, int, float]]:
    """Yield the targets that apply to a run, each with a delay and what was measured."""
    for target in TARGETS:
        for row, figures in results.items():
            is_it = row[::2] == (target.scenario, target.way) and row.delay >= target.since
            if is_it and target.column in figures:  # A quick run measures no stalls.
                yield target, row.delay, figures[target.column]


def missed(results: Results) -> list[str]:
    """Return a sentence for each target that was missed."""
    return [
        f"✗ {target.what}, {delay} ms: {target.column} should be {target} and was {measured:.2f}."
        for target, delay, measured in judged(results)
        if not target.is_reached(measured)
    ]


def sections(results: Results) -> dict[str, str]:
    """Return the sections for the page's template, in Markdown that is readable in a terminal."""
    verdicts = [
        (
            it.what,
            f"{delay} ms",
            it.column,
            str(it),
            digits(got),
            "yes" if it.is_reached(got) else "no",
        )
        for it, delay, got in judged(results)
    ]
    header = ("Target", "Delay", "Figure", "Wanted", "Measured", "Reached")
    found = {"machine": _machine(), "targets": table(header, *verdicts)}
    for name in dict.fromkeys(row.scenario for row in results):
        columns = SCENARIOS[name].columns
        rows = [
            (f"{row.delay} ms", row.way.label, *(digits(figures.get(it)) for it in columns))
            for row, figures in results.items()
            if row.scenario == name
        ]
        found[name] = table(("Delay", "Way", *columns), *rows)
    return found


def write_page(found: dict[str, str]) -> None:
    """Write the page."""
    PAGE.write_text(Template(TEMPLATE.read_text()).substitute(found))


def digits(value: float | None) -> str:
    """Return a number with three digits that count."""
    if not value:
        return "-" if value is None else "0"
    return f"{value:,.{max(0, 2 - floor(log10(abs(value))))}f}"


def table(*rows: Sequence[str]) -> str:
    """Return a table as Markdown, in columns; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (rows[0], ["-" * width for width in widths], *rows[1:])
    padded = (map(str.ljust, line, widths, strict=True) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _machine() -> str:
    """Return a description of the machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return "\n".join(
        (
            f"- Processor: {model[1] if model else platform.machine()}, {os.cpu_count()} cores",
            f"- Memory: {pages / 2**30:.1f} GiB",
            f"- System: {platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()}",
            f"- Python: {platform.python_version()}",
            *(f"- {name}: {version(name)}" for name in ("homeassistant", "aiosmtplib")),
            f"- Date: {datetime.now(UTC):%Y-%m-%d}",
        )
    )
