"""The test's side of the sender processes: starts them, hears what they tell, kills them."""

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
from .sender_process import Order

PROJECT: Final = Path(__file__).parents[2]
PATIENCE: Final = 20.0  # Seconds until something has to be heard.
GRACE: Final = 1.0  # Seconds after which a sender process is killed that may never see its moment.

# What a sender process can be doing, what matters more first.
PHASES: Final = (
    *("cancel", "retry", "delete", "restrict", "fail", "settle"),
    *("submit", "write", "compose", "connect"),
)


def wait_until(condition: Callable[[], bool], limit: float = 60.0) -> None:
    """Wait for what another process or thread brings about, for so many seconds at most."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.002)


type Share = tuple[int, str]  # The number of a message, and one of its recipients.


@dataclass
class Life:
    """What was heard of one sender process."""

    order: Order
    pid: int = 0
    status: int = 0
    found: int | None = None  # Messages that it found in the outbox.
    open: list[str] = field(default_factory=list)  # What was under way when it died.
    calls: dict[int, int] = field(default_factory=dict)  # The step by the number.
    acknowledged: dict[int, str] = field(default_factory=dict)  # The Message-ID by the number.
    statuses: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    passed: set[int] = field(default_factory=set)
    clock: set[int] = field(default_factory=set)  # The step before which the clock was set right.
    # Recipients of messages: those found at the start, in each of the messages on disk; those for
    # whom it knew the message to be sent; those for whom it was about to cancel it, and did.
    found_shares: list[list[Share]] = field(default_factory=list)
    settled: set[Share] = field(default_factory=set)
    cancel: set[Share] = field(default_factory=set)
    canceled: set[Share] = field(default_factory=set)
    retry: set[Share] = field(default_factory=set)
    retried: int = 0

    @property
    def phase(self) -> str:
        """Return what it was doing when it died, in the order of a message's way."""
        if self.found is None:
            return "start" if "open" not in self.open else "read"
        return next((phase for phase in PHASES if phase in self.open), "idle")

    @property
    def splits(self) -> int:
        """Return how many messages it found in several messages, for some recipients each."""
        numbers = Counter(shares[0][0] for shares in self.found_shares)
        return sum(messages > 1 for messages in numbers.values())

    def hear(self, event: str) -> None:
        """Note an event."""
        match event.split(" ", 2):
            case ["forked", pid]:
                self.pid = int(pid)
            case ["ready", found]:
                self.found = int(found)
            case ["dead", status, _]:
                self.status = int(status)
            case ["retried", count]:
                self.retried += int(count)
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
        """Note that a message is about to be sent, or what the caller was answered."""
        if turn == "call":
            self.calls[number] = int(rest)
        elif turn == "ack":
            status, self.acknowledged[number] = rest.split()
            self.statuses.append(status)
        else:
            self.errors.append(f"message {number}: {rest}")

    def _hear_of_shares(self, turn: str, shares: list[Share]) -> None:
        """Note what is or was done about some recipients of a message."""
        if turn == "found":
            self.found_shares.append(shares)
        else:
            getattr(self, turn).update(shares)


class Supervisor:
    """Holds the program that makes sender processes; when it is left, nothing of them is left."""

    def __init__(self, folder: Path, log: Path, ca_file: Path) -> None:
        """Choose Home Assistant's folder, where it logs, and whom it trusts."""
        self._folder = folder
        self.log = log
        self._ca_file = ca_file
        self._heard = b""

    def __enter__(self) -> Self:
        """Start the program, and wait until it has imported everything."""
        with self.log.open("ab") as log:
            self._maker = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "tests.crash.sender_process", str(self._folder)],
                cwd=PROJECT,
                env=os.environ | {"REQUESTS_CA_BUNDLE": str(self._ca_file)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )
        try:
            first = self._hear(time.monotonic() + PATIENCE)
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
        """End the program, which ends the sender process."""
        self._end()

    def _end(self) -> None:
        """Let the program end by the end of its orders."""
        assert self._maker.stdin
        assert self._maker.stdout
        self._maker.stdin.close()
        try:
            self._maker.wait(5)
        except subprocess.TimeoutExpired:
            self._maker.kill()
            self._maker.wait()
        self._maker.stdout.close()

    def run(self, order: Order, kill_point: KillPoint | None = None) -> Life:
        """Let one sender process live until its kill point or its end, and return its output."""
        assert self._maker.stdin
        life = Life(order)
        self._maker.stdin.write(f"{json.dumps(asdict(order))}\n".encode())
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
            with suppress(ProcessLookupError):  # It died of itself, which its status tells.
                os.kill(life.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while event := self._hear(deadline):
            life.hear(event)
            if event.startswith("dead"):
                return life
        raise TimeoutError(f"the sender process did not end; last heard: {life}")

    def _hear(self, deadline: float) -> str | None:
        """Return what is told next, or nothing after a time."""
        while b"\n" not in self._heard:
            assert self._maker.stdout
            wait = max(deadline - time.monotonic(), 0.0)
            if not select.select([self._maker.stdout], [], [], wait)[0]:
                return None
            piece = os.read(self._maker.stdout.fileno(), 2**16)
            if not piece:
                raise EOFError(
                    f"The program that makes sender processes has ended. Its log: {self.log}"
                )
            self._heard += piece
        if time.monotonic() >= deadline:
            return None
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()
