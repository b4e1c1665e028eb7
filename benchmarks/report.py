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

from .meters import Figures
from .run import Results, Row
from .scenarios import SCENARIOS
from .senders import Builtin, Ours, Pipelining, Sender
from .waiting import SIZES

TEMPLATE: Final = Path(__file__).with_name("performance.md")
PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"
HEADERS: Final = {
    "lines": ("Delay", "Reply to EHLO (ms)"),
    "targets": ("Target", "Wanted", "Measured", "Reached"),
    "set_up": ("Server", "First set-up, loading the code (ms)", "Set-up (ms)"),
    "import": ("Integration", "Import (ms)"),
}

TIME, SYNCS = "Time (s)", "fsyncs a message"
ROUND_TRIPS, FASTER = "Round trips a message", "Faster than built-in"
STALL, MEMORY = "Longest stall (ms)", "Memory growth (MB)"
# The columns' formats and values. A table lacks the columns for which it has no figures.
COLUMNS: Final[dict[str, tuple[str, Callable[[Figures], float]]]] = {
    TIME: ("{:.3f}", lambda it: it["elapsed"]),
    ROUND_TRIPS: ("{:.2f}", lambda it: it["elapsed"] / it["messages"] / it["delay"]),
    FASTER: ("{:.2f}x", lambda it: it["built-in"] / it["elapsed"]),
    "Messages a second": ("{:.1f}", lambda it: 1 / (it["elapsed"] / it["messages"])),
    STALL: ("{:.1f}", lambda it: it["stall"] * 1000),
    MEMORY: ("{:.1f}", lambda it: it["memory"] / 1e6),
    "CPU a message (ms)": ("{:.1f}", lambda it: it["cpu"] / it["messages"] * 1000),
    "Written a message (KB)": ("{:.1f}", lambda it: it["written"] / it["messages"] / 1000),
    "Stored a message (KB)": ("{:.1f}", lambda it: it["stored"] / it["messages"] / 1000),
    SYNCS: ("{:.1f}", lambda it: it["syncs"] / it["messages"]),
    "CPU a day (s)": ("{:.2f}", lambda it: _of_a_day(it, "cpu")),
    "Written a day (KB)": ("{:.1f}", lambda it: _of_a_day(it, "written") / 1000),
    "Stored a day (KB)": ("{:.1f}", lambda it: _of_a_day(it, "stored") / 1000),
    "fsyncs a day": ("{:.0f}", lambda it: _of_a_day(it, "syncs")),
    "Adding one more (ms)": ("{:.1f}", lambda it: it["add"] * 1000),
}
UNITS: Final = {ROUND_TRIPS: "round trips", FASTER: "times as fast", STALL: "ms", MEMORY: "MB"} | {
    TIME: "s",
    SYNCS: "fsyncs",
}
LIMITS: Final[tuple[tuple[str, str, type[Sender], str, float], ...]] = (
    ("Warm message with CHUNKING", "warm", Ours, ROUND_TRIPS, 1.2),
    ("Warm message with PIPELINING alone", "warm", Pipelining, ROUND_TRIPS, 2.2),
    ("Cold message with CHUNKING, TCP's handshake not counted", "cold", Ours, ROUND_TRIPS, 8),
    ("Burst of 100 with CHUNKING, compared with built-in", "burst", Ours, FASTER, 8),
    ("Urgent message behind 20 MB at 1 MB/s", "overtake", Ours, TIME, 2),
    ("Message after a snapshot of one second", "snapshot", Ours, ROUND_TRIPS, 1.3),
    ("Longest stall with 20 MB and CHUNKING", "big", Ours, STALL, 20),
    ("Memory growth with 20 MB and CHUNKING", "big", Ours, MEMORY, 70),
    ("Longest stall with 20 MB and PIPELINING alone", "big", Pipelining, STALL, 20),
    ("Memory growth with 20 MB and PIPELINING alone", "big", Pipelining, MEMORY, 70),
    ("Start with 10,000 waiting", "waiting", SIZES[-1], TIME, 2),
    ("Memory growth with 10,000 waiting", "waiting", SIZES[-1], MEMORY, 60),
    ("Short message with CHUNKING", "wear", Ours, SYNCS, 3),
)
ALWAYS: Final = (STALL, MEMORY, TIME, SYNCS)  # Judged at every delay.
FROM_DELAY: Final = 100  # Milliseconds; below, processor time outweighs latency.


class Target(NamedTuple):
    """A limit in words, a measured number, and whether it is within the limit."""

    what: str
    wanted: str
    measured: float
    reached: bool


def _of_a_day(figures: Figures, name: str) -> float:
    """Return a figure of a scenario without messages, which lets a day pass."""
    if figures["messages"] or "syncs" not in figures:
        raise KeyError(name)
    return figures[name]


def judge(what: str, measured: float, limit: float, unit: str, *, at_least: bool = False) -> Target:
    """Compare a number with its upper or lower limit."""
    reached = measured >= limit if at_least else measured <= limit
    wanted = f"at {'least' if at_least else 'most'} {limit:g} {unit}"
    return Target(what, wanted, measured, reached)


def targets(results: Results) -> Iterator[Target]:
    """Yield the targets that apply to a run."""
    for delay in results.delays:
        for what, scenario, way, column, limit in LIMITS:
            measured = _value(results, Row(scenario, delay, way), column)
            if measured is not None and (delay >= FROM_DELAY or column in ALWAYS):
                named, at_least = f"{what}, at {delay} ms", column == FASTER
                yield judge(named, measured, limit, UNITS[column], at_least=at_least)
    if not results.quick:
        for server, (_, again) in results.timings["set_up"].items():
            yield judge(f"Set-up, server {server}", again * 1000, 50, "ms")
        [[ours], [ntfy]] = results.timings["import"].values()
        yield judge("Import, compared with ntfy", ours / ntfy, 1.5, "times")


def _value(results: Results, row: Row, column: str) -> float | None:
    """Return a column's value for a row, if it has the figures for it."""
    figures = dict(results.rows.get(row, {}))
    builtin = results.rows.get(row._replace(way=Builtin))
    if builtin and SCENARIOS[row.scenario].compared:
        figures["built-in"] = builtin["elapsed"]
    try:
        return COLUMNS[column][1](figures)
    except KeyError, ZeroDivisionError:
        return None


def sections(results: Results) -> dict[str, str]:
    """Return the sections for the page's template, in Markdown that is readable in a terminal."""
    simple = {
        name: _table(
            HEADERS[name],
            *((label, *(f"{each * 1000:.1f}" for each in row)) for label, row in rows.items()),
        )
        for name, rows in results.timings.items()
    }
    judged = [
        (it.what, it.wanted, f"{it.measured:.2f}", "yes" if it.reached else "no")
        for it in targets(results)
    ]
    scenarios = dict.fromkeys(row.scenario for row in results.rows)
    return {
        "machine": "\n".join(f"- {name}: {value}" for name, value in _machine().items()),
        "lines": simple.pop("lines"),
        "targets": _table(HEADERS["targets"], *judged),
        **{name: _scenario(results, name) for name in scenarios},
        **simple,
    }


def write_page(found: dict[str, str]) -> None:
    """Write the page."""
    PAGE.write_text(Template(TEMPLATE.read_text()).substitute(found))


def _scenario(results: Results, name: str) -> str:
    """Return the table of a scenario."""
    rows = [row for row in results.rows if row.scenario == name]
    columns = {"Delay": [f"{row.delay} ms" for row in rows], "Way": [row.way.label for row in rows]}
    for column, (form, _) in COLUMNS.items():
        values = [_value(results, row, column) for row in rows]
        if any(value is not None for value in values):
            columns[column] = ["-" if it is None else form.format(it) for it in values]
    return _table(list(columns), *zip(*columns.values(), strict=True))


def _table(header: Sequence[str], *rows: Sequence[str]) -> str:
    """Return a table as Markdown, in columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (header, ["-" * width for width in widths], *rows)
    padded = (map(str.ljust, line, widths, strict=True) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


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
