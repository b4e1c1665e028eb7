"""A fake server that drops connections, and defers and refuses mail at random."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from tests.fake_microsoft import FakeServer, Script, Step
from tests.fake_microsoft.line import Line

from .messages import GONE, LATE
from .supervisor import wait_until

TRY_LATER: Final = "451 4.7.0 Temporary server error. Please try again later. PRX4"
NO_USER: Final = "550 5.1.1 User unknown"
BUSY: Final = "450 4.2.1 Mailbox busy"
SPLIT: Final[dict[str, str]] = {GONE: NO_USER, LATE: BUSY}
UNWANTED: Final = "554 5.9.98 Something else"
SLOW: Final = 0.03  # Seconds; enough for others to overtake.
_BEFORE: Final = tuple(step for step in Step if step not in (Step.FINAL, Step.QUIT, Step.IDLE))

type Behavior = Callable[[Random], Script]

# Weighted by frequency. Messages that are accepted without a reply must be sent again (RFC 5321).
_BEHAVIORS: Final[tuple[tuple[Behavior, int], ...]] = (
    (lambda chances: Script(drop=chances.choice(_BEFORE), reset=chances.random() < 0.3), 10),
    (lambda chances: Script(drop=Step.FINAL, keep=True, reset=chances.random() < 0.3), 5),
    (lambda _: Script(drop=Step.FINAL), 3),
    (lambda chances: Script(drop=chances.choice((Step.IDLE, Step.QUIT))), 2),
    (lambda chances: Script(replies={chances.choice((Step.MAIL, Step.FINAL)): TRY_LATER}), 2),
    (lambda _: Script(refuse_recipients={LATE: TRY_LATER}), 3),
    (lambda chances: Script(stall=chances.choice((Step.CONTENT, Step.FINAL))), 12),
)
# Those that permanently refuse some or all recipients.
_REFUSALS: Final[tuple[tuple[Behavior, int], ...]] = (
    (lambda _: Script(refuse_recipients=SPLIT, drop=Step.FINAL, keep=True), 3),
    (lambda _: Script(replies={Step.FINAL: UNWANTED}, times=2), 4),
)


class FlakyServer(FakeServer):
    """A fake server that behaves differently on every connection."""

    def __init__(self, chances: Random) -> None:
        """Start with normal behavior."""
        super().__init__()
        self.trouble = 0.0  # The share of connections on which something fails.
        self.refuses: dict[str, str] | None = None  # Recipients to refuse permanently.
        self._chances = chances

    def wait_for_silence(self) -> None:
        """Wait until all connections are closed: data sent by a dead process may still be read."""
        wait_until(lambda: not self.open_connections)

    async def silence(self) -> None:
        """Stall for a moment only."""
        await asyncio.sleep(SLOW)

    def welcome(self, conversation: Line) -> Script | None:
        """Register a new connection, and return its own script."""
        planned: Script | None = super().welcome(conversation)
        if planned or self._chances.random() >= self.trouble:
            return planned or Script(refuse_recipients=self.refuses or {})
        behaviors = _BEHAVIORS if self.refuses is None else _BEHAVIORS + _REFUSALS
        ((behavior, _),) = self._chances.choices(behaviors, [weight for _, weight in behaviors])
        return behavior(self._chances)
