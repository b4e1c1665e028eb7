"""The two integrations, used by their actions as an automation uses them."""

import asyncio
from pathlib import Path
import tempfile
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.outbox import schedule
from tests import home

from .orders import ADDRESS, FILES, PASSWORD, RECIPIENT, Order, Scenario
from .sender import HOST, Sender, letter

LOOK_EVERY: Final = 0.002  # Seconds.
MARGIN: Final = 0.3  # Seconds for a farewell that nobody waits for.
# Where a message that waits in the outbox when the action ends is not what is measured.
AT_ONCE: Final = (Scenario.COLD, Scenario.WARM, Scenario.BIG)
ATTACHMENTS: Final = [
    {
        "media_source": {
            "media_content_id": f"media-source://media_source/local/{name}",
            "media_content_type": "image/jpeg",
        }
    }
    for name in FILES
]


def account(port: int) -> dict[str, Any]:
    """Return what the config entry of this integration holds."""
    return {
        "account_kind": "other",
        "email": ADDRESS,
        "password": PASSWORD,
        "host": HOST,
        "port": port,
        "security": "starttls",
    }


class Integration(Sender):
    """A Home Assistant with one integration, in a folder of its own."""

    def __init__(self, order: Order) -> None:
        """Prepare the folder."""
        super().__init__(order)
        self._folder = tempfile.TemporaryDirectory(prefix="outlook-smtp-bench-")
        self.folder = Path(self._folder.name)
        self.hass: HomeAssistant | None = None

    async def start(self, domain: str, **values: Any) -> ConfigEntry[Any]:
        """Bring Home Assistant up, with a config entry that holds these values."""
        home.write_entry(self.folder, domain, ADDRESS, **values)
        self.hass = await home.start(self.folder, "media_source", media=self.order.folder)
        return await home.add(self.hass, domain)

    async def call(
        self, domain: str, data: dict[str, Any], *, big: bool, answered: bool = False
    ) -> Any:
        """Call the action that sends a message, and return its answer if it has one."""
        assert self.hass
        extra = {"attachments": ATTACHMENTS} if big else {}
        return await self.hass.services.async_call(
            domain, "send_message", data | extra, blocking=True, return_response=answered
        )


class Builtin(Integration):
    """Home Assistant's own integration."""

    async def open(self) -> None:
        """Set it up, with one recipient."""
        recipient = {
            "data": {},
            "subentry_id": "anna",
            "subentry_type": "recipient",
            "title": "Anna",
            "unique_id": RECIPIENT,
        }
        data = {
            "server": HOST,
            "port": self.order.port,
            "username": ADDRESS,
            "password": PASSWORD,
            "encryption": "starttls",
            "verify_ssl": True,
            "sender": ADDRESS,
            "sender_name": "Home",
        }
        await self.start("smtp", data=data, subentries=[recipient])
        assert self.hass
        (self._entity,) = self.hass.states.async_entity_ids("notify")

    async def send(self, number: int, *, big: bool = False) -> None:
        """Send a message to the recipient."""
        await self.call("smtp", letter(number) | {"entity_id": self._entity}, big=big)


class Ours(Integration):
    """This integration, without the pace that it keeps for Microsoft's sake."""

    async def open(self) -> None:
        """Set it up, and wait until the check that follows has ended."""
        pace = schedule.Pace
        schedule.Pace = lambda: pace(per_minute=0)  # type: ignore[assignment,misc]
        options = {"max_messages": 10_000, "max_size": 10_000}
        entry = await self.start(DOMAIN, data=account(self.order.port), options=options)
        coordinator = entry.runtime_data
        self._mailer = coordinator.mailer
        while coordinator.data.connected is None:  # noqa: ASYNC110 - It has no event for that.
            await asyncio.sleep(LOOK_EVERY)
        await asyncio.sleep(2 * self.order.delay + MARGIN)

    async def send(self, number: int, *, big: bool = False) -> None:
        """Send a message to an address; where it is to be sent at once, see that it is."""
        data = letter(number) | {"to": RECIPIENT}
        receipt = await self.call(DOMAIN, data, big=big, answered=True)
        if self.order.scenario in AT_ONCE and receipt["status"] != "sent":
            raise RuntimeError(f"message {number} was {receipt['status']}, not sent: {receipt}")

    async def send_all(self, count: int) -> None:
        """Send messages, and wait until the server has accepted them all."""
        await super().send_all(count)
        await self._await_empty()

    async def fill(self, count: int) -> None:
        """Let messages wait in the outbox."""
        await self._mailer.courier.stop()
        # They are told after some seconds that their messages are queued.
        await super().send_all(count)
        assert len(self._mailer.queue.items) == count

    async def drain(self, count: int) -> None:
        """Let the outbox be emptied; whether by sending, the count at the server tells."""
        await self._mailer.courier.start()
        await self._await_empty()

    async def _await_empty(self) -> None:
        """Wait until nothing waits any more."""
        while self._mailer.queue.items:  # noqa: ASYNC110 - It has no event for that.
            await asyncio.sleep(LOOK_EVERY)
