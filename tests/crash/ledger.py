"""Account for every message: delivered, waiting, failed or canceled, by recipient."""

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
    """All known facts about all messages so far, and the errors found.

    A call whose response was lost in a kill may have worked: what is `canceled` may be gone or not,
    what `is_canceled` must not come back.
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
        """Process all rounds, each with what the server received, and check every start.

        In the end, no message is waiting or failed.
        """
        ledger = cls()
        for life, received in rounds:
            if life.found is not None:
                ledger._look(list(chain.from_iterable(life.found_shares)))
            ledger._note(life, set(received))
        ledger._look([])
        return ledger

    def _look(self, places: Sequence[Share]) -> None:
        """Compare the messages on disk with the expected ones."""
        found = Counter(places)
        self.twice.update(share for share, times in found.items() if times > 1)
        self.back.update(self.is_canceled.intersection(found))
        self.lost.update(set(self._shares()) - self.received - self.canceled - found.keys())

    def _shares(self) -> Iterator[Share]:
        """Yield all recipients who must have a message because it was reported as safe."""
        for number in self.answered:
            for recipient in message_of(number)["to"]:
                yield number, recipient

    def _note(self, life: Life, received: set[Share]) -> None:
        """Record what was reported and received in a round."""
        self.back.update(self.is_canceled & received)
        self.answered.update(life.acknowledged, life.refused)
        self.received.update(received)
        self.canceled.update(life.cancel)
        self.is_canceled.update(life.canceled)


def shares_in(outbox: Path) -> list[list[Share]]:
    """Return the recipients of the messages in a folder."""
    found = []
    for path in outbox.rglob("*.msg"):
        with path.open("rb") as file:
            entry = read_head(file)
        number = int(entry.title.rpartition(" ")[2])
        found.append([(number, recipient) for recipient in entry.envelope.recipients])
    return found


def shown(shares: Iterable[Share]) -> list[str]:
    """Format recipients of messages for the report."""
    return [f"message {number} for {recipient}" for number, recipient in sorted(shares)]
