"""What is measured: ways to send, and scenarios."""

from enum import StrEnum
from typing import Final, NamedTuple


class Way(StrEnum):
    """A way to send email, as named in the tables; PIPELINING uses a server without CHUNKING."""

    BUILTIN = "built-in smtp"
    AIOSMTPLIB = "plain aiosmtplib"
    OURS = "Outlook.com SMTP"
    PIPELINING = "Outlook.com SMTP, PIPELINING alone"
    GRAPH = "Outlook.com SMTP over Graph"


class Row(NamedTuple):
    """A row of a table: a scenario's name, a delay in milliseconds, and a way."""

    scenario: str
    delay: int
    way: Way


class Scenario(NamedTuple):
    """How many messages are measured, how many precede them, and whether an outbox is needed.

    The method of `Sender` with the scenario's name sends them.
    """

    messages: int = 1
    unmeasured: int = 0
    outbox: bool = False


SCENARIOS: Final = {
    "cold": Scenario(),
    "warm": Scenario(messages=10, unmeasured=1),
    "burst": Scenario(messages=100),
    "attached": Scenario(unmeasured=1),
    "big": Scenario(unmeasured=1),
    "queue": Scenario(messages=1000, outbox=True),
}
LONGEST: Final = 20  # The longest delay, in ms, at which ways without an outbox send as many.


def is_measured(row: Row) -> bool:
    """Return whether a row is worth measuring, and does not take too long."""
    if row.way is Way.GRAPH and row.scenario == "big":
        return False  # Microsoft Graph takes no 20 MB.
    with_outbox = row.way in (Way.OURS, Way.GRAPH)
    without_outbox = row.way in (Way.BUILTIN, Way.AIOSMTPLIB) and row.delay <= LONGEST
    return not SCENARIOS[row.scenario].outbox or with_outbox or without_outbox
