"""What waits in an outbox: within which limits, on which disk, and who follows it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
import logging

from .disk_watch import DiskWatch
from .entry import DamagedError
from .events import Delivery, Listeners
from .queued import Limits, OutboxClosedError, OutboxFullError, QueuedMessage
from .spool import Spool

_LOGGER = logging.getLogger(__name__)


@dataclass(eq=False)
class Capacity:
    """What waits, within its limits, and the disk that it is on."""

    spool: Spool
    limits: Limits
    waiting: list[QueuedMessage] = field(default_factory=list)
    is_closed: bool = False
    _listeners: Listeners[Delivery | None] = field(default_factory=Listeners)
    _turned_away: int | None = None  # The bytes of the last message that found no room.

    def __post_init__(self) -> None:
        """Watch over the disk."""
        self.disk = DiskWatch(self.spool)

    def subscribe(self, listener: Callable[[Delivery | None], None]) -> Callable[[], None]:
        """Call a listener at every turn, with None if only numbers changed; return its end."""
        return self._listeners.add(listener)

    @property
    def size(self) -> int:
        """Return the bytes of all that waits."""
        return sum(queued.entry.size for queued in self.waiting)

    def check_room(self, size: int) -> None:
        """Raise `OutboxFullError` if a message of a size has no room, or `OutboxClosedError`."""
        if self.is_closed:
            raise OutboxClosedError
        if self._has_room(size):
            return
        if size <= self.limits.size:
            self._turned_away = size
            self._listeners.tell(None)
        raise OutboxFullError

    @property
    def is_full(self) -> bool:
        """Return whether a message was turned away that would still find no room."""
        return self._turned_away is not None and not self._has_room(self._turned_away)

    def _has_room(self, size: int) -> bool:
        """Return whether a message of a size may still come."""
        return len(self.waiting) < self.limits.messages and self.size + size <= self.limits.size

    async def check_disk(self) -> bool:
        """Return whether what is sent can be settled on disk, and tell if that has changed."""
        was_writable = self.disk.error is None
        is_writable = await self.disk.check()
        if is_writable is not was_writable:
            self._listeners.tell(None)
        return is_writable

    async def _on_disk[**P, T](
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Do something to a file; where that fails, the memory is right and the disk behind it."""
        try:
            done = await asyncio.to_thread(work, *args, **kwargs)
        except (DamagedError, OSError) as error:
            if work != self.spool.fail:  # What is refused again does no harm.
                self.disk.fall_behind(partial(work, *args, **kwargs))
            _LOGGER.error(
                "The outbox on disk is behind (%s): after a restart a message may be sent again",
                getattr(error, "strerror", None) or error,
            )
            return None
        self.disk.note_written()
        return done
