"""The waiting messages of an outbox, with its limits, disk and listeners."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
import logging

from ..delivery.faults import Fault
from .disk_watch import DiskWatch
from .entry import DamagedError
from .events import Delivery, Event, Listeners
from .queued import Limits, OutboxClosedError, OutboxFullError, QueuedMessage
from .spool import Spool

_LOGGER = logging.getLogger(__name__)


@dataclass(eq=False)
class Capacity:
    """The waiting messages, their limits, and the disk that holds them."""

    spool: Spool
    limits: Limits
    waiting: list[QueuedMessage] = field(default_factory=list)
    size: int = 0  # Bytes of the waiting messages.
    is_closed: bool = False
    _listeners: Listeners[Delivery | None] = field(default_factory=Listeners)
    _rejected_size: int | None = None  # Bytes of the last message that did not fit.

    def __post_init__(self) -> None:
        """Start to watch the disk."""
        self.disk = DiskWatch(self.spool)

    def subscribe(self, listener: Callable[[Delivery | None], None]) -> Callable[[], None]:
        """Call a listener on every event, with None if counts or times changed; return the undo."""
        return self._listeners.add(listener)

    def announce(self) -> None:
        """Notify listeners that counts or a hold may have changed."""
        self._listeners.tell(None)

    def check_room(self, size: int) -> None:
        """Raise `OutboxFullError` if a message this large does not fit, or `OutboxClosedError`."""
        if self.is_closed:
            raise OutboxClosedError
        if self._has_room(size):
            return
        if size <= self.limits.size:
            self._rejected_size = size
            self._listeners.tell(None)
        raise OutboxFullError

    @property
    def is_full(self) -> bool:
        """Return whether a message was rejected that would still not fit."""
        return self._rejected_size is not None and not self._has_room(self._rejected_size)

    def _has_room(self, size: int) -> bool:
        """Return whether a message of this size fits."""
        return len(self.waiting) < self.limits.messages and self.size + size <= self.limits.size

    def _enter(self, queued: QueuedMessage) -> None:
        """Count a message that joins the order."""
        self.size += queued.entry.size

    def _drop(self, queued: QueuedMessage) -> None:
        """Remove a message from the order."""
        if not queued.is_dropped:
            queued.is_dropped = True
            self.waiting.remove(queued)
            self.size -= queued.entry.size
        self._rejected_size = self._rejected_size if self.is_full else None

    def _tell(
        self,
        event: Event,
        queued: QueuedMessage,
        recipients: Sequence[str],
        fault: Fault | None = None,
        *,
        reply: str = "",
        kept_as: str | None = None,
    ) -> None:
        """Notify all listeners of an event, with the ID that `retry` accepts."""
        delivery = Delivery(
            event=event,
            id=kept_as or queued.spooled.id,
            message_id=queued.entry.message_id,
            title=queued.entry.title,
            urgent=queued.entry.urgent,
            recipients=tuple(recipients),
            hidden=queued.entry.hidden,
            missing=queued.entry.missing,
            reply=fault.reply if fault else reply,
            fault=fault,
        )
        self._listeners.tell(delivery)

    async def check_disk(self) -> bool:
        """Return whether the disk is writable, and notify listeners if that has changed."""
        was_writable = self.disk.error is None
        is_writable = await self.disk.check()
        if is_writable is not was_writable:
            self._listeners.tell(None)
        return is_writable

    async def _on_disk[**P, T](
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Change a file; if that fails, memory is up to date and the file is updated later."""
        try:
            done = await asyncio.to_thread(work, *args, **kwargs)
        except (DamagedError, OSError) as error:
            if work != self.spool.fail:  # A message that is refused again does no harm.
                self.disk.fall_behind(partial(work, *args, **kwargs))
            _LOGGER.error(
                "Outbox file not updated (%s): after a restart, a message may be sent again",
                getattr(error, "strerror", None) or error,
            )
            return None
        self.disk.note_written()
        return done
