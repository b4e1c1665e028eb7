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
from benchmarks.meters import CPU, MEMORY, STALL, SYNCS, TIME, WRITTEN, Figures, metered
from benchmarks.run import Results, Row
from benchmarks.scenarios import AGAIN, FASTER, ROUND_TRIPS, SCENARIOS
from benchmarks.senders import OURS
from tests.promises import AFTER_SNAPSHOT, MANY_MEMORY, OVERTAKES_WITHIN, SYNCS_A_MESSAGE

DELAY = 0.1
COLUMNS = {column for scenario in SCENARIOS.values() for column in scenario.columns}


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo all data, and the end of the stream."""
    while piece := await reader.read(2**16):
        writer.write(piece)
    writer.write_eof()
    writer.close()


async def test_line_delays_everything_in_order(socket_enabled: None) -> None:
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
    ("measured", "column", "is_reached"),
    [
        (7.9, TIME, True),
        (8.0, TIME, True),
        (8.1, TIME, False),
        (7.9, FASTER, False),
        (8.0, FASTER, True),
        (8.1, FASTER, True),
    ],
)
def test_target_is_an_upper_or_lower_limit(measured: float, column: str, is_reached: bool) -> None:
    """A measurement may equal the limit, and exceed it in one direction only."""
    target = report.Target("It", "cold", OURS, column, 8)

    assert target.is_reached(measured) == is_reached
    assert str(target) == f"at {'least' if column == FASTER else 'most'} 8"


async def test_missing_message_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """A sender that claims success is not trusted: the server's count decides."""

    async def claim(*_: Any) -> Figures:
        """Send nothing, and report success."""
        return {TIME: 0.001}

    monkeypatch.setattr(run, "in_process", claim)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # The run sets it, and nothing resets it.

    with pytest.raises(BenchError, match=r"got 0 messages of 1: .*'cold', delay=0"):
        await run.run_all([0], ["cold"], quick=True)


async def test_figures_are_medians_and_the_stall_of_a_watched_run(
    monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    """Watching costs processor time, so only the stall is taken from the watched run."""
    taken: list[Figures] = [{TIME: 1}, {TIME: 5}, {TIME: 3}, {STALL: 0.25}]

    async def give(*_: Any) -> Figures:
        """Return the figures one after another."""
        return taken.pop(0)

    monkeypatch.setattr(run, "in_process", give)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(servers, "count", lambda _recipient: 2)
        figures = await run.measure(Row("big", 100, OURS), [1], "", pool, quick=False)

    assert figures == {TIME: 3, STALL: 0.25, ROUND_TRIPS: 30}
    assert not taken


def _results() -> Results:
    """Return possible measurements of a complete run."""
    return {
        Row(name, delay, way): dict.fromkeys(COLUMNS, 2.0) | {SYNCS: 4.0, STALL: 21, AGAIN: 51}
        for name, scenario in SCENARIOS.items()
        for delay in (0, 100)
        for way, longest in scenario.ways.items()
        if delay <= longest
    }


def test_row_shows_its_measurements() -> None:
    """A scenario shows the figures it asks for, and none that a row lacks."""
    row, other = Row("overtake", 0, OURS), Row("attached", 100, OURS)
    found = report.sections({row: {TIME: 0.912345, STALL: 1}, other: {TIME: 12345, CPU: 0}})

    def cells(table: str) -> list[list[str]]:
        """Return the cells of a table, without its header."""
        return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]

    assert cells(found["overtake"]) == [["0 ms", OURS.label, "0.912"]]
    assert cells(found["attached"]) == [["100 ms", OURS.label, "12,345", "-", "-", "-", "-", "0"]]


async def test_wear_is_what_is_written_and_synced(tmp_path: Path) -> None:
    """Both are counted for each message, and a socket does not count as written."""
    figures: Figures = {}
    near, far = socket.socketpair()
    async with metered(figures, 2):
        near.send(bytes(50_000))
        with (tmp_path / "file").open("wb") as file:
            file.write(bytes(1000))
            file.flush()
            os.fsync(file.fileno())
    near.close()
    far.close()

    assert figures[SYNCS] == 0.5
    assert 0.5 <= figures[WRITTEN] < 25


def test_targets_apply_where_latency_dominates() -> None:
    """Round trips and ratios are judged from 100 ms on, everything else wherever it is measured."""
    judged = {
        (target.what, target.column, delay): target.is_reached(measured)
        for target, delay, measured in report.judged(_results())
    }
    always = {
        (f"20 MB with {way}", column, delay): reached
        for way in ("CHUNKING", "PIPELINING alone")
        for column, reached in ((STALL, False), (MEMORY, True))
        for delay in (0, 100)
    }

    assert judged == always | {
        ("Warm message with CHUNKING", ROUND_TRIPS, 100): False,
        ("Warm message with PIPELINING alone", ROUND_TRIPS, 100): True,
        ("Cold message, TCP's handshake not counted", ROUND_TRIPS, 100): True,
        ("Burst of 100, compared with built-in", FASTER, 100): False,
        ("Urgent message behind 20 MB at 1 MB/s", TIME, 0): True,
        ("Urgent message behind 20 MB at 1 MB/s", TIME, 100): True,
        ("Message after a snapshot of one second", ROUND_TRIPS, 100): False,
        ("Start with 10,000 waiting", TIME, 0): True,
        ("Start with 10,000 waiting", MEMORY, 0): True,
        ("Short message", SYNCS, 0): False,
        ("Set-up, server alive", AGAIN, 0): False,
        ("Set-up, server dead", AGAIN, 0): False,
        ("Set-up, server silent", AGAIN, 0): False,
        ("Import, compared with ntfy", FASTER, 0): True,
    }
    assert len(report.missed(_results())) == list(judged.values()).count(False)
    assert report.missed({Row("big", 100, OURS): {TIME: 1, MEMORY: 1}}) == []  # As a quick run.


def test_promises_are_targets() -> None:
    """What users are promised is judged in each run."""
    limits = {(target.scenario, target.column): target.limit for target in report.TARGETS}

    assert limits["overtake", TIME] == OVERTAKES_WITHIN
    assert limits["snapshot", ROUND_TRIPS] == AFTER_SNAPSHOT
    assert limits["waiting", MEMORY] == MANY_MEMORY / 1e6
    assert limits["wear", SYNCS] == SYNCS_A_MESSAGE


def test_page_matches_its_template() -> None:
    """The template has a place for everything, and the page was not edited by hand."""
    template = report.TEMPLATE.read_text()
    pattern = re.sub(r"\\\$\w+", "[^#]+", re.escape(template))

    assert Template(template).get_identifiers() == list(report.sections(_results()))
    assert re.fullmatch(pattern, report.PAGE.read_text())
