"""Report events inside the integration, through wrappers around its functions."""

from collections.abc import Awaitable, Callable
import os
import signal
import sys
import threading
from types import SimpleNamespace
from typing import Any, Final

from custom_components.outlook_smtp import mailer
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.graph.route import GraphRoute
from custom_components.outlook_smtp.outbox import schedule
from custom_components.outlook_smtp.outbox.entry import SpoolEntry
from custom_components.outlook_smtp.outbox.queue import Queue
from custom_components.outlook_smtp.outbox.queued import QueuedMessage
from custom_components.outlook_smtp.outbox.spool import Spool
from custom_components.outlook_smtp.outbox.spooled import Spooled
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.transaction import Transaction

halt: Final = SimpleNamespace(phase="")  # The phase at whose beginning this process stops.


def tell(*words: object) -> None:
    """Report an event at once; a pipe accepts a line of this length completely or not at all."""
    os.write(sys.stdout.fileno(), f"{' '.join(map(str, words))}\n".encode())


def _begin(phase: str) -> None:
    """Report the beginning of a phase, and stop there if ordered."""
    tell(f"+{phase}")
    if phase == halt.phase:
        # A signal to the process could be handled by another thread, while this one continues.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _told[**P, T](name: str, work: Callable[P, T]) -> Callable[P, T]:
    """Report the beginning and the end of a function."""

    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function."""
        _begin(name)
        try:
            return work(*args, **kwargs)
        finally:
            tell(f"-{name}")

    return told


def _told_awaitable[**P, T](
    name: str, work: Callable[P, Awaitable[T]]
) -> Callable[P, Awaitable[T]]:
    """Report the beginning and the end of a coroutine."""

    async def told(*args: P.args, **kwargs: P.kwargs) -> T:
        """Run the coroutine."""
        _begin(name)
        try:
            return await work(*args, **kwargs)
        finally:
            tell(f"-{name}")

    return told


def _tell_passed(work: Callable[..., QueuedMessage | None]) -> Any:
    """Report which deferred messages yielded to others."""

    def first(queue: Queue, now: float, *, urgent: bool = False) -> QueuedMessage | None:
        """Return the next due message."""
        chosen = work(queue, now, urgent=urgent)
        for item in queue.waiting:
            if chosen is None or item is chosen:
                break
            if item.not_before > now:
                tell("passed", _number_of(item.entry))
        return chosen

    return first


def _tell_settled(work: Callable[[Queue, QueuedMessage, Outcome], Awaitable[None]]) -> Any:
    """Report the recipients of messages deleted from disk, which must never be sent again."""

    async def settle(queue: Queue, item: QueuedMessage, outcome: Outcome) -> None:
        """Settle a message."""
        await work(queue, item, outcome)
        for recipient in outcome.accepted:
            tell("settled", _number_of(item.entry), recipient)

    return settle


def _tell_canceled(work: Callable[[Queue, str], Awaitable[None]]) -> Any:
    """Report the recipients of a message before and after it is canceled."""

    async def cancel(queue: Queue, message_id: str) -> None:
        """Cancel a message."""
        known = (*_waiting(queue), *_failed(queue))
        spooled = next((one for one in known if one.id == message_id), None)
        if spooled is None or spooled in [item.spooled for item in queue.under_way]:
            await work(queue, message_id)
            return
        tell("cancel", *_named(spooled))
        await work(queue, message_id)
        tell("canceled", *_named(spooled))

    return cancel


def _tell_retried(work: Callable[[Queue, str | None], Awaitable[int]]) -> Any:
    """Report failed messages before and after they are retried."""

    async def retry(queue: Queue, message_id: str | None = None) -> int:
        """Retry failed messages."""
        for spooled in _failed(queue):
            if message_id in (None, spooled.id):
                tell("retry", *_named(spooled))
        count = await work(queue, message_id)
        tell("retried", count)
        return count

    return retry


def _waiting(queue: Queue) -> list[Spooled]:
    """Return the waiting messages."""
    return [item.spooled for item in queue.waiting]


def _failed(queue: Queue) -> list[Spooled]:
    """Return the failed messages."""
    return [entry.failure.spooled for entry in queue.failed]


def tell_found(queue: Queue) -> None:
    """Report all messages and their recipients."""
    for spooled in (*_waiting(queue), *_failed(queue)):
        tell("found", *_named(spooled))


def _named(spooled: Spooled) -> tuple[str, ...]:
    """Return the number of a message and its recipients."""
    return _number_of(spooled.entry), *spooled.entry.envelope.recipients


def _number_of(entry: SpoolEntry) -> str:
    """Return the number of a message."""
    return entry.title.rpartition(" ")[2]


def instrument() -> None:
    """Report what happens inside, and remove the delays meant for real servers."""
    for owner, name, phase, wrap in (
        (mailer, "compose", "compose", _told),
        (Spool, "open", "open", _told),
        (Spool, "write", "write", _told),
        (Session, "open", "connect", _told_awaitable),
        (Transaction, "run", "submit", _told_awaitable),
        (GraphRoute, "submit", "submit", _told_awaitable),
        (Queue, "settle", "settle", _told_awaitable),
        (Spool, "fail", "fail", _told),
        (Spool, "restrict", "restrict", _told),
        (Spool, "delete", "delete", _told),
        (Queue, "cancel", "cancel", _told_awaitable),
        (Queue, "retry", "retry", _told_awaitable),
    ):
        work = getattr(owner, name)
        told: Any = wrap(phase, work)
        setattr(owner, name, staticmethod(told) if hasattr(work, "__self__") else told)
    rate_limiter = schedule.RateLimiter
    for owner, name, value in (
        (Queue, "first", _tell_passed(Queue.first)),
        (Queue, "settle", _tell_settled(Queue.settle)),
        (Queue, "cancel", _tell_canceled(Queue.cancel)),
        (Queue, "retry", _tell_retried(Queue.retry)),
        (schedule, "RateLimiter", lambda: rate_limiter(per_minute=0)),
        (schedule, "FIRST_DELAY", 0.02),
        (schedule, "LAST_DELAY", 0.1),
    ):
        getattr(owner, name)  # Messages deleted there are not required.
        setattr(owner, name, value)
