"""What goes wrong with the server: on one connection, and now and then for all."""

from collections.abc import Callable
from random import Random
import re
import time
from typing import Final

from tests.crash.flaky_server import BUSY, SPLIT, TRY_LATER, FlakyServer
from tests.fake_microsoft import Certificate, Received, Script, Step
from tests.fake_microsoft.line import Line
from tests.fake_microsoft.script import Manner

CLOSING: Final = "421 4.3.2 Service not available, closing transmission channel"
UNWANTED: Final = "554 5.9.98 Something else"
NUMBER: Final = re.compile(rb"^Subject: Message (\d+)\r$", re.MULTILINE)
_STEPS: Final = tuple(Step)[:-2]
_REPLIES: Final = (TRY_LATER, BUSY, CLOSING)
_REPLY_STEPS: Final = (Step.MAIL, Step.DATA, Step.FINAL)

# Connections with other faults than those of the crash test.
_FAULTS: Final[tuple[Callable[[Random], Script], ...]] = (
    lambda chances: Script(stall=chances.choice(_STEPS)),
    lambda chances: Script(replies={chances.choice(_REPLY_STEPS): chances.choice(_REPLIES)}),
    lambda _: Script(replies={Step.FINAL: UNWANTED}, times=2),
    lambda _: Script(refuse_recipients=SPLIT, refusal_delay=0.2),
    lambda chances: Script(manner=chances.choice(tuple(Manner))),
    lambda chances: Script(without=(chances.choice(("CHUNKING", "PIPELINING", "8BITMIME")),)),
)


class Server(FlakyServer):
    """A faulty server, which only stores the recipients of its mail."""

    def __init__(self, chances: Random) -> None:
        """Start without faults."""
        super().__init__(chances)
        self.shares: list[tuple[int, str]] = []
        self.faults = 0
        self._weather = chances

    def keep(self, mail: Received) -> None:
        """Record the recipients of a message, and drop its content."""
        number = NUMBER.search(mail.content)
        assert number, mail.content[:1000]
        self.shares += [(int(number[1]), recipient) for recipient in mail.recipients]

    def welcome(self, conversation: Line) -> Script | None:
        """Choose the fault of a connection, and drop old ones."""
        if len(self.sessions) > 1000:
            del self.sessions[:500]
        script = super().welcome(conversation)
        if self._weather.random() < self.trouble:
            script = self._weather.choice(_FAULTS)(self._weather)
        self.faults += script not in (None, Script())
        return script

    def clear_up(self) -> None:
        """Behave well from now on, and end every faulty conversation."""
        self.trouble, self.refuses = 0.0, None
        self.show(Certificate.VALID)
        self.go_on()
        self.hang_up()

    def change(self) -> None:
        """Cause a fault for all connections, for two seconds at most."""
        chances = self._weather
        self.trouble = chances.choice((0.0, 0.3, 0.6))
        self.refuses = chances.choice(({}, SPLIT))
        self.faults += 1
        happening = chances.choice(
            ("restart", "hang up", "say goodbye", "bad TLS", "stall", "calm")
        )
        match happening:
            case "restart":
                self.stop()
                time.sleep(chances.uniform(0, 2))
                self.start()
            case "hang up":
                self.hang_up()
            case "say goodbye":
                self.hang_up(CLOSING)
            case "bad TLS":
                self.show(chances.choice((Certificate.EXPIRED, Certificate.UNTRUSTED)))
                self.hang_up()
                time.sleep(chances.uniform(0, 2))
                self.show(Certificate.VALID)
            case "stall":
                time.sleep(chances.uniform(0, 2))
                self.go_on()
            case _:
                self.faults -= 1
