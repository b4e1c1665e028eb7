"""Run a server in a separate thread, so that tests that block or freeze time do not stop it."""

from abc import ABC, abstractmethod
import asyncio
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
import threading
import time
from types import TracebackType
from typing import Self


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock continues while a test freezes time."""

    # Freezing replaces names in modules, not in classes.
    _clock = staticmethod(time.monotonic)

    def time(self) -> float:
        """Return the time of the loop."""
        return self._clock()


class ThreadedServer(ABC):
    """A server that can be started and stopped repeatedly on the same port."""

    def __init__(self, name: str, port: int) -> None:
        """Prepare the server; port 0 picks a free port at the first start and keeps it."""
        self.port = port
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @abstractmethod
    def listening(self, stopping: asyncio.Event) -> AbstractAsyncContextManager[int]:
        """Listen, yield the port, and close all connections at the end."""

    def start(self) -> None:
        """Start the server, and return once it listens."""
        if self._thread:
            raise RuntimeError("the server runs already")
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name=self._name, daemon=True
        )
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop listening, close all connections and end the thread."""
        if self._thread is None:
            return
        if self._loop and self._stopping:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = self._stopping = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _run(self, ready: Future[None]) -> None:
        """Run the thread."""
        with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: Future[None]) -> None:
        """Serve until told to stop."""
        stopping = asyncio.Event()
        try:
            async with self.listening(stopping) as port:
                self._loop, self._stopping = asyncio.get_running_loop(), stopping
                self.port = port
                ready.set_result(None)
                await stopping.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)
