"""The tables of a run, its targets, and the page docs/performance.md."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
import os
from pathlib import Path
import platform
import re
from string import Template
from typing import Final, NamedTuple

from .measure import Figures
from .run import Results
from .scenarios import SCENARIOS, Row, Way

TEMPLATE: Final = Path(__file__).with_name("performance.md")
PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"

# A column's format and value, computed from the figures, a delay in seconds, and the built-in
# integration's figures for the same task.
type Value = Callable[[Figures, float, Figures | None], float | None]
COLUMNS: Final[dict[str, tuple[str, Value]]] = {
    "Time (s)": ("{:.3f}", lambda it, *_: it.elapsed),
    "Round trips a message": (
        "{:.2f}",
        lambda it, delay, _: it.elapsed / it.messages / delay if delay else None,
    ),
    "Faster than built-in": (
        "{:.2f}x",
        lambda it, _, builtin: builtin.elapsed / it.elapsed if builtin else None,
    ),
    "Messages a second": ("{:.1f}", lambda it, *_: it.messages / it.elapsed),
    "Longest stall (ms)": ("{:.1f}", lambda it, *_: it.stall and it.stall * 1000),
    "Memory growth (MB)": ("{:.1f}", lambda it, *_: it.memory / 1e6),
    "CPU a message (ms)": ("{:.1f}", lambda it, *_: it.cpu / it.messages * 1000),
}


ROUND_TRIPS, FASTER = "Round trips a message", "Faster than built-in"
STALL, MEMORY = "Longest stall (ms)", "Memory growth (MB)"
UNITS: Final = {ROUND_TRIPS: "round trips", FASTER: "times as fast", STALL: "ms", MEMORY: "MB"}
TARGETS: Final = (
    ("warm", Way.OURS, ROUND_TRIPS, 1.2, "Warm message with CHUNKING"),
    ("warm", Way.PIPELINING, ROUND_TRIPS, 2.2, "Warm message with PIPELINING alone"),
    ("cold", Way.OURS, ROUND_TRIPS, 8, "Cold message with CHUNKING, TCP's handshake not counted"),
    ("burst", Way.OURS, FASTER, 8, "Burst of 100 with CHUNKING, compared with built-in"),
    ("big", Way.OURS, STALL, 20, "Longest stall with 20 MB and CHUNKING"),
    ("big", Way.OURS, MEMORY, 70, "Memory growth with 20 MB and CHUNKING"),
    ("big", Way.PIPELINING, STALL, 20, "Longest stall with 20 MB and PIPELINING alone"),
    ("big", Way.PIPELINING, MEMORY, 70, "Memory growth with 20 MB and PIPELINING alone"),
)
FROM_DELAY: Final = 100  # Milliseconds; below, processor time outweighs latency.


class Target(NamedTuple):
    """A measured number and its limit."""

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
        return f"at {'least' if self.at_least else 'most'} {self.limit:g} {self.unit}"


def targets(results: Results) -> Iterator[Target]:
    """Yield the targets that apply to a run."""
    for delay in results.lines:
        for scenario, way, column, limit, what in TARGETS:
            measured = _value(results, Row(scenario, delay, way), column)
            if measured is not None and (delay >= FROM_DELAY or column in (STALL, MEMORY)):
                named = f"{what}, at {delay} ms"
                yield Target(named, measured, limit, UNITS[column], at_least=column == FASTER)
    if not results.quick:
        for server, (_, again) in results.set_ups.items():
            yield Target(f"Set-up, server {server}", again * 1000, 50, "ms")
        ratio = results.imports["outlook_smtp"] / results.imports["ntfy"]
        yield Target("Import, compared with ntfy", ratio, 1.5, "times")


def _value(results: Results, row: Row, column: str) -> float | None:
    """Return a column's value for a row, if it was measured."""
    if row not in results.rows:
        return None
    builtin = results.rows.get(row._replace(way=Way.BUILTIN))
    # With an outbox, the messages were composed before.
    compared = None if SCENARIOS[row.scenario].outbox else builtin
    return COLUMNS[column][1](results.rows[row], row.delay / 1000, compared)


def sections(results: Results) -> dict[str, str]:
    """Return the sections for the page's template, in Markdown that is readable in a terminal."""
    names = dict.fromkeys(row.scenario for row in results.rows)
    return {
        "machine": "\n".join(f"- {name}: {value}" for name, value in _machine().items()),
        "lines": _table(
            ("Delay", "Reply to EHLO (ms)"),
            *((f"{delay} ms", _ms(took)) for delay, took in results.lines.items()),
        ),
        "targets": _table(
            ("Target", "Wanted", "Measured", "Reached"),
            *(
                (it.what, it.wanted, f"{it.measured:.2f}", "yes" if it.reached else "no")
                for it in targets(results)
            ),
        ),
        **{name: _table(("Delay", "Way", *COLUMNS), *_rows(results, name)) for name in names},
        "set_up": _table(
            ("Server", "First set-up, loading the code (ms)", "Set-up (ms)"),
            *((server, *map(_ms, both)) for server, both in results.set_ups.items()),
        ),
        "import": _table(
            ("Integration", "Import (ms)"),
            *((name, _ms(took)) for name, took in results.imports.items()),
        ),
    }


def write_page(found: dict[str, str]) -> None:
    """Write the page."""
    PAGE.write_text(Template(TEMPLATE.read_text()).substitute(found))


def _rows(results: Results, scenario: str) -> Iterator[Sequence[str]]:
    """Yield the rows of a scenario."""
    for row in results.rows:
        if row.scenario == scenario:
            values = ((form, _value(results, row, name)) for name, (form, _) in COLUMNS.items())
            shown = ("-" if value is None else form.format(value) for form, value in values)
            yield f"{row.delay} ms", row.way, *shown


def _table(header: Sequence[str], *rows: Sequence[str]) -> str:
    """Return a table as Markdown, in columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (header, ["-" * width for width in widths], *rows)
    padded = (map(str.ljust, line, widths, strict=True) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _ms(seconds: float) -> str:
    """Return a time in milliseconds."""
    return f"{seconds * 1000:.1f}"


def _machine() -> dict[str, str]:
    """Return a description of the machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "Processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "Memory": f"{pages / 2**30:.1f} GiB",
        "System": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()}",
        "Python": platform.python_version(),
        "Home Assistant": version("homeassistant"),
        "aiosmtplib": version("aiosmtplib"),
        "Date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
