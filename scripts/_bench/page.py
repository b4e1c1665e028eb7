"""The page that tells of a run: docs/performance.md."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
import os
from pathlib import Path
import platform
import re
from typing import Final

from . import tables
from .orders import Scenario
from .plan import Plan
from .processes import PROJECT
from .run import Results

PATH: Final = PROJECT / "docs" / "performance.md"
SCENARIOS: Final[dict[Scenario, str]] = {
    Scenario.COLD: "A cold message: no connection is open",
    Scenario.WARM: "A warm message: one follows another",
    Scenario.BURST: "A burst: many messages at once",
    Scenario.BIG: "20 MB of attachments",
    Scenario.QUEUE: "1,000 queued messages",
}
INTRODUCTION: Final = """\
# Performance

How long does Home Assistant take to send a mail, and what does it cost meanwhile? Three ways are
compared: the `smtp` integration as Home Assistant ships it (an action of its notify entity; the
old `notify.<name>` action, which it ships too and whose messages go out of several threads at
once, is not measured), the library aiosmtplib without Home Assistant (one connection that is kept
open), and this integration (the action `outlook_smtp.send_message`). All send to the same server
on the same machine, a look-alike of Microsoft's with STARTTLS and sign-in, at the end of a line
that is as long as the table says: a delay of 100 ms means that an answer comes 100 ms after the
question, a round trip. The machine differs from yours, so compare the rows with one another: the
ratios are what counts.

- Every measurement runs in a process of its own, after everything was set up and loaded.
- Single messages are measured three times, and the median counts; a burst and the queue once.
- A row counts only if the server got every message of it, and for single messages only if each
  was sent, not merely queued, when the action ended.
- The line is long, not narrow: it takes as many bytes at once as anybody sends. Over an uplink of
  10 Mbit/s, 20 MB of attachments alone take more than 20 seconds, whoever sends them.
- Round trips are the whole time divided by the delay and the number of messages, with the time of
  the processor in it.
- TCP's own handshake happens at the near end of the line and is not counted. In reality it adds
  the same one and a half round trips to every new connection of all three ways.
- The built-in integration takes leave after every message and waits for the answer to QUIT,
  because that is how it is shipped. The other two keep their connection open.
- The longest stall is by how much a clock of 1 ms in the event loop was late. It is watched in a
  process of its own, for ten seconds at most, because watching takes time of the processor.
- Memory growth is the peak of the process above what it had before. The files that are attached
  are in it.
- CPU is that of the process that sends, not the server's.
- The pace that this integration keeps for Microsoft's sake, 30 messages a minute, is switched off,
  and the limits of its outbox are raised.
- The built-in integration and aiosmtplib have no outbox: they send the 1,000 messages in a row.
- Where the server lacks CHUNKING, as some do, this integration makes do with PIPELINING, which
  costs one round trip more. Microsoft's servers have both.
- All sign in with a password, because the built-in integration can do nothing else. Signing in
  with Microsoft takes one round trip less."""
NOTES: Final[dict[Scenario, str]] = {
    Scenario.BIG: """\
After DATA the server reads line by line, after BDAT (CHUNKING) all at once: 20 MB cost it about
0.3 s less. That is in the times of all rows but that of Outlook.com SMTP with CHUNKING.""",
    Scenario.QUEUE: """\
This integration has composed the messages and written them to the disk before the clock starts;
the others, which have no outbox, compose them while it runs, so that no ratio is given.""",
}
LINES: Final = """\
How long the answer to one small command took, before anything was sent over the line: the median
of three, of the two lines of each length the slower one."""
TARGETS: Final = """\
Judged are delays of 100 ms and more, for 20 MB of attachments every delay, and, but with
`--quick`, set-up and import."""
SET_UP: Final = """\
How long Home Assistant waits for an account: with the server alive, dead (it refuses connections)
and black-holed (it never answers). The first set-up after the start includes loading the code,
which Home Assistant does in threads. The second number is the set-up itself, the median of five,
and the one that is judged."""
IMPORT: Final = """\
How long Python takes to load everything that Home Assistant loads of the integration, compared
with Home Assistant's own `ntfy`, after what both of them import. The median of five."""
AGAIN: Final = """\
`scripts/bench` measures everything, compares it with the targets and writes this page; it takes
the better part of an hour. Every other run only prints what it finds: `--once` measures each row
once only and takes half of that, `--quick` gives a first impression in two minutes, and `--delay`
and `--scenario` choose rows."""


def write(plan: Plan, results: Results) -> None:
    """Write the page."""
    PATH.write_text("\n\n".join((INTRODUCTION, *_sections(plan, results))) + "\n")


def report(plan: Plan, results: Results) -> str:
    """Return what a terminal shows of a run."""
    return "\n\n".join(_sections(plan, results))


def _sections(plan: Plan, results: Results) -> Iterator[str]:
    """Yield the sections."""
    yield "## The machine"
    yield "\n".join(f"- {name}: {value}" for name, value in _machine())
    yield from ("## The lines", LINES, tables.render(tables.of_lines(results)))
    yield from ("## Targets", TARGETS, tables.render(tables.of_targets(plan, results)))
    for scenario in plan.scenarios:
        yield f"## {SCENARIOS[scenario]}"
        if note := NOTES.get(scenario):
            yield note
        yield tables.render(tables.of_scenario(plan, results, scenario))
    yield from ("## Set-up", SET_UP, tables.render(tables.of_set_ups(results)))
    yield from ("## Import", IMPORT, tables.render(tables.of_imports(results)))
    yield from ("## Measure again", AGAIN)


def _machine() -> Iterator[tuple[str, str]]:
    """Yield what is to be known of the machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "Processor", f"{_processor()}, {os.cpu_count()} cores"
    yield "Memory", f"{pages / 2**30:.1f} GiB"
    yield "System", f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()}"
    yield "Python", platform.python_version()
    yield "Home Assistant", version("homeassistant")
    yield "aiosmtplib", version("aiosmtplib")
    yield "Date", f"{datetime.now(UTC):%Y-%m-%d}"


def _processor() -> str:
    """Return the processor's name, or at least its kind."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
