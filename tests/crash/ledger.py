"""Accounts for every message: who got it, who waits, who failed, who was canceled."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Self

from custom_components.outlook_smtp.outbox.entry import read_head

from .messages import message_of
from .supervisor import Life, Share


@dataclass
class Ledger:
    """What is known of all messages so far, and what should not be.

    A call whose answer a kill has swallowed may have done its work: what is `canceled` may be
    gone or not, what `is_canceled` must not come back.
    """

    answered: set[int] = field(default_factory=set)
    received: set[Share] = field(default_factory=set)
    canceled: set[Share] = field(default_factory=set)
    is_canceled: set[Share] = field(default_factory=set)
    lost: set[Share] = field(default_factory=set)
    twice: set[Share] = field(default_factory=set)
    back: set[Share] = field(default_factory=set)

    @classmethod
    def of(cls, rounds: Iterable[tuple[Life, Iterable[Share]]]) -> Self:
        """Go through all rounds, each with what the server received, and look at every start.

        In the end nothing waits any more and nothing is kept as failed.
        """
        ledger = cls()
        for life, received in rounds:
            if life.found is not None:
                ledger._look(list(chain.from_iterable(life.found_shares)))
            ledger._note(life, set(received))
        ledger._look([])
        return ledger

    def _look(self, places: Sequence[Share]) -> None:
        """Compare what is on disk with what should be."""
        found = Counter(places)
        self.twice.update(share for share, times in found.items() if times > 1)
        self.back.update(self.is_canceled.intersection(found))
        self.lost.update(set(self._shares()) - self.received - self.canceled - found.keys())

    def _shares(self) -> Iterator[Share]:
        """Yield everybody who has to have a message, since somebody was told that it is safe."""
        for number in self.answered:
            for recipient in message_of(number)["to"]:
                yield number, recipient

    def _note(self, life: Life, received: set[Share]) -> None:
        """Note what was said and received in a round."""
        self.back.update(self.is_canceled & received)
        self.answered.update(life.acknowledged, life.refused)
        self.received.update(received)
        self.canceled.update(life.cancel)
        self.is_canceled.update(life.canceled)


def shares_in(outbox: Path) -> list[list[Share]]:
    """Return for whom there are messages in a folder, by the message."""
    found = []
    for path in outbox.rglob("*.msg"):
        with path.open("rb") as file:
            entry = read_head(file)
        number = int(entry.title.rpartition(" ")[2])
        found.append([(number, recipient) for recipient in entry.envelope.recipients])
    return found


def shown(shares: Iterable[Share]) -> list[str]:
    """Return recipients of messages as they are reported."""
    return [f"message {number} for {recipient}" for number, recipient in sorted(shares)]
