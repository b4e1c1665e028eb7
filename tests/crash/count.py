"""Counts at the server what became of every letter."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.standin import Received

from .victim import letter_of
from .ward import Life


@dataclass(frozen=True)
class Round:
    """One victim, what the server received from it, and whether it left a half-written file."""

    life: Life
    received: tuple[Received, ...]
    torn: bool = False

    @property
    def killed(self) -> bool:
        """Tell whether the victim was killed, whose answer may have come to nobody."""
        return not self.life.order.finish


@dataclass(frozen=True)
class Copy:
    """A message as the server received it, and why its sender may not know that it did."""

    mail: Received
    number: int
    position: int
    dropped: bool
    killed: bool


@dataclass
class Count:
    """What is to be said in the end; every list that names a wrong has to be empty."""

    kills: int
    letters: int
    acknowledged: int
    queued: int
    copies: int
    torn: int
    kept: int
    by_drop: int = 0
    by_kill: int = 0
    wrong_clocks: int = 0
    jumps: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    passed: int = 0

    @property
    def wrongs(self) -> dict[str, list[str]]:
        """Return what should not be, by its name."""
        named = {
            "lost": self.lost,
            "unexplained copies": self.unexplained,
            "altered": self.altered,
            "out of order": self.disordered,
        }
        return {name: wrongs for name, wrongs in named.items() if wrongs}

    def __str__(self) -> str:
        """Return all of it in a few lines."""
        phases = ", ".join(f"{phase} {times}" for phase, times in sorted(self.phases.items()))
        return (
            f"{self.kills} kills ({phases}), {self.torn} left a half-written file, "
            f"{self.kept} starts found mail in the outbox; {self.letters} letters begun, "
            f"{self.acknowledged} acknowledged ({self.queued} of them before they were sent); "
            f"lost: {len(self.lost)}; duplicates: {self.by_drop} where the answer was dropped, "
            f"{self.by_kill} where it came to a killed process, {len(self.unexplained)} others; "
            f"{self.passed} let others pass, {len(self.disordered)} out of order otherwise; "
            f"{self.wrong_clocks} starts with a wrong clock, {self.jumps} of them saw it set"
        )


def count(rounds: Sequence[Round]) -> Count:
    """Count what became of the letters of all rounds."""
    lives = [round_.life for round_ in rounds]
    copies = list(_copies(rounds))
    acknowledged = {
        number: message_id for life in lives for number, message_id in life.acknowledged.items()
    }
    steps = {number: step for life in lives for number, step in life.calls.items()}
    passed = {number for life in lives for number in life.passed}
    result = Count(
        kills=sum(round_.killed for round_ in rounds),
        letters=len(steps),
        acknowledged=len(acknowledged),
        queued=sum(life.statuses.count("queued") for life in lives),
        copies=len(copies),
        torn=sum(round_.torn for round_ in rounds),
        kept=sum(bool(life.found) for life in lives),
        phases=Counter(round_.life.phase for round_ in rounds if round_.killed),
        passed=len(passed),
        wrong_clocks=sum(bool(life.order.clock) for life in lives),
        jumps=sum(bool(life.clock) for life in lives),
    )
    _count_copies(result, copies)
    _find_lost(result, copies, acknowledged)
    _find_altered(result, copies, acknowledged)
    _find_disordered(result, copies, steps, passed)
    return result


def left_behind(outbox: Path) -> list[str]:
    """Return the files of an outbox."""
    return [str(path.relative_to(outbox)) for path in outbox.rglob("*") if path.is_file()]


def complaints(log: Path) -> list[str]:
    """Return the errors of a log, but not that of a library which pictures want."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("ERROR", "CRITICAL"))]
    return [line for line in errors if "libturbojpeg" not in line]


def _copies(rounds: Iterable[Round]) -> Iterator[Copy]:
    """Yield everything that was received."""
    position = 0
    for round_ in rounds:
        for mail in round_.received:
            number = int(str(mail.message["Subject"]).rpartition(" ")[2])
            last = mail is round_.received[-1]
            yield Copy(
                mail,
                number,
                position,
                # The server names a Message-ID in its answer, unless there was none.
                dropped=mail.message_id_given is None,
                killed=round_.killed and last and number not in round_.life.settled,
            )
            position += 1


def _count_copies(result: Count, copies: Iterable[Copy]) -> None:
    """Explain every copy after the first that a recipient got, by the one before it."""
    last: dict[tuple[int, str], Copy] = {}
    for copy in copies:
        keys = [(copy.number, recipient) for recipient in copy.mail.recipients]
        earlier = [last[key] for key in keys if key in last]
        last |= dict.fromkeys(keys, copy)
        if not earlier:
            continue
        if any(not (one.dropped or one.killed) for one in earlier):
            result.unexplained.append(f"letter {copy.number}: copy {copy.position}")
        elif any(one.dropped for one in earlier):
            result.by_drop += 1
        else:
            result.by_kill += 1


def _find_lost(result: Count, copies: Iterable[Copy], acknowledged: Iterable[int]) -> None:
    """Find the letters that were acknowledged and not received, for all or some."""
    received: defaultdict[int, set[str]] = defaultdict(set)
    for copy in copies:
        received[copy.number] |= set(copy.mail.recipients)
    for number in acknowledged:
        if received[number] != set(letter_of(number)["to"]):
            result.lost.append(f"letter {number}: got by {sorted(received[number]) or 'nobody'}")


def _find_altered(result: Count, copies: Iterable[Copy], acknowledged: dict[int, str]) -> None:
    """Find the copies that are not what was sent, byte for byte."""
    first: dict[int, Copy] = {}
    for copy in copies:
        number = copy.number
        same = first.setdefault(number, copy)
        message = copy.mail.message
        if same is copy:
            letter = letter_of(number)
            text = message.get_content().replace("\r\n", "\n").rstrip("\n")
            as_sent = text == letter["message"].rstrip("\n")
            as_sent &= message["Subject"] == letter["title"]
            as_sent &= message["Message-ID"] == acknowledged.get(number, message["Message-ID"])
        else:
            as_sent = copy.mail.content == same.mail.content
        if not as_sent:
            result.altered.append(f"letter {number}: copy {copy.position}")


def _find_disordered(
    result: Count, copies: Iterable[Copy], steps: dict[int, int], passed: set[int]
) -> None:
    """Find the letters that came first after one of a later step, though they let none pass."""
    latest = -1
    seen: set[int] = set()
    for copy in copies:
        number = copy.number
        if number in seen:
            continue
        seen.add(number)
        if number in passed:
            continue
        if steps[number] < latest:
            result.disordered.append(f"letter {number} of step {steps[number]} after {latest}")
        latest = max(latest, steps[number])
