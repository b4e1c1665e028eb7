"""The benchmark measures what it claims: its lines, its targets, and arriving messages."""

import asyncio
import re
from string import Template
import time
from typing import Any

import pytest

from benchmarks import BenchError, line, report, run
from benchmarks.measure import Figures, summarize
from benchmarks.report import Target
from benchmarks.run import Results
from benchmarks.scenarios import SCENARIOS, Row, Way, is_measured

DELAY = 0.1


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo all data, and the end of the stream."""
    while piece := await reader.read(2**16):
        writer.write(piece)
    writer.write_eof()
    writer.close()


async def test_line_delays_everything_in_order(
    socket_enabled: None,
) -> None:
    """Nothing comes back before the delay, and everything in order, including the end."""
    server = await asyncio.start_server(_echo, "127.0.0.1")
    sent = [f"{number}\n".encode() for number in range(200)]
    async with server, line.laid(server.sockets[0].getsockname()[1], DELAY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        for piece in sent:
            writer.write(piece)
            await asyncio.sleep(0)
        writer.write_eof()
        first = await reader.read(1)
        took = time.monotonic() - began
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert took >= DELAY
    assert first + rest == b"".join(sent)


@pytest.mark.parametrize(
    ("measured", "at_least", "reached"),
    [
        (7.9, False, True),
        (8.0, False, True),
        (8.1, False, False),
        (7.9, True, False),
        (8.0, True, True),
        (8.1, True, True),
    ],
)
def test_target_is_an_upper_or_lower_limit(measured: float, at_least: bool, reached: bool) -> None:
    """A measurement may equal the limit, and exceed it in one direction only."""
    target = Target("It", measured, 8, "s", at_least=at_least)

    assert target.reached is reached
    assert target.wanted == f"at {'least' if at_least else 'most'} 8 s"


async def test_missing_message_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """A sender that claims success is not trusted: the server's count decides."""

    async def claim(*_: Any, **__: Any) -> Figures:
        """Send nothing, and report success."""
        return Figures(messages=1, elapsed=0.001)

    monkeypatch.setattr(run, "in_process", claim)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # The run sets it, and nothing resets it.

    with pytest.raises(BenchError, match=r"got 0 messages instead of 1: .*'cold', delay=0"):
        await run.carry_out([0], ["cold"], quick=True)


def test_summary_has_the_longest_stall_and_medians() -> None:
    """Watching costs processor time, so only the stall is taken from watched runs."""
    quiet = [Figures(messages=1, elapsed=elapsed, cpu=1, memory=2) for elapsed in (1, 5, 3)]
    watched = Figures(messages=1, elapsed=9, cpu=9, memory=9, stall=0.25)

    assert summarize([*quiet, watched]) == Figures(
        messages=1, elapsed=3, cpu=1, memory=2, stall=0.25
    )
    assert summarize([watched]) == watched


def _results() -> Results:
    """Return possible measurements of a complete run."""
    results = Results(quick=False, lines={0: 0.001, 100: 0.101})
    rows = [Row(name, delay, way) for name in SCENARIOS for delay in results.lines for way in Way]
    for row in filter(is_measured, rows):
        elapsed = 8.0 if row.way is Way.BUILTIN else 2.0
        results.rows[row] = Figures(messages=10, elapsed=elapsed, cpu=1, memory=7e6, stall=0.021)
    results.set_ups = {"alive": (0.09, 0.05), "dead": (0.09, 0.06)}
    results.imports = {"outlook_smtp": 0.3, "ntfy": 0.2}
    return results


def _cells(table: str) -> list[list[str]]:
    """Return the cells of a table, without its header."""
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


def test_row_shows_its_measurements() -> None:
    """A ratio needs a built-in integration that does the same, and round trips need a delay."""
    found = report.sections(_results())

    assert _cells(found["burst"])[2::5] == [
        ["0 ms", Way.OURS, "2.000", "-", "4.00x", "5.0", "21.0", "7.0", "100.0"],
        ["100 ms", Way.OURS, "2.000", "2.00", "4.00x", "5.0", "21.0", "7.0", "100.0"],
    ]
    assert [row[:5] for row in _cells(found["queue"])] == [
        ["0 ms", Way.BUILTIN, "8.000", "-", "-"],
        ["0 ms", Way.AIOSMTPLIB, "2.000", "-", "-"],
        ["0 ms", Way.OURS, "2.000", "-", "-"],
        ["0 ms", Way.GRAPH, "2.000", "-", "-"],
        ["100 ms", Way.OURS, "2.000", "2.00", "-"],
        ["100 ms", Way.GRAPH, "2.000", "2.00", "-"],
    ]


def test_targets_apply_where_latency_dominates() -> None:
    """Round trips and ratios are judged from 100 ms on, 20 MB and startup always."""
    judged = {target.what: target.reached for target in report.targets(_results())}

    assert judged == {
        "Longest stall with 20 MB and CHUNKING, at 0 ms": False,
        "Memory growth with 20 MB and CHUNKING, at 0 ms": True,
        "Longest stall with 20 MB and PIPELINING alone, at 0 ms": False,
        "Memory growth with 20 MB and PIPELINING alone, at 0 ms": True,
        "Warm message with CHUNKING, at 100 ms": False,
        "Warm message with PIPELINING alone, at 100 ms": True,
        "Cold message with CHUNKING, TCP's handshake not counted, at 100 ms": True,
        "Burst of 100 with CHUNKING, compared with built-in, at 100 ms": False,
        "Longest stall with 20 MB and CHUNKING, at 100 ms": False,
        "Memory growth with 20 MB and CHUNKING, at 100 ms": True,
        "Longest stall with 20 MB and PIPELINING alone, at 100 ms": False,
        "Memory growth with 20 MB and PIPELINING alone, at 100 ms": True,
        "Set-up, server alive": True,
        "Set-up, server dead": False,
        "Import, compared with ntfy": True,
    }


def test_page_matches_its_template() -> None:
    """The template has a place for everything, and the page was not edited by hand."""
    template = report.TEMPLATE.read_text()
    pattern = re.sub(r"\\\$\w+", "[^#]+", re.escape(template))

    assert Template(template).get_identifiers() == list(report.sections(_results()))
    assert re.fullmatch(pattern, report.PAGE.read_text())
