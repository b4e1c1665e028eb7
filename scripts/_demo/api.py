"""Home Assistant's API, as its own UI uses it."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final, Self

import aiohttp

from .console import DemoError
from .websocket import WebSocket

LOOK_EVERY: Final = 0.1  # Seconds.


class Api:
    """The REST API of one Home Assistant, used by a signed-in user, and its WebSocket."""

    def __init__(self, rest: Rest, websocket: WebSocket) -> None:
        """Use what is open; use `sign_in` to get it."""
        self.get = rest.get
        self.post = rest.post
        self.ask = websocket.ask
        self.subscribe = websocket.subscribe
        self.close = websocket.close

    @classmethod
    async def sign_in(
        cls, session: aiohttp.ClientSession, url: str, name: str, *, new: bool
    ) -> Self:
        """Sign in as the login form does; a new user is made first, as the first start does.

        The user's password is its name.
        """
        rest = Rest(session, url)
        client = {"client_id": f"{url}/"}
        who = {"username": name, "password": name}
        if new:
            await rest.post(
                "/api/onboarding/users", client | who | {"name": name.title(), "language": "en"}
            )
        flow = await rest.post(
            "/auth/login_flow",
            client | {"handler": ["homeassistant", None], "redirect_uri": f"{url}/"},
        )
        signed_in = await rest.post(f"/auth/login_flow/{flow['flow_id']}", client | who)
        code = {"grant_type": "authorization_code", "code": signed_in["result"]}
        granted = await rest.post_form("/auth/token", client | code)
        websocket = await WebSocket.open(session, url, granted["access_token"])
        # The granted token is good for half an hour, and people click around for longer.
        token = await websocket.ask(
            "auth/long_lived_access_token", client_name=f"Demo {token_hex(4)}", lifespan=1
        )
        return cls(Rest(session, url, {"Authorization": f"Bearer {token}"}), websocket)

    async def wait_until_running(self) -> None:
        """Wait until Home Assistant has set everything up."""
        while True:
            if (await self.get("/api/config"))["state"] == "RUNNING":
                return
            await asyncio.sleep(LOOK_EVERY)

    async def call(self, action: str, data: dict[str, Any], *, respond: bool = False) -> Any:
        """Call an action, and return its response if asked for."""
        query = "?return_response" if respond else ""
        result = await self.post(f"/api/services/{action.replace('.', '/')}{query}", data)
        return result["service_response"] if respond else None


class Rest:
    """Requests whose refusal is a sentence."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
    ) -> None:
        """Talk to a Home Assistant, with the headers that say who does."""
        self._session = session
        self._url = url
        self._headers = headers

    async def get(self, path: str) -> Any:
        """Read something."""
        return await self._request("GET", path)

    async def post(self, path: str, data: Any) -> Any:
        """Do something."""
        return await self._request("POST", path, json=data)

    async def post_form(self, path: str, data: dict[str, str]) -> Any:
        """Do something, told as a form."""
        return await self._request("POST", path, data=data)

    async def _request(self, method: str, path: str, **body: Any) -> Any:
        """Make a request, and turn a refusal into a sentence."""
        async with self._session.request(
            method, self._url + path, headers=self._headers, **body
        ) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise DemoError(
                    f"Home Assistant answered {method} {path} with {response.status}: "
                    f"{await response.text()}"
                )
            return await response.json()


async def wait_until_up(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until a Home Assistant answers."""
    while True:
        with suppress(aiohttp.ClientError):
            async with session.get(f"{url}/api/onboarding") as response:
                if response.status == HTTPStatus.OK:
                    return
        await asyncio.sleep(LOOK_EVERY)
