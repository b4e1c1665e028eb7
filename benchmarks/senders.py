"""What sends: aiosmtplib, and both integrations by their actions, as automations do."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
import os
from pathlib import Path
import tempfile
import time
from typing import Any, Final, override
from unittest.mock import patch

import aiosmtplib
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.ssl import create_client_context

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource
from custom_components.outlook_smtp.auth.tokens import Token
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.outbox import schedule
from custom_components.outlook_smtp.outbox.entry import SpoolEntry
from custom_components.outlook_smtp.outbox.spool import Spool
from tests import home
from tests.fake_microsoft.ports import LOOPBACK

from .servers import ADDRESS, GRAPH, LINE_BY_LINE, PASSWORD, SMTP, TOKEN

TEXT: Final = {"title": "A message", "message": "This is a message.\n" * 5}
POLL_INTERVAL: Final = 0.002  # Seconds.
DAY: Final = 86_400.0
LIMITS: Final = {"max_messages": 20_000, "max_size": 10_000, "flood_limit": 10_000}


@dataclass
class Sender:
    """Something that sends to a port on this machine; the folder holds the files to attach."""

    port: int
    folder: str
    recipient: str = "anna@example.com"

    async def open(self) -> None:
        """Prepare, without sending anything."""

    async def send(self, *files: str) -> None:
        """Send a message, perhaps with files."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until everything has been sent, and what is counted is on disk."""


@dataclass(frozen=True, eq=False)
class Way:
    """A way to send: its name in the tables, what sends, and to which server.

    After `linger` seconds without an email, no connection is open.
    """

    label: str
    sender: Callable[[int, str, str], Sender]
    server: int = SMTP
    linger: float = 0.0


class Plain(Sender):
    """One aiosmtplib client with a connection that stays open."""

    @override
    async def open(self) -> None:
        """Create the client."""
        values: dict[str, Any] = {"hostname": LOOPBACK, "username": ADDRESS, "password": PASSWORD}
        tls = create_client_context()
        self.client = aiosmtplib.SMTP(port=self.port, tls_context=tls, **values)
        self.turn = asyncio.Lock()

    @override
    async def send(self, *files: str) -> None:
        """Build a message as the built-in integration does, and send it."""
        async with self.turn:
            message = EmailMessage()
            message.set_content(TEXT["message"])
            message["Subject"], message["From"] = TEXT["title"], ADDRESS
            message["To"], message["Date"] = self.recipient, formatdate()
            message["Message-Id"] = make_msgid()
            for name in files:
                content = await asyncio.to_thread(Path(self.folder, name).read_bytes)
                message.add_attachment(content, maintype="image", subtype="jpeg", filename=name)
            if not self.client.is_connected:
                await self.client.connect()
            await self.client.send_message(message)


class Integration(Sender):
    """A Home Assistant with one integration, in a folder of its own."""

    async def start(self, domain: str, **values: Any) -> None:
        """Start Home Assistant, with a config entry that is not set up yet."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        home.write_entry(folder, domain, ADDRESS, **values)
        self.hass = await home.start(folder, "media_source", media=self.folder)

    async def call(self, domain: str, *files: str, **target: Any) -> Any:
        """Call the action that sends a message, and return its response if it has one."""
        data: dict[str, Any] = TEXT | target
        if files:
            paths = [file if "/" in file else f"media_source/local/{file}" for file in files]
            media = [{"media_content_id": f"media-source://{path}"} for path in paths]
            kind = {"media_content_type": "image/jpeg"}
            data["attachments"] = [{"media_source": item | kind} for item in media]
        return await self.hass.services.async_call(
            domain, "send_message", data, blocking=True, return_response=domain == DOMAIN
        )


class Builtin(Integration):
    """Home Assistant's built-in integration, with one recipient."""

    @override
    async def open(self) -> None:
        """Set it up."""
        data = {"server": LOOPBACK, "port": self.port, "encryption": "starttls", "verify_ssl": True}
        data |= {"sender": ADDRESS, "sender_name": "Home"}
        data |= {"username": ADDRESS, "password": PASSWORD}
        anna = {"subentry_id": "anna", "subentry_type": "recipient", "title": "Anna", "data": {}}
        await self.start("smtp", data=data, subentries=[anna | {"unique_id": self.recipient}])
        await home.add(self.hass, "smtp")
        (self.entity,) = self.hass.states.async_entity_ids("notify")

    @override
    async def send(self, *files: str) -> None:
        """Send a message to the recipient."""
        await self.call("smtp", *files, entity_id=self.entity)


class Ours(Integration):
    """This integration, without the rate limit that it applies for Microsoft's sake."""

    async def start_account(self, **sign_in: Any) -> None:
        """Start Home Assistant with an account that is not set up yet."""
        unlimited = partial(schedule.RateLimiter, per_minute=0)
        schedule.RateLimiter = unlimited  # type: ignore[assignment,misc]
        data = {"host": LOOPBACK, "port": self.port, "security": "starttls"}
        data |= {"account_kind": "other", "email": ADDRESS, "password": PASSWORD} | sign_in
        await self.start(DOMAIN, data=data, options=LIMITS)

    async def add_account(self) -> None:
        """Set the account up."""
        self.runtime = (await home.add(self.hass, DOMAIN)).runtime_data

    @override
    async def open(self) -> None:
        """Set it up, and wait for the check after it."""
        await self.start_account()
        await self.add_account()
        while self.runtime.coordinator.data.connected is None:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)

    async def queue(self, *files: str, **fields: Any) -> str:
        """Send a message, and return its status: the call ends earlier if it has to wait."""
        response = await self.call(DOMAIN, *files, to=self.recipient, **fields)
        return str(response["status"])

    @override
    async def send(self, *files: str) -> None:
        """Send a message, without queuing it."""
        if (status := await self.queue(*files)) != "sent":
            raise RuntimeError(f"a message was {status}, and not sent")

    @override
    async def settle(self) -> None:
        """Wait for the outbox, and for the count of what was sent."""
        while self.runtime.queue.waiting:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)
        await self.runtime.sent.async_settle()


class OverGraph(Ours):
    """The same over Microsoft Graph, with a token that need not be renewed."""

    @override
    async def start_account(self, **_: Any) -> None:
        """Start Home Assistant with an account that sends over Microsoft Graph."""
        graph = f"https://{LOOPBACK}:{self.port}"
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], graph=graph)
        token = Token(TOKEN, "", time.time(), time.time() + DAY, Resource.GRAPH).as_dict()
        await super().start_account(client_id="", tenant="common", token=token, route="graph")


@dataclass
class Waiting(Ours):
    """An account that is not set up, with messages of 48 KB that the user holds in its outbox."""

    waiting: int = 0

    @override
    async def open(self) -> None:
        """Start Home Assistant, and fill the outbox."""
        await self.start_account()
        name = f"{DOMAIN}.{home.ENTRY_ID}.outbox"
        spool = Spool(Path(self.hass.config.path(STORAGE_DIR, name)))
        content = b"Subject: Door\r\n\r\n" + 2000 * b"Somebody rang the bell. "
        to, size, then = (self.recipient,), len(content), datetime.now(UTC) - timedelta(days=1)
        entry = partial(
            SpoolEntry.of, Envelope(ADDRESS, to), size, title="Door", to=to, created=then
        )
        with patch.object(os, "fsync"):
            spool.open()
            spool.save_hold({"held": bool(self.waiting)})
            for number in range(self.waiting):
                spool.write(
                    entry(message_id=f"<{number}@example.com>"), [content], then.timestamp()
                )
        os.sync()  # What has waited for a day is on the disk.


@dataclass
class Code(Sender):
    """The code of an integration, which sends nothing."""

    package: str = ""


BUILTIN: Final = Way("built-in smtp", Builtin)
PLAIN: Final = Way("plain aiosmtplib", Plain)
OURS: Final = Way("Outlook.com SMTP", Ours, linger=1.0)  # The check after a set-up hangs up.
PIPELINING: Final = replace(OURS, label=f"{OURS.label}, PIPELINING alone", server=LINE_BY_LINE)
# aiohttp keeps an idle connection for 15 seconds.
OVER_GRAPH: Final = Way(f"{OURS.label} over Graph", OverGraph, server=GRAPH, linger=16.0)
