"""The ways to send: aiosmtplib, and both integrations by their actions, as automations do."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
import tempfile
import time
from typing import Any, ClassVar, Final, override

import aiosmtplib
from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import DATA_COMPONENT as CAMERAS
from homeassistant.setup import async_setup_component
from homeassistant.util.ssl import create_client_context

from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource
from custom_components.outlook_smtp.auth.tokens import Token
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox import schedule
from tests import home
from tests.fake_microsoft.ports import LOOPBACK

from .servers import ADDRESS, GRAPH, PASSWORD, PIPELINING, SMTP, TOKEN

TEXT: Final = {"title": "A message", "message": "This is a message.\n" * 5}
MEDIA: Final = "media-source://media_source/local"
POLL_INTERVAL: Final = 0.002  # Seconds.
DAY: Final = 86_400.0
LIMITS: Final = {"max_messages": 20_000, "max_size": 10_000, "flood_limit": 10_000}


@dataclass
class Sender(ABC):
    """A way to send to a port on this machine; the folder holds the files to attach."""

    label: ClassVar[str]  # In the tables.
    server: ClassVar[int] = SMTP
    linger: ClassVar[float] = 0.0  # Seconds after `open` until no connection is open.

    port: int
    folder: str
    recipient: str = "anna@example.com"

    @abstractmethod
    async def open(self) -> None:
        """Prepare, without sending anything."""

    @abstractmethod
    async def send(self, *files: str) -> bool:
        """Send a message, perhaps with files, and return whether it is sent, not just queued."""


class Plain(Sender):
    """One aiosmtplib client with a connection that stays open."""

    label = "plain aiosmtplib"

    async def open(self) -> None:
        """Create the client."""
        values: dict[str, Any] = {"hostname": LOOPBACK, "username": ADDRESS, "password": PASSWORD}
        tls = create_client_context()
        self.client = aiosmtplib.SMTP(port=self.port, tls_context=tls, **values)
        self.turn = asyncio.Lock()

    async def send(self, *files: str) -> bool:
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
            return True


class Integration(Sender):
    """A Home Assistant with one integration, in a folder of its own."""

    async def start(self, domain: str, **values: Any) -> None:
        """Start Home Assistant, with a config entry that is not set up yet."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        home.write_entry(folder, domain, ADDRESS, **values)
        self.hass = await home.start(folder, "media_source", media=self.folder)

    async def call(self, domain: str, target: dict[str, Any], files: Sequence[str]) -> Any:
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

    label = "built-in smtp"

    async def open(self) -> None:
        """Set it up, with one recipient."""
        data = {"server": LOOPBACK, "port": self.port, "encryption": "starttls", "verify_ssl": True}
        data |= {"sender": ADDRESS, "sender_name": "Home"}
        data |= {"username": ADDRESS, "password": PASSWORD}
        anna = {"subentry_id": "anna", "subentry_type": "recipient", "title": "Anna", "data": {}}
        await self.start("smtp", data=data, subentries=[anna | {"unique_id": self.recipient}])
        await home.add(self.hass, "smtp")
        (self.entity,) = self.hass.states.async_entity_ids("notify")

    async def send(self, *files: str) -> bool:
        """Send a message to the recipient."""
        await self.call("smtp", {"entity_id": self.entity}, files)
        return True


class Ours(Integration):
    """This integration, without the rate limit that it applies for Microsoft's sake."""

    label = "Outlook.com SMTP"
    linger = 1.0  # The check after a set-up closes its connection.

    async def start_account(self, **sign_in: Any) -> None:
        """Start Home Assistant with an account that is not set up yet."""
        data = {"host": LOOPBACK, "port": self.port, "security": "starttls"}
        data |= {"account_kind": "other", "email": ADDRESS, "password": PASSWORD} | sign_in
        await self.start(DOMAIN, data=data, options=LIMITS)

    async def open(self) -> None:
        """Set it up, and wait for the check after it."""
        rate_limiter = schedule.RateLimiter
        schedule.RateLimiter = lambda: rate_limiter(per_minute=0)  # type: ignore[assignment,misc]
        await self.start_account()
        self.runtime = (await home.add(self.hass, DOMAIN)).runtime_data
        self.mailer = self.runtime.mailer
        while self.runtime.coordinator.data.connected is None:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)

    async def send(self, *files: str) -> bool:
        """Send a message; the call ends after some seconds if it has to wait."""
        response = await self.call(DOMAIN, {"to": self.recipient}, files)
        return bool(response["status"] == "sent")

    async def send_urgently(self) -> None:
        """Send an urgent message."""
        await self.call(DOMAIN, {"to": self.recipient, "priority": "high"}, ())

    async def add_camera(self, seconds: float) -> asyncio.Event:
        """Add a camera that takes some seconds; return the event of its picture."""
        assert await async_setup_component(self.hass, "camera", {})
        camera = SlowCamera(seconds)
        await self.hass.data[CAMERAS].async_add_entities([camera])
        return camera.is_taken

    async def send_picture(self) -> None:
        """Send the camera's picture."""
        source = {"media_content_id": "media-source://camera/camera.door"}
        source |= {"media_content_type": "image/jpeg"}
        pictures = [{"media_source": source}]
        await self.call(DOMAIN, {"to": self.recipient, "attachments": pictures}, ())

    async def drain(self) -> None:
        """Wait until the outbox is empty; the count at the server shows whether all were sent."""
        while self.mailer.queue.waiting:  # noqa: ASYNC110 - It has no event.
            await asyncio.sleep(POLL_INTERVAL)

    async def settle(self) -> None:
        """Wait until what was sent has been counted, on disk."""
        await self.runtime.sent.async_settle()


class SlowCamera(Camera):
    """A camera that takes its time."""

    _attr_name = "Door"

    def __init__(self, seconds: float) -> None:
        """Set how many seconds it takes."""
        super().__init__()
        self._seconds = seconds
        self.is_taken = asyncio.Event()

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return a picture of 100 KB, in the end."""
        await asyncio.sleep(self._seconds)
        self.is_taken.set()
        return b"\xff\xd8\xff\xdb" + bytes(100_000)


class Pipelining(Ours):
    """The same, at a server without CHUNKING."""

    label = "Outlook.com SMTP, PIPELINING alone"
    server = PIPELINING


class OverGraph(Ours):
    """The same over Microsoft Graph, with a token that need not be renewed."""

    label = "Outlook.com SMTP over Graph"
    server = GRAPH
    linger = 16.0  # aiohttp keeps an idle connection for 15 seconds.

    async def start_account(self, **_: Any) -> None:
        """Start Home Assistant with an account that sends over Microsoft Graph."""
        graph = f"https://{LOOPBACK}:{self.port}"
        CLOUDS[WORLDWIDE] = replace(CLOUDS[WORLDWIDE], graph=graph)
        token = Token(TOKEN, "", time.time(), time.time() + DAY, Resource.GRAPH).as_dict()
        await super().start_account(client_id="", tenant="common", token=token, route="graph")
