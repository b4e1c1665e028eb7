"""The benchmark measures what it claims: its lines, its targets, and arriving messages."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import re
import socket
from string import Template
import time
from typing import Any

import pytest

from benchmarks import BenchError, line, report, run, servers
from benchmarks.meters import Figures, worn
from benchmarks.run import Results, Row
from benchmarks.scenarios import SCENARIOS
from benchmarks.senders import Builtin, Ours, OverGraph, Plain
from tests.promises import AFTER_SNAPSHOT, OVERTAKES_WITHIN

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
    async with server, line.delayed(server.sockets[0].getsockname()[1], DELAY) as port:
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


async def test_connections_share_a_narrow_uplink(socket_enabled: None) -> None:
    """What is sent last on another connection neither waits for all of the first, nor costs it."""
    server = await asyncio.start_server(_echo, "127.0.0.1")
    async with server, line.delayed(server.sockets[0].getsockname()[1], 0, 400_000) as port:
        large, large_writer = await asyncio.open_connection("127.0.0.1", port)
        small, small_writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        large_writer.write(bytes(100_000))
        small_writer.write(b"urgent")
        await small.readexactly(6)
        overtook = time.monotonic() - began
        await large.readexactly(100_000)
        took = time.monotonic() - began
        for writer in (large_writer, small_writer):
            writer.close()
            await writer.wait_closed()

    assert overtook < 0.125
    assert took >= 0.25


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
    target = report.judge("It", measured, 8, "s", at_least=at_least)

    assert target == ("It", f"at {'least' if at_least else 'most'} 8 s", measured, reached)


async def test_missing_message_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """A sender that claims success is not trusted: the server's count decides."""

    async def claim(*_: Any) -> Figures:
        """Send nothing, and report success."""
        return {"elapsed": 0.001}

    monkeypatch.setattr(run, "in_process", claim)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # The run sets it, and nothing resets it.

    with pytest.raises(BenchError, match=r"got 0 messages of 1: .*'cold', delay=0"):
        await run.run_all([0], ["cold"], quick=True)


async def test_figures_are_medians_and_the_stall_of_a_watched_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """Watching costs processor time, so only the stall is taken from the watched run."""
    taken: list[Figures] = [{"elapsed": 1}, {"elapsed": 5}, {"elapsed": 3}, {"stall": 0.25}]

    async def give(*_: Any) -> Figures:
        """Return the figures one after another."""
        return taken.pop(0)

    monkeypatch.setattr(run, "in_process", give)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(servers, "count", lambda _recipient: 1)
        figures = await run.measure(Row("cold", 100, Ours), [1], "", pool, quick=False)

    assert figures == {"elapsed": 3, "stall": 0.25, "messages": 1, "delay": 0.1}
    assert not taken


def _results() -> Results:
    """Return possible measurements of a complete run."""
    results = Results(quick=False, delays=(0, 100))
    for name, scenario in SCENARIOS.items():
        for delay in results.delays:
            for way in (way for way, longest in scenario.ways.items() if delay <= longest):
                figures: Figures = {"elapsed": 8.0 if way is Builtin else 2.0, "memory": 7e6}
                figures |= {"messages": 10, "delay": delay / 1000, "cpu": 1, "stall": 0.021}
                figures |= {"syncs": 40, "written": 30_000} if name == "wear" else {}
                results.rows[Row(name, delay, way)] = figures
    results.timings = {
        "lines": {"0 ms": [0.001], "100 ms": [0.101]},
        "set_up": {"alive": (0.09, 0.05), "dead": (0.09, 0.06)},
        "import": {"outlook_smtp": [0.3], "ntfy": [0.2]},
    }
    return results


def _cells(table: str) -> list[list[str]]:
    """Return the cells of a table, without its header."""
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


def test_row_shows_its_measurements() -> None:
    """A ratio needs a built-in integration that does the same, and round trips need a delay."""
    found = report.sections(_results())

    assert _cells(found["burst"])[2::5] == [
        ["0 ms", Ours.label, "2.000", "-", "4.00x", "5.0", "21.0", "7.0", "100.0"],
        ["100 ms", Ours.label, "2.000", "2.00", "4.00x", "5.0", "21.0", "7.0", "100.0"],
    ]
    assert _cells(found["queue"]) == [
        ["0 ms", Builtin.label, "8.000", "-", "1.2", "21.0", "7.0", "100.0"],
        ["0 ms", Plain.label, "2.000", "-", "5.0", "21.0", "7.0", "100.0"],
        ["0 ms", Ours.label, "2.000", "-", "5.0", "21.0", "7.0", "100.0"],
        ["0 ms", OverGraph.label, "2.000", "-", "5.0", "21.0", "7.0", "100.0"],
        ["100 ms", Ours.label, "2.000", "2.00", "5.0", "21.0", "7.0", "100.0"],
        ["100 ms", OverGraph.label, "2.000", "2.00", "5.0", "21.0", "7.0", "100.0"],
    ]


async def test_wear_is_what_is_written_and_synced(tmp_path: Path) -> None:
    """Both are counted, and a socket does not count as written."""
    figures: Figures = {}
    near, far = socket.socketpair()
    async with worn(figures):
        near.send(bytes(50_000))
        with (tmp_path / "file").open("wb") as file:
            file.write(bytes(1000))
            file.flush()
            os.fsync(file.fileno())
    near.close()
    far.close()

    assert figures["syncs"] == 1
    assert 1000 <= figures["written"] < 50_000
    assert report.COLUMNS[report.SYNCS][1](figures | {"messages": 2}) == 0.5


def test_day_is_a_scenario_without_messages() -> None:
    """The columns of a day are those of no other scenario."""
    column = report.COLUMNS["CPU a day (s)"][1]

    assert column({"cpu": 3, "messages": 0, "syncs": 0}) == 3
    others: list[Figures] = [{"messages": 1, "syncs": 0}, {"messages": 0}]
    for other in others:
        with pytest.raises(KeyError):
            column({"cpu": 3} | other)


def test_targets_apply_where_latency_dominates() -> None:
    """Round trips and ratios are judged from 100 ms on; seconds, stalls and memory always."""
    judged = {target.what: target.reached for target in report.targets(_results())}

    assert judged == {
        "Longest stall with 20 MB and CHUNKING, at 0 ms": False,
        "Memory growth with 20 MB and CHUNKING, at 0 ms": True,
        "Longest stall with 20 MB and PIPELINING alone, at 0 ms": False,
        "Memory growth with 20 MB and PIPELINING alone, at 0 ms": True,
        "Urgent message behind 20 MB at 1 MB/s, at 0 ms": True,
        "Start with 10,000 waiting, at 0 ms": True,
        "Memory growth with 10,000 waiting, at 0 ms": True,
        "Short message with CHUNKING, at 0 ms": False,
        "Warm message with CHUNKING, at 100 ms": False,
        "Warm message with PIPELINING alone, at 100 ms": True,
        "Cold message with CHUNKING, TCP's handshake not counted, at 100 ms": True,
        "Burst of 100 with CHUNKING, compared with built-in, at 100 ms": False,
        "Urgent message behind 20 MB at 1 MB/s, at 100 ms": True,
        "Message after a snapshot of one second, at 100 ms": False,
        "Longest stall with 20 MB and CHUNKING, at 100 ms": False,
        "Memory growth with 20 MB and CHUNKING, at 100 ms": True,
        "Longest stall with 20 MB and PIPELINING alone, at 100 ms": False,
        "Memory growth with 20 MB and PIPELINING alone, at 100 ms": True,
        "Set-up, server alive": True,
        "Set-up, server dead": False,
        "Import, compared with ntfy": True,
    }


def test_promises_are_targets() -> None:
    """What users are promised about urgent email is judged in each run."""
    limits = {scenario: limit for _, scenario, _, _, limit in report.LIMITS}

    assert limits["overtake"] == OVERTAKES_WITHIN
    assert limits["snapshot"] == AFTER_SNAPSHOT


def test_page_matches_its_template() -> None:
    """The template has a place for everything, and the page was not edited by hand."""
    template = report.TEMPLATE.read_text()
    pattern = re.sub(r"\\\$\w+", "[^#]+", re.escape(template))

    assert Template(template).get_identifiers() == list(report.sections(_results()))
    assert re.fullmatch(pattern, report.PAGE.read_text())
