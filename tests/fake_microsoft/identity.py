"""A local fake of Microsoft's identity platform, where people sign in to applications."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
import time

from aiohttp import web

from .identity_device_flow import SECRETS, DeviceFlow
from .identity_script import Endpoint, IdentityScript
from .identity_web import Web
from .server import FakeServer
from .thread import ThreadedServer

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, with secrets redacted; `at` uses a clock that is never frozen."""

    endpoint: Endpoint
    tenant: str
    form: dict[str, str]
    at: float


class Identity(DeviceFlow, ThreadedServer):
    """The endpoints `devicecode`, `token` and `authorize` over HTTP on the loopback interface.

    Its access tokens give access to the mailboxes of a fake server.
    """

    _clock = staticmethod(time.monotonic)

    def __init__(self, fake_server: FakeServer, port: int = 0) -> None:
        """Prepare the platform; port 0 picks a free port at the first start and keeps it."""
        DeviceFlow.__init__(self, fake_server)
        ThreadedServer.__init__(self, "fake-identity", port)
        self.script = IdentityScript()
        self.requests: list[Request] = []

    @property
    def authority(self) -> str:
        """Return the URL that replaces https://login.microsoftonline.com."""
        return f"http://{LOOPBACK}:{self.port}"

    def count(self, endpoint: Endpoint | str) -> int:
        """Return the number of requests to an endpoint."""
        return sum(request.endpoint == endpoint for request in self.requests)

    @property
    def grant_types(self) -> list[str]:
        """Return the grant types of all token requests."""
        forms = (request.form for request in self.requests if request.endpoint is Endpoint.TOKEN)
        return [form.get("grant_type", "") for form in forms]

    def note(self, endpoint: Endpoint, tenant: str, form: Mapping[str, str]) -> None:
        """Record a request."""
        shown = {name: "***" if name in SECRETS else value for name, value in form.items()}
        request = Request(endpoint=endpoint, tenant=tenant, form=shown, at=self._clock())
        self.requests.append(request)

    @asynccontextmanager
    async def listening(self, stopping: asyncio.Event) -> AsyncIterator[int]:
        """Listen, yield the port, and close all connections at the end."""
        # The access log would show the codes in URLs.
        runner = web.AppRunner(
            Web(self, stopping).application(), access_log=None, shutdown_timeout=0.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self.port, reuse_address=True).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
