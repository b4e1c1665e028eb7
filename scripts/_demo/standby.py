"""The demo stays up: it prints what arrives and lets a person spoil the server."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
import threading
from typing import Final

import aiohttp

from tests.standin import CATALOGUE, IMAP_GREETING, Script, StandIn

from .api import Api
from .console import DemoError, detail, show_mail, show_state
from .tour import SENSOR

HELP: Final = """
    Type here what the mail server should do; Home Assistant then checks the account:

    stop         be gone                              start    be back
    row NAME     refuse, in Microsoft's words         rows     list the names
    imap         greet as an IMAP server does         normal   behave again
    check        only check the account               help     show this again

    A refusal of the account turns the sensor off at once (try: row basic_auth_disabled). A
    passing trouble, like a server that is gone, does so when it is still there a minute later."""

CHECK: Final = "button.demo_outlook_com_check_now"
REFUSAL_DELAY: Final = 5.0  # Seconds; Microsoft's.

_ROWS: Final = {row.name: row for row in CATALOGUE}


class Standby:
    """Watches the stand-in and the sensor, and does what a person types."""

    def __init__(self, api: Api, standin: StandIn, typed: asyncio.Queue[str]) -> None:
        """Watch a stand-in that listens and a Home Assistant that is up; obey what is typed."""
        self._api = api
        self._standin = standin
        self._typed = typed
        self._seen = len(standin.received)

    async def run(self) -> None:
        """Stand by until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._show_mails())
            tasks.create_task(self._show_states())
            tasks.create_task(self._obey())

    async def _show_mails(self) -> None:
        """Print every mail that arrives."""
        while True:
            for mail in self._standin.received[self._seen :]:
                self._seen += 1
                show_mail(mail)
            await asyncio.sleep(0.2)

    async def _show_states(self) -> None:
        """Print every change of the sensor."""
        events = await self._api.subscribe("state_changed")
        while True:
            change = (await events.get())["data"]
            if change["entity_id"] == SENSOR and change["new_state"]:
                show_state(change["new_state"])

    async def _obey(self) -> None:
        """Do what is typed, line by line."""
        while True:
            command, _, name = (await self._typed.get()).strip().partition(" ")
            try:
                await self._do(command, name.strip())
            except (DemoError, aiohttp.ClientError) as error:
                detail(str(error))

    async def _do(self, command: str, name: str) -> None:
        """Do one command."""
        commands: dict[str, Callable[[], Awaitable[object]]] = {
            "stop": lambda: asyncio.to_thread(self._standin.stop),
            "start": self._start,
            "normal": lambda: self._behave(Script()),
            "imap": lambda: self._behave(Script(greeting=IMAP_GREETING)),
            "check": lambda: asyncio.sleep(0),
        }
        if command in commands:
            await commands[command]()
        elif command == "row" and name in _ROWS:
            row = _ROWS[name]
            await self._behave(Script(replies={row.step: row.reply}, refusal_delay=REFUSAL_DELAY))
        elif command:
            print("\n    ".join(["", *_ROWS]) if command in ("row", "rows") else HELP, flush=True)
            return
        else:
            return
        detail(f"Done: {command} {name}. Checking the account…")
        # A check that fails is an error of the button; the sensor, which is shown, says the same.
        with suppress(DemoError):
            await self._api.call("button.press", {"entity_id": CHECK})

    async def _start(self) -> None:
        """Start the stand-in if it is stopped."""
        try:
            await asyncio.to_thread(self._standin.start)
        except RuntimeError as error:
            raise DemoError(f"It is not stopped: {error}.") from error

    async def _behave(self, script: Script) -> None:
        """Change how the stand-in behaves."""
        self._standin.script = script


def read_keyboard() -> asyncio.Queue[str]:
    """Return a queue of the lines typed; a thread reads them, for not every input can be polled."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        """Read until the input ends; unbuffered, for a buffer's lock would hold up the exit."""
        with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as keyboard:
            for line in keyboard:
                loop.call_soon_threadsafe(lines.put_nowait, line.decode(errors="replace"))

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    return lines
