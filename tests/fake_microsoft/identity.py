"""A local look-alike of Microsoft's identity platform, where people sign in to applications."""

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
    """One request, its secrets masked; `at` is by a clock that nobody freezes."""

    endpoint: Endpoint
    tenant: str
    form: dict[str, str]
    at: float


class Identity(DeviceFlow, ThreadedServer):
    """The endpoints `devicecode`, `token` and `authorize` over HTTP on the loopback.

    The access tokens that it issues open the mailboxes of a fake server.
    """

    _clock = staticmethod(time.monotonic)

    def __init__(self, fake_server: FakeServer, port: int = 0) -> None:
        """Set the platform up; port 0 takes any free port at the first start and keeps it."""
        DeviceFlow.__init__(self, fake_server)
        ThreadedServer.__init__(self, "fake-identity", port)
        self.script = IdentityScript()
        self.requests: list[Request] = []

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

    @asynccontextmanager
    async def listening(self, stopping: asyncio.Event) -> AsyncIterator[int]:
        """Open the door, give the port, and hang up on everybody in the end."""
        # The access log would quote the codes in the addresses.
        runner = web.AppRunner(
            Web(self, stopping).application(), access_log=None, shutdown_timeout=0.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self.port, reuse_address=True).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
