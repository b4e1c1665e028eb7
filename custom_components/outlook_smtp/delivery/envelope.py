"""Who sends a message to whom."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom (RFC 5321): bare addresses; `utf8` where one is not ASCII (RFC 6531).

    `hidden` are addresses of blind copies, which no log names.
    """

    sender: str
    recipients: tuple[str, ...]
    utf8: bool = False
    hidden: tuple[str, ...] = ()
