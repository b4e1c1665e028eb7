"""The ways to send: aiosmtplib, and both integrations by their actions, as automations do."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
import logging
import os
from pathlib import Path
from statistics import median
import tempfile
import time
from typing import Any, Final
import warnings

import aiosmtplib
from homeassistant.config_entries import ConfigEntry
from homeassistant.runner import create_event_loop
from homeassistant.util.ssl import create_client_context

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource
from custom_components.outlook_smtp.auth.tokens import Token
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox import schedule
from tests import home

from . import ADDRESS, LOOPBACK, PASSWORD, TOKEN
from .measure import Figures, metered
from .scenarios import Row, Way

RECIPIENT: Final = "anna@example.com"
SIGN_IN: Final = {"username": ADDRESS, "password": PASSWORD}
SENDER: Final = {"sender": ADDRESS, "sender_name": "Home"}
TEXT: Final = {"title": "A message", "message": "This is a message.\n" * 5}
BIG: Final = tuple(f"picture-{number}.jpg" for number in range(1, 5))  # Together 20 MB.
ATTACHED: Final = "picture.jpg"  # About as much as Microsoft Graph takes.
FILES: Final = {ATTACHED: 2_000_000, **dict.fromkeys(BIG, 5_000_000)}  # Bytes.
MEDIA: Final = "media-source://media_source/local"
LOOK_EVERY: Final = 0.002  # Seconds.
CHECK_ENDS: Final = 1.0  # Seconds until the check after a set-up has closed its connection.
HTTP_ENDS: Final = 16.0  # Seconds; aiohttp keeps an idle connection for 15.
DAY: Final = 86_400.0


class Sender(ABC):
    """A way to send. Each scenario is a method that measures its own work with the meter."""

    def __init__(self, port: int, folder: str, meter: AbstractAsyncContextManager[None]) -> None:
        """Send to a port on this machine; the folder holds the attached files."""
        self.port = port
        self.folder = folder
        self.meter = meter

    @abstractmethod
    async def open(self) -> None:
        """Prepare, without a connection to the server."""

    @abstractmethod
    async def send(self, *files: str) -> None:
        """Send a message, perhaps with files attached, and wait until it is sent."""

    async def some(self, count: int, *files: str) -> None:
        """Send messages one after another, and measure that."""
        async with self.meter:
            for _ in range(count):
                await self.send(*files)

    async def cold(self, count: int) -> None:
        """Send messages one after another; no connection is open before the first."""
        await self.some(count)

    async def warm(self, count: int) -> None:
        """Send messages one after another, after a first one."""
        await self.send()
        await self.some(count)

    async def attached(self, count: int) -> None:
        """Send a message with 2 MB of attachments, after a small one."""
        await self.send()
        await self.some(count, ATTACHED)

    async def big(self, count: int) -> None:
        """Send a message with 20 MB of attachments, after a small one."""
        await self.send()
        await self.some(count, *BIG)

    async def burst(self, count: int) -> None:
        """Send messages that are submitted all at once."""
        async with self.meter:
            await asyncio.gather(*(self.send() for _ in range(count)))

    async def queue(self, count: int) -> None:
        """Send all the messages waiting in an outbox, if there is one."""
        await self.burst(count)


class Plain(Sender):
    """One aiosmtplib client with a connection that stays open."""

    async def open(self) -> None:
        """Create the client."""
        tls = create_client_context()
        self.client = aiosmtplib.SMTP(
            hostname=LOOPBACK, port=self.port, username=ADDRESS, password=PASSWORD, tls_context=tls
        )

    async def send(self, *files: str) -> None:
        """Build a message as the built-in integration does, and send it."""
        message = EmailMessage()
        message.set_content(TEXT["message"])
        message["Subject"], message["From"], message["To"] = TEXT["title"], ADDRESS, RECIPIENT
        message["Date"], message["Message-Id"] = formatdate(), make_msgid()
        for name in files:
            content = await asyncio.to_thread(Path(self.folder, name).read_bytes)
            message.add_attachment(content, maintype="image", subtype="jpeg", filename=name)
        if not self.client.is_connected:
            await self.client.connect()
        await self.client.send_message(message)

    async def burst(self, count: int) -> None:
        """Send messages one after another, because there is one connection."""
        await self.some(count)


class Integration(Sender):
    """A Home Assistant with one integration, in a folder of its own."""

    async def start(self, domain: str, **values: Any) -> ConfigEntry[Any]:
        """Start Home Assistant with a config entry with these values."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        home.write_entry(folder, domain, ADDRESS, **values)
        self.hass = await home.start(folder, "media_source", media=self.folder)
        return await home.add(self.hass, domain)

    async def call(self, domain: str, target: dict[str, Any], *files: str) -> Any:
        """Call the action that sends a message, and return its response if it has one."""
        data: dict[str, Any] = TEXT | target
        if files:
            media = [{"media_content_id": f"{MEDIA}/{name}"} for name in files]
            kind = {"media_content_type": "image/jpeg"}
            data["attachments"] = [{"media_source": item | kind} for item in media]
        return await self.hass.services.async_call(
            domain, "send_message", data, blocking=True, return_response=domain == DOMAIN
        )


class Builtin(Integration):
    """Home Assistant's built-in integration."""

    async def open(self) -> None:
        """Set it up, with one recipient."""
        data = {"server": LOOPBACK, "port": self.port, "encryption": "starttls", "verify_ssl": True}
        anna = {"subentry_id": "anna", "subentry_type": "recipient", "title": "Anna", "data": {}}
        subentries = [anna | {"unique_id": RECIPIENT}]
        await self.start("smtp", data=data | SENDER | SIGN_IN, subentries=subentries)
        (self.entity,) = self.hass.states.async_entity_ids("notify")

    async def send(self, *files: str) -> None:
        """Send a message to the recipient."""
        await self.call("smtp", {"entity_id": self.entity}, *files)


class Ours(Integration):
    """This integration, without the rate limit that it applies for Microsoft's sake."""

    async def open(self) -> None:
        """Set it up, and wait until the check after it has ended."""
        rate_limiter = schedule.RateLimiter
        schedule.RateLimiter = lambda: rate_limiter(per_minute=0)  # type: ignore[assignment,misc]
        options = {"max_messages": 10_000, "max_size": 10_000}
        entry = await self.start(DOMAIN, data=self.account(), options=options)
        self.mailer = entry.runtime_data.mailer
        while entry.runtime_data.coordinator.data.connected is None:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(LOOK_EVERY)
        await asyncio.sleep(CHECK_ENDS)

    def account(self) -> dict[str, Any]:
        """Return the data of the account."""
        return account(self.port)

    async def send(self, *files: str) -> None:
        """Send a message, and check that it was sent, not just queued."""
        response = await self.call(DOMAIN, {"to": RECIPIENT}, *files)
        if response["status"] != "sent":
            raise RuntimeError(f"a message was not sent: {response}")

    async def burst(self, count: int) -> None:
        """Submit messages at once, and wait until the last one has left the outbox."""
        async with self.meter:
            await self.fill(count)
            await self.await_empty()

    async def queue(self, count: int) -> None:
        """Send the messages that wait in the outbox."""
        await self.mailer.worker.stop()
        await self.fill(count)
        assert len(self.mailer.queue.waiting) == count
        async with self.meter:
            await self.mailer.worker.start()
            await self.await_empty()

    async def fill(self, count: int) -> None:
        """Submit messages at once; a call ends after some seconds if its message has to wait."""
        await asyncio.gather(*(self.call(DOMAIN, {"to": RECIPIENT}) for _ in range(count)))

    async def await_empty(self) -> None:
        """Wait until no message waits; the count at the server shows whether they were sent."""
        while self.mailer.queue.waiting:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(LOOK_EVERY)


class OverGraph(Ours):
    """The same over Microsoft Graph, with a token that need not be renewed."""

    def account(self) -> dict[str, Any]:
        """Return the data of an account that sends over Microsoft Graph."""
        place = f"https://{LOOPBACK}:{self.port}"
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], graph=place)
        token = Token(TOKEN, "", time.time(), time.time() + DAY, Resource.GRAPH)
        sign_in = {"client_id": "", "tenant": "common", "token": token.as_dict()}
        return account(self.port) | sign_in | {"route": Resource.GRAPH.value}

    async def cold(self, count: int) -> None:
        """Send messages one after another, once the connection of the check is closed."""
        await asyncio.sleep(HTTP_ENDS)
        await super().cold(count)


SENDERS: Final[dict[Way, type[Sender]]] = {
    Way.BUILTIN: Builtin,
    Way.AIOSMTPLIB: Plain,
    Way.OURS: Ours,
    Way.PIPELINING: Ours,
    Way.GRAPH: OverGraph,
}


def make_files(folder: str) -> None:
    """Create the files to attach."""
    for name, size in FILES.items():
        Path(folder, name).write_bytes(os.urandom(size))


def account(port: int) -> dict[str, Any]:
    """Return the data of this integration's config entry."""
    place = {"host": LOOPBACK, "port": port, "security": "starttls"}
    return place | {"account_kind": "other", "email": ADDRESS, "password": PASSWORD}


async def measure_row(row: Row, count: int, port: int, folder: str, watched: bool) -> Figures:
    """Measure a row once, with a number of messages to a port on this machine."""
    figures = Figures(messages=count)
    sender = SENDERS[row.way](port, folder, metered(figures, watched=watched))
    await sender.open()
    await getattr(sender, row.scenario)(count)
    return figures


async def measure_set_up(port: int, folder: str) -> tuple[float, float]:
    """Return the seconds of the first set-up, and the median of five after an unload."""
    path = Path(tempfile.mkdtemp(dir=folder))
    home.write_entry(path, DOMAIN, ADDRESS, data=account(port))
    hass = await home.start(path, "media_source")
    began = time.perf_counter()
    entry = await home.add(hass, DOMAIN)
    first, durations = time.perf_counter() - began, []
    for _ in range(5):
        assert await hass.config_entries.async_unload(entry.entry_id)
        began = time.perf_counter()
        assert await hass.config_entries.async_setup(entry.entry_id)
        durations.append(time.perf_counter() - began)
    return first, median(durations)


def in_loop[**P, T](
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function in Home Assistant's event loop, whose threads end with the process."""
    logging.basicConfig(level=logging.ERROR)
    # Work that was stopped early leaves coroutines that nothing awaits.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    return create_event_loop().run_until_complete(function(*args, **kwargs))
