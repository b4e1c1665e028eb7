"""What every way to send has in common, and the plain one: aiosmtplib without Home Assistant."""

from abc import ABC, abstractmethod
import asyncio
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
import ssl
from typing import Any, Final

import aiosmtplib
from homeassistant.util.ssl import create_client_context

from .orders import ADDRESS, FILES, PASSWORD, RECIPIENT, Order

HOST: Final = "127.0.0.1"


def letter(number: int) -> dict[str, Any]:
    """Return what a message says."""
    return {"title": f"Message {number}", "message": f"This is message {number}.\n" * 5}


class Sender(ABC):
    """A way to send mail, ready to be measured."""

    def __init__(self, order: Order) -> None:
        """Prepare to carry out an order."""
        self.order = order

    @abstractmethod
    async def open(self) -> None:
        """Get ready, without a connection to the server."""

    @abstractmethod
    async def send(self, number: int, *, big: bool = False) -> None:
        """Send a message, with 20 MB attached if it is a big one."""

    async def send_all(self, count: int) -> None:
        """Send many messages, all handed over at once."""
        await asyncio.gather(*(self.send(number) for number in range(count)))

    async def fill(self, count: int) -> None:  # noqa: B027 - Most ways have no queue.
        """Let messages wait, if the way lets any wait."""

    async def drain(self, count: int) -> None:
        """Send the messages that wait."""
        await self.send_all(count)


class Plain(Sender):
    """One client of aiosmtplib that is kept open, and messages in a row."""

    async def open(self) -> None:
        """Make the client."""
        context: ssl.SSLContext = create_client_context()
        self._client = aiosmtplib.SMTP(
            hostname=HOST,
            port=self.order.port,
            username=ADDRESS,
            password=PASSWORD,
            start_tls=True,
            tls_context=context,
        )

    async def send(self, number: int, *, big: bool = False) -> None:
        """Send a message."""
        if not self._client.is_connected:
            await self._client.connect()
        await self._client.send_message(await self._compose(number, big=big))

    async def send_all(self, count: int) -> None:
        """Send messages in a row."""
        for number in range(count):
            await self.send(number)

    async def _compose(self, number: int, *, big: bool) -> EmailMessage:
        """Build a message as the built-in integration does."""
        text = letter(number)
        message = EmailMessage()
        message.set_content(text["message"])
        message["Subject"] = text["title"]
        message["From"], message["To"] = ADDRESS, RECIPIENT
        message["Date"], message["Message-Id"] = formatdate(), make_msgid()
        for name in FILES if big else ():
            content = await asyncio.to_thread((Path(self.order.folder) / name).read_bytes)
            message.add_attachment(content, maintype="image", subtype="jpeg", filename=name)
        return message
