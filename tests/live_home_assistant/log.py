"""Errors of the integration in Home Assistant's log."""

from itertools import pairwise
import re
from typing import Final

# A log line begins with the time of day; since Home Assistant 2026.11 with its UTC offset.
_RECORD: Final = re.compile(
    r"^\d{4}-\d\d-\d\d[ T][\d:.,]+(?:Z|[+-]\d\d:?\d\d)? (?P<level>[A-Z]+) ", re.MULTILINE
)
# Not the folder of that name that may contain the project.
_OURS: Final = re.compile(r"custom_components[./]outlook_smtp|(?<![\w/])outlook_smtp\b|aiosmtplib")


def complaints(log: str) -> list[str]:
    """Return the log records that are errors, tracebacks or misuse by the integration.

    Raises:
        ValueError: If the log has lines, but none that begins with a time and a level.

    """
    starts = [match.start() for match in _RECORD.finditer(log)]
    if log.strip() and not starts:
        raise ValueError(
            "Home Assistant's log cannot be understood: no line begins with a time and a level. "
            f"It begins with: {log.strip().splitlines()[0][:200]}"
        )
    records = (log[begin:end].strip() for begin, end in pairwise([0, *starts, len(log)]))
    return [record for record in records if _is_complaint(record)]


def _is_complaint(record: str) -> bool:
    """Return whether a log record is an error or a misuse by the integration."""
    if not _OURS.search(record):
        return False
    level = match["level"] if (match := _RECORD.match(record)) else ""
    return level in ("ERROR", "CRITICAL") or "Traceback" in record or "Detected " in record
