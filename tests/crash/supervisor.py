"""The test's side of the sender processes: starts them, reads their events, kills them."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
import json
import os
from pathlib import Path
import select
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Self

from .kill_points import KillPoint
from .sender_process import Order, Place

PROJECT: Final = Path(__file__).parents[2]
PROGRAM: Final = "tests.crash.sender_process"
IMPORT_LIMIT: Final = 60.0  # Seconds.
PATIENCE: Final = 20.0  # Seconds until an event must arrive.
GRACE: Final = 1.0  # Seconds after which a sender process is killed that may never see its moment.

# The phases of a sender process, most important first.
PHASES: Final = (
    *("cancel", "retry", "delete", "restrict", "fail", "settle"),
    *("submit", "write", "compose", "connect", "switch"),
)


def wait_until(condition: Callable[[], bool], limit: float = 60.0) -> None:
    """Wait for another process or thread, up to a number of seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.002)


type Share = tuple[int, str]  # The number of a message, and one of its recipients.


@dataclass
class Life:
    """The events of one sender process."""

    order: Order
    pid: int = 0
    status: int = 0
    found: int | None = None  # Messages that it found in the outbox.
    open: list[str] = field(default_factory=list)  # The work in progress when it died.
    calls: dict[int, int] = field(default_factory=dict)  # The step by message number.
    acknowledged: dict[int, str] = field(default_factory=dict)  # The Message-ID by message number.
    statuses: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    passed: set[int] = field(default_factory=set)
    clock: set[int] = field(default_factory=set)  # The step before which the clock was corrected.
    # Recipients of messages: those found at the start, in each message on disk; those known to have
    # been sent; those it was about to cancel, and canceled.
    found_shares: list[list[Share]] = field(default_factory=list)
    settled: set[Share] = field(default_factory=set)
    cancel: set[Share] = field(default_factory=set)
    canceled: set[Share] = field(default_factory=set)
    retry: set[Share] = field(default_factory=set)
    retried: int = 0
    switched: int = 0

    @property
    def phase(self) -> str:
        """Return the phase in which it died, in the order of a message's path."""
        if self.found is None:
            return "start" if "open" not in self.open else "read"
        return next((phase for phase in PHASES if phase in self.open), "idle")

    @property
    def splits(self) -> int:
        """Return how many messages were split over several files, for some recipients each."""
        numbers = Counter(shares[0][0] for shares in self.found_shares)
        return sum(messages > 1 for messages in numbers.values())

    def hear(self, event: str) -> None:
        """Process an event."""
        match event.split(" ", 2):
            case ["forked", pid]:
                self.pid = int(pid)
            case ["ready", found]:
                self.found = int(found)
            case ["dead", status, _]:
                self.status = int(status)
            case ["retried" | "switched" as turn, count]:
                setattr(self, turn, getattr(self, turn) + int(count))
            case ["passed" | "refused" | "clock" as turn, number]:
                getattr(self, turn).add(int(number))
            case ["call" | "ack" | "error" as turn, number, rest]:
                self._hear_of_call(turn, int(number), rest)
            case ["found" | "settled" | "cancel" | "canceled" | "retry" as turn, number, names]:
                self._hear_of_shares(turn, [(int(number), name) for name in names.split()])
            case [phase] if phase[0] == "+":
                self.open.append(phase[1:])
            case [phase] if phase[0] == "-":
                self.open.remove(phase[1:])
            case _:
                raise AssertionError(f"unknown event: {event}")

    def _hear_of_call(self, turn: str, number: int, rest: str) -> None:
        """Record a message that is about to be sent, or its result."""
        if turn == "call":
            self.calls[number] = int(rest)
        elif turn == "ack":
            status, self.acknowledged[number] = rest.split()
            self.statuses.append(status)
        else:
            self.errors.append(f"message {number}: {rest}")

    def _hear_of_shares(self, turn: str, shares: list[Share]) -> None:
        """Record what is or was done for some recipients of a message."""
        if turn == "found":
            self.found_shares.append(shares)
        else:
            getattr(self, turn).update(shares)


class Supervisor:
    """Runs the program that forks sender processes; nothing of it is left on exit."""

    def __init__(self, log: Path) -> None:
        """Set the log of the program itself."""
        self._log = log
        self._heard = b""

    def __enter__(self) -> Self:
        """Start the program, and wait until it has imported everything."""
        with self._log.open("ab") as log:
            self._maker = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", PROGRAM],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )
        try:
            first = self._hear(time.monotonic() + IMPORT_LIMIT)
            assert first == "prepared", first
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the program, which also ends the sender process."""
        self._end()

    def _end(self) -> None:
        """Let the program end by closing its input."""
        assert self._maker.stdin
        assert self._maker.stdout
        self._maker.stdin.close()
        try:
            self._maker.wait(5)
        except subprocess.TimeoutExpired:
            self._maker.kill()
            self._maker.wait()
        self._maker.stdout.close()

    def run(self, place: Place, order: Order, kill_point: KillPoint | None = None) -> Life:
        """Run one sender process until its kill point or its end, and return its output."""
        assert self._maker.stdin
        life = Life(order)
        task = {"place": asdict(place), "order": asdict(order)}
        self._maker.stdin.write(f"{json.dumps(task)}\n".encode())
        deadline = time.monotonic() + PATIENCE
        while kill_point and (event := self._hear(deadline)):
            life.hear(event)
            if event.startswith("dead"):
                return life
            if event.startswith("ready") and not order.halt:
                deadline = time.monotonic() + GRACE
            if kill_point.has_come(event):
                break
        if kill_point:
            time.sleep(kill_point.delay)
            with suppress(ProcessLookupError):  # It exited, as its status shows.
                os.kill(life.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while event := self._hear(deadline):
            life.hear(event)
            if event.startswith("dead"):
                return life
        raise TimeoutError(f"the sender process did not end; last heard: {life}")

    def _hear(self, deadline: float) -> str | None:
        """Return the next event, or nothing after a timeout."""
        while b"\n" not in self._heard:
            assert self._maker.stdout
            wait = max(deadline - time.monotonic(), 0.0)
            if not select.select([self._maker.stdout], [], [], wait)[0]:
                return None
            piece = os.read(self._maker.stdout.fileno(), 2**16)
            if not piece:
                raise EOFError(
                    f"The program that makes sender processes has ended. Its log: {self._log}"
                )
            self._heard += piece
        if time.monotonic() >= deadline:
            return None
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()
