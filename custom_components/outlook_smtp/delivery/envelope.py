"""The envelope of a message: its sender and recipients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender and recipients (RFC 5321) as bare addresses; `utf8` if one is not ASCII (RFC 6531).

    `hidden` are addresses of blind copies, which never appear in a log.
    """

    sender: str
    recipients: tuple[str, ...]
    utf8: bool = False
    hidden: tuple[str, ...] = ()
