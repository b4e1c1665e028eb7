"""What a server that accepts messages has in common with the others."""

import asyncio
import threading

from .mailbox import Received
from .thread import ThreadedServer


class MailReceiver(ThreadedServer):
    """A server that keeps the messages it accepted, for tests to wait for."""

    def __init__(self, name: str, port: int) -> None:
        """Start without messages."""
        super().__init__(name, port)
        self.received: list[Received] = []
        self._arrival = threading.Condition()

    def wait_for_mail(self, count: int = 1, timeout: float = 10) -> list[Received]:
        """Wait until a number of messages has been received in total, and return them."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.received) >= count, timeout):
                message = f"{len(self.received)} of {count} messages came within {timeout} s"
                raise TimeoutError(message)
            return list(self.received)

    async def async_wait_for_mail(self, count: int = 1, timeout: float = 10) -> list[Received]:
        """Wait for messages without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for_mail, count, timeout)

    def keep(self, mail: Received) -> None:
        """Store a received message."""
        with self._arrival:
            self.received.append(mail)
            self._arrival.notify_all()
