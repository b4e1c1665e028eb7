"""The messages that sender processes send, by their numbers."""

from typing import Any, Final

LATE: Final = "late@example.com"  # A recipient whom the server may defer.
GONE: Final = "gone@example.com"  # One whom it may refuse for good.
BIG: Final = 120_000  # Characters; enough for a write and a submission to take a while.


def message_of(number: int) -> dict[str, Any]:
    """Return a message; some have two or three recipients, and every eighth is big."""
    line = f"This is message {number}.\n"
    others = [*([GONE] if number % 2 == 0 else []), *([LATE] if number % 3 == 0 else [])]
    return {
        "to": [f"n{number}@example.com", *others],
        "title": f"Message {number}",
        "message": line * (BIG // len(line) if number % 8 == 0 else 1),
    }
