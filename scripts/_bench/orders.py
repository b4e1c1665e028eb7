"""What can be measured: the ways to send, the scenarios, and one measurement's order."""

from dataclasses import asdict, dataclass
from enum import StrEnum
import json
from typing import Final, Self

ADDRESS: Final = "bench@outlook.com"
PASSWORD: Final = "app-password"
RECIPIENT: Final = "anna@example.com"
FILES: Final = tuple(f"picture-{number}.jpg" for number in range(1, 5))
FILE_SIZE: Final = 5_000_000  # Bytes; four of them are the 20 MB.


class Way(StrEnum):
    """A way to send mail; `PIPELINING` is this integration where the server lacks CHUNKING."""

    BUILTIN = "builtin"
    AIOSMTPLIB = "aiosmtplib"
    OURS = "ours"
    PIPELINING = "pipelining"


class Scenario(StrEnum):
    """What is sent."""

    COLD = "cold"
    WARM = "warm"
    BURST = "burst"
    BIG = "big"
    QUEUE = "queue"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One measurement for a worker: `count` messages, in one way, to a port of this machine.

    `watched` looks at the event loop all the time, which costs CPU of its own; `folder` holds
    the files that are attached.
    """

    way: Way
    scenario: Scenario
    port: int
    delay: float
    count: int
    folder: str
    watched: bool = False

    def write(self) -> str:
        """Return the order as an argument of a program."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an order."""
        values = json.loads(text)
        return cls(**values | {"way": Way(values["way"]), "scenario": Scenario(values["scenario"])})
