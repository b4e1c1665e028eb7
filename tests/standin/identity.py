"""A local look-alike of Microsoft's identity platform, where people sign in to applications."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
import threading
import time
from types import TracebackType
from typing import Self

from aiohttp import web

from .identity_desk import SECRETS, Desk
from .identity_script import Endpoint, IdentityScript
from .identity_web import Web
from .server import RealTimeLoop, StandIn

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, its secrets masked; `at` is by a clock that nobody freezes."""

    endpoint: Endpoint
    tenant: str
    form: dict[str, str]
    at: float


class Identity(Desk):
    """The endpoints `devicecode`, `token` and `authorize` over HTTP on the loopback.

    The access tokens that it issues open the mailboxes of a stand-in.
    """

    _clock = staticmethod(time.monotonic)

    def __init__(self, standin: StandIn, port: int = 0) -> None:
        """Set the platform up; port 0 takes any free port at the first start and keeps it."""
        super().__init__(standin)
        self.port = port
        self.script = IdentityScript()
        self.requests: list[Request] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def authority(self) -> str:
        """Return the address that is here in the place of https://login.microsoftonline.com."""
        return f"http://{LOOPBACK}:{self.port}"

    def count(self, endpoint: Endpoint | str) -> int:
        """Return how many requests an endpoint has had."""
        return sum(request.endpoint == endpoint for request in self.requests)

    @property
    def grant_types(self) -> list[str]:
        """Return what was traded for tokens, or was to be."""
        forms = (request.form for request in self.requests if request.endpoint is Endpoint.TOKEN)
        return [form.get("grant_type", "") for form in forms]

    def note(self, endpoint: Endpoint, tenant: str, form: Mapping[str, str]) -> None:
        """Note a request."""
        shown = {name: "***" if name in SECRETS else value for name, value in form.items()}
        request = Request(endpoint=endpoint, tenant=tenant, form=shown, at=self._clock())
        self.requests.append(request)

    # Life

    def start(self) -> None:
        """Start the platform, and return once it listens."""
        if self._thread:
            raise RuntimeError("the identity platform runs already")
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="identity-standin", daemon=True
        )
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Hang up on everybody, close the door and end the thread."""
        if self._thread is None:
            return
        if self._loop and self._stopping:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = self._stopping = None

    def __enter__(self) -> Self:
        """Start the platform."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the platform."""
        self.stop()

    def _run(self, ready: Future[None]) -> None:
        """Be the thread."""
        with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: Future[None]) -> None:
        """Serve until told to stop."""
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        # The access log would quote the codes in the addresses.
        runner = web.AppRunner(
            Web(self, stopping).application(), access_log=None, shutdown_timeout=0.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self.port, reuse_address=True).start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller of start must hear it
            ready.set_exception(error)
        else:
            self._loop, self._stopping = loop, stopping
            self.port = runner.addresses[0][1]
            ready.set_result(None)
            await stopping.wait()
        await runner.cleanup()
