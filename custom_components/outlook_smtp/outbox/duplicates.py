"""Recognize an email that was sent a moment ago."""

import asyncio
from dataclasses import dataclass
import time
from typing import Final

from .queued import QueuedMessage

MOST_REMEMBERED: Final = 1000  # Emails.


@dataclass(slots=True)
class Original:
    """An email that may come again: its way into the outbox, when it began, and whether it did."""

    keeping: asyncio.Task[QueuedMessage]
    at: float
    has_duplicate: bool = False

    @property
    def counts(self) -> bool:
        """Return whether it is sent or may still be: one that failed may be sent again."""
        if not self.keeping.done():
            return True
        if self.keeping.cancelled() or self.keeping.exception():
            return False
        queued = self.keeping.result()
        return queued.is_sent or not queued.is_dropped


class Duplicates:
    """Remembers the latest emails that asked for it."""

    def __init__(self) -> None:
        """Start without emails."""
        self._known: dict[bytes, Original] = {}

    def find(self, fingerprint: bytes, within: float) -> Original | None:
        """Return the same email, if it was sent within some seconds."""
        original = self._known.get(fingerprint)
        if original and time.monotonic() - original.at < within and original.counts:
            return original
        return None

    def add(self, fingerprint: bytes, keeping: asyncio.Task[QueuedMessage]) -> None:
        """Remember an email on its way into the outbox."""
        self._known.pop(fingerprint, None)
        self._known[fingerprint] = Original(keeping, time.monotonic())
        if len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
