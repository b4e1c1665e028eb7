"""The failed messages of an outbox, kept for a week so that a person can retry them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
import time
from typing import Final

from ..delivery.faults import Fault
from .events import Event
from .queued import FailedMessage, QueuedMessage, UnknownMessageError
from .spooled import Failure
from .try_order import TryOrder

MOST_DISCARDED: Final = 100  # Discarded messages to remember.


@dataclass(eq=False)
class Failures(TryOrder):
    """The failed messages of one account, within the limits of its outbox."""

    failed: list[FailedMessage] = field(default_factory=list)
    discarded: deque[Failure] = field(default_factory=partial(deque, maxlen=MOST_DISCARDED))
    _failed_size: int = 0  # Bytes.

    def _find_failed(self, message_id: str) -> FailedMessage:
        """Return the failed message with an ID."""
        for failed in self.failed:
            if failed.failure.spooled.id == message_id:
                return failed
        raise UnknownMessageError

    def _put_failed(self, failed: FailedMessage) -> None:
        """Append a failed message."""
        self.failed.append(failed)
        self._failed_size += failed.size

    def _take_failed(self, failed: FailedMessage) -> bool:
        """Remove a failed message; return False if it was retried or deleted meanwhile."""
        if failed not in self.failed:
            return False
        self.failed.remove(failed)
        self._failed_size -= failed.size
        return True

    async def _fail(
        self, queued: QueuedMessage, event: Event, recipients: Sequence[str], fault: Fault | None
    ) -> Failure | None:
        """Save a message as failed for some recipients; return None if that does not work."""
        failure = Failure(
            spooled=queued.spooled,
            event=event,
            problem=fault.problem if fault else "",
            reply=fault.reply if fault else "",
            failed_at=time.time(),
        )
        return await self._on_disk(self.spool.fail, failure, recipients)

    async def _add_failed(self, kept: Failure | None) -> None:
        """Record a failed message, and make room for it."""
        if kept:
            self._put_failed(FailedMessage(kept, time.monotonic()))
        while len(self.failed) > self.limits.messages or self._failed_size > self.limits.size:
            await self._make_room(self.failed[0])

    async def _make_room(self, failed: FailedMessage) -> None:
        """Delete a failed message before its week is over, and report that."""
        self.discarded.append(failed.failure)
        await self._discard(failed)
        self._listeners.tell(failed.discarded())

    async def _discard(self, failed: FailedMessage) -> None:
        """Delete a failed message."""
        if self._take_failed(failed):
            await self._on_disk(self.spool.discard, failed.failure)
            self._listeners.tell(None)
