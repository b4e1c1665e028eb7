"""The messages of sender processes, by number."""

from typing import Any, Final

from custom_components.outlook_smtp.const import CONF_FLOOD_LIMIT

OPTIONS: Final = {CONF_FLOOD_LIMIT: 10_000}  # They send more than an automation may.
LATE: Final = "late@example.com"  # A recipient that the server may defer.
GONE: Final = "gone@example.com"  # One that it may refuse permanently.
BIG: Final = 120_000  # Characters; enough to make writing and submission take a while.


def message_of(number: int) -> dict[str, Any]:
    """Return a message; some have several recipients; every eighth is big, every fifth urgent."""
    line = f"This is message {number}.\n"
    others = [*([GONE] if number % 2 == 0 else []), *([LATE] if number % 3 == 0 else [])]
    return {
        "to": [f"n{number}@example.com", *others],
        "title": f"Message {number}",
        "message": line * (BIG // len(line) if number % 8 == 0 else 1),
        "priority": "high" if is_urgent(number) else "normal",
    }


def is_urgent(number: int) -> bool:
    """Return whether a message overtakes others."""
    return number % 5 == 0
