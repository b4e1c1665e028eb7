"""Home Assistant's WebSocket API: commands with answers, and events."""

import asyncio
from typing import Any, Final, Self

import aiohttp

from .console import DemoError

ANSWER_TIMEOUT: Final = 30.0  # Seconds.

type Event = dict[str, Any]


class WebSocket:
    """One signed-in connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take a connection over; use `open` to get one."""
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: dict[int, asyncio.Queue[Event]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, url: str, token: str) -> Self:
        """Connect and sign in."""
        socket = await session.ws_connect(f"{url}/api/websocket", max_msg_size=0)
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": token})
        await socket.receive_json()
        return cls(socket)

    async def close(self) -> None:
        """Close the connection."""
        await self._socket.close()
        await self._reader

    async def ask(self, command: str, **fields: Any) -> Any:
        """Send a command and return its result."""
        return (await self._send(command, fields))[1]

    async def subscribe(self, event_type: str) -> asyncio.Queue[Event]:
        """Return a queue into which all later events of a type come."""
        number, _ = await self._send("subscribe_events", {"event_type": event_type})
        return self._events[number]

    async def _send(self, command: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """Send a command; return its number and its result."""
        number = len(self._answers) + 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._events[number] = asyncio.Queue()
        await self._socket.send_json({"id": number, "type": command, **fields})
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return number, await answer

    async def _read(self) -> None:
        """Hand on what comes in, until the connection ends."""
        async for raw in self._socket:
            message = raw.json()
            if message["type"] == "event":
                self._events[message["id"]].put_nowait(message["event"])
            elif message["success"]:
                self._answers[message["id"]].set_result(message["result"])
            else:
                error = DemoError(f"Home Assistant refused a command: {message['error']}")
                self._answers[message["id"]].set_exception(error)
