"""Audit every message at the server."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Final

from custom_components.outlook_smtp.outbox.schedule_files import PACE_FILE
from tests.fake_microsoft import Received

from .ledger import Ledger, shown
from .messages import is_urgent, message_of
from .supervisor import Life, Share

CONNECTIONS: Final = 2  # Each may have delivered a message whose reply was not read.
_TO: Final = re.compile(rb"^To:.*?\r\n(?![ \t])", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Round:
    """One sender process, what the server received, and whether a partial file was left."""

    life: Life
    received: tuple[Received, ...]
    torn: bool = False

    @property
    def killed(self) -> bool:
        """Return whether the sender process was killed, so that a response may have been lost."""
        return not self.life.order.finish

    @property
    def shares(self) -> list[Share]:
        """Return which recipient got which message."""
        return [(number_of(mail), name) for mail in self.received for name in mail.recipients]


@dataclass(frozen=True)
class Copy:
    """A message that the server received, and why its sender may not know that."""

    mail: Received
    number: int
    position: int
    dropped: bool
    unsettled: frozenset[str]  # Recipients whose success the sender was killed before recording.

    @property
    def shares(self) -> list[Share]:
        """Return its recipients."""
        return [(self.number, recipient) for recipient in self.mail.recipients]


@dataclass
class Audit:
    """The final result; every list of errors must be empty."""

    kills: int
    outgoing_messages: int
    acknowledged: int
    queued: int
    copies: int
    torn: int
    kept: int
    by_drop: int = 0
    by_kill: int = 0
    wrong_clocks: int = 0
    jumps: int = 0
    canceled: int = 0
    perhaps_canceled: int = 0
    retried: int = 0
    switches: int = 0
    split: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    passed: int = 0
    overtaken: int = 0

    @property
    def wrongs(self) -> dict[str, list[str]]:
        """Return the errors by name."""
        named = {
            "lost": self.lost,
            "in two messages": self.twice,
            "sent though canceled": self.back,
            "unexplained copies": self.unexplained,
            "altered": self.altered,
            "out of order": self.disordered,
        }
        return {name: wrongs for name, wrongs in named.items() if wrongs}

    def __str__(self) -> str:
        """Return a summary in a few lines."""
        phases = ", ".join(f"{phase} {times}" for phase, times in sorted(self.phases.items()))
        return (
            f"{self.kills} kills ({phases}), {self.torn} left a partial file, "
            f"{self.kept} starts found mail in the outbox; "
            f"{self.outgoing_messages} messages begun, {self.acknowledged} acknowledged "
            f"({self.queued} of them before they were sent); {self.split} found split, "
            f"{self.canceled} canceled, {self.perhaps_canceled} perhaps, "
            f"{self.retried} retried; {self.switches} switches of the route; "
            f"lost: {len(self.lost)}; in two messages: {len(self.twice)}; "
            f"back although canceled: {len(self.back)}; "
            f"duplicates: {self.by_drop} after a dropped reply, "
            f"{self.by_kill} after an unread reply, {len(self.unexplained)} others; "
            f"{self.passed} yielded to others, {self.overtaken} were overtaken by urgent ones, "
            f"{len(self.disordered)} otherwise out of order; "
            f"{self.wrong_clocks} starts with a wrong clock, {self.jumps} of them with a correction"
        )


def count(rounds: Sequence[Round]) -> Audit:
    """Audit the messages of all rounds."""
    lives = [round_.life for round_ in rounds]
    copies = list(_copies(rounds))
    message_ids = {
        number: message_id for life in lives for number, message_id in life.acknowledged.items()
    }
    steps = {number: step for life in lives for number, step in life.calls.items()}
    passed = {number for life in lives for number in life.passed}
    retried = {number for life in lives for number, _ in life.retry}
    ledger = Ledger.of((round_.life, round_.shares) for round_ in rounds)
    result = Audit(
        kills=sum(round_.killed for round_ in rounds),
        outgoing_messages=len(steps),
        acknowledged=len(ledger.answered),
        queued=sum(life.statuses.count("queued") for life in lives),
        copies=len(copies),
        torn=sum(round_.torn for round_ in rounds),
        kept=sum(bool(life.found) for life in lives),
        canceled=len(ledger.is_canceled),
        perhaps_canceled=len(ledger.canceled - ledger.is_canceled),
        retried=sum(life.retried for life in lives),
        switches=sum(life.switched for life in lives),
        split=sum(life.splits for life in lives),
        phases=Counter(round_.life.phase for round_ in rounds if round_.killed),
        lost=shown(ledger.lost),
        twice=shown(ledger.twice),
        back=shown(ledger.back),
        passed=len(passed),
        wrong_clocks=sum(bool(life.order.clock) for life in lives),
        jumps=sum(bool(life.clock) for life in lives),
    )
    _count_copies(result, copies)
    _find_altered(result, copies, message_ids)
    _find_disordered(result, copies, steps, passed | retried)
    return result


def left_behind(outbox: Path) -> list[str]:
    """Return the files left in an outbox, except that of the schedule, which outlives messages."""
    files = [str(path.relative_to(outbox)) for path in outbox.rglob("*") if path.is_file()]
    return [name for name in files if name != PACE_FILE]


def complaints(log: Path) -> list[str]:
    """Return the errors in a log, except that about an optional image library."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("ERROR", "CRITICAL"))]
    return [line for line in errors if "libturbojpeg" not in line]


def number_of(mail: Received) -> int:
    """Return the number of a received message."""
    return int(str(mail.message["Subject"]).rpartition(" ")[2])


def _copies(rounds: Iterable[Round]) -> Iterator[Copy]:
    """Yield everything that was received."""
    position = 0
    for round_ in rounds:
        for mail in round_.received:
            number = number_of(mail)
            last = any(mail is one for one in round_.received[-CONNECTIONS:])
            settled = {name for other, name in round_.life.settled if other == number}
            yield Copy(
                mail,
                number,
                position,
                # Set if there was a reply that accepted it.
                dropped=mail.message_id_given is None,
                unsettled=frozenset(mail.recipients) - settled
                if round_.killed and last
                else frozenset(),
            )
            position += 1


def _count_copies(result: Audit, copies: Iterable[Copy]) -> None:
    """Explain every duplicate for a recipient by the copy before it."""
    last: dict[Share, Copy] = {}
    for copy in copies:
        earlier = [
            (name, last[number, name]) for number, name in copy.shares if (number, name) in last
        ]
        last |= dict.fromkeys(copy.shares, copy)
        if not earlier:
            continue
        if any(not (one.dropped or name in one.unsettled) for name, one in earlier):
            result.unexplained.append(f"message {copy.number}: copy {copy.position}")
        elif any(one.dropped for _, one in earlier):
            result.by_drop += 1
        else:
            result.by_kill += 1


def _find_altered(result: Audit, copies: Iterable[Copy], acknowledged: dict[int, str]) -> None:
    """Find the copies that differ from the sent message, or from the first copy in any byte."""
    first: dict[int, Copy] = {}
    for copy in copies:
        number = copy.number
        same = first.setdefault(number, copy)
        message, outgoing = copy.mail.message, message_of(number)
        named = [address.addr_spec for address in message["To"].addresses]
        as_sent = named == outgoing["to"] or set(named) == set(copy.mail.recipients)
        if same is copy:
            text = message.get_content().replace("\r\n", "\n").rstrip("\n")
            as_sent &= text == outgoing["message"].rstrip("\n")
            as_sent &= message["Subject"] == outgoing["title"]
            as_sent &= message["Message-ID"] == acknowledged.get(number, message["Message-ID"])
        else:
            as_sent &= _unnamed(copy.mail) == _unnamed(same.mail)
        if not as_sent:
            result.altered.append(f"message {number}: copy {copy.position}")


def _unnamed(mail: Received) -> bytes:
    """Return the content without To: over Microsoft Graph, it names only those who get it."""
    return _TO.sub(b"", mail.content, count=1)


def _find_disordered(
    result: Audit, copies: Iterable[Copy], steps: dict[int, int], passed: set[int]
) -> None:
    """Find messages delivered after those of a later step without having yielded to them.

    Urgent ones may overtake the others, but neither one another nor the other way around.
    """
    latest = {True: -1, False: -1}
    seen: set[int] = set()
    for copy in copies:
        number = copy.number
        if number in seen:
            continue
        seen.add(number)
        if number in passed:
            continue
        step, urgent = steps[number], is_urgent(number)
        if step < max(latest.values() if urgent else (latest[False],)):
            result.disordered.append(f"message {number} of step {step} after {latest}")
        result.overtaken += step < latest[True] and not urgent
        latest[urgent] = max(latest[urgent], step)
