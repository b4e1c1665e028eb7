"""Shared helpers of the outbox tests in Home Assistant: accounts, messages, time and restarts."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, ServiceResponse, State
from homeassistant.helpers import event
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import get_scheduled_timer_handles
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import outboxes
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.mailer import Mailer
from custom_components.outlook_smtp.message.mailbox import parse_mailboxes
from custom_components.outlook_smtp.message.outgoing import OutgoingMessage
from custom_components.outlook_smtp.outbox.receipt import Receipt, Status

from .conftest import until
from .fake_microsoft import FakeServer

ANNA, BERT = "anna@example.com", "bert@example.com"


def outgoing(title: str = "Door", *to: str, text: str = "Somebody rang") -> OutgoingMessage:
    """Return a message, to Anna unless others are named."""
    return OutgoingMessage(to=parse_mailboxes(to or (ANNA,), "to"), title=title, text=text)


def mailer_of(entry: MockConfigEntry) -> Mailer:
    """Return the mailer of a loaded account."""
    mailer: Mailer = entry.runtime_data.mailer
    return mailer


def state_of(hass: HomeAssistant, entity_id: str) -> State:
    """Return the state of an entity that has one."""
    state = hass.states.get(entity_id)
    assert state
    return state


def titles(fake_server: FakeServer) -> list[str]:
    """Return the titles of the messages that a server received, in order."""
    return [mail.message["Subject"] for mail in fake_server.received]


def folder_of(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    """Return the folder of an account's outbox."""
    return Path(hass.config.config_dir, STORAGE_DIR, f"{DOMAIN}.{entry.entry_id}.outbox")


def waiting_files(hass: HomeAssistant, entry: MockConfigEntry) -> list[Path]:
    """Return the files of the waiting messages in an account's outbox."""
    return sorted((folder_of(hass, entry) / "waiting").glob("*.msg"))


async def defer(entry: MockConfigEntry, *outgoing_messages: OutgoingMessage) -> list[Receipt]:
    """Send messages that will be queued, and return their receipts."""
    receipts = [await mailer_of(entry).send(each) for each in outgoing_messages or (outgoing(),)]
    assert {receipt.status for receipt in receipts} == {Status.QUEUED}
    await until(lambda: not mailer_of(entry).queue.under_way)
    return receipts


async def until_empty(entry: MockConfigEntry) -> None:
    """Wait until an account's outbox is empty, and its listeners know."""
    queue = mailer_of(entry).queue
    await until(lambda: not queue.waiting and not queue.under_way)


async def act(hass: HomeAssistant, action: str, **fields: Any) -> None:
    """Call an action of the integration."""
    await hass.services.async_call(DOMAIN, action, fields, blocking=True)


async def ask(hass: HomeAssistant, action: str, **fields: Any) -> Any:
    """Call an action of the integration, and return its response."""
    response: ServiceResponse = await hass.services.async_call(
        DOMAIN, action, fields, blocking=True, return_response=True
    )
    return response


def run_due_timers(hass: HomeAssistant) -> None:
    """Run every timer that is due at the frozen time, or half a second later.

    Like the plugin's `async_fire_time_changed`, which creates two mocks for each timer: these
    would take more than half of the time that a day of a test takes.
    """
    now = dt_util.utcnow() + timedelta(microseconds=event.RANDOM_MICROSECOND_MAX)
    due = hass.loop.time() + event.RANDOM_MICROSECOND_MAX / 1e6
    with (
        patch.object(event, "time_tracker_utcnow", lambda: now),
        patch.object(event, "time_tracker_timestamp", now.timestamp),
    ):
        for timer in [*get_scheduled_timer_handles(hass.loop)]:
            if not timer.cancelled() and timer.when() <= due:
                timer._run()
                timer.cancel()


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **duration: float) -> None:
    """Let time pass, and wait for what Home Assistant does then."""
    freezer.tick(timedelta(**duration))
    run_due_timers(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def settle(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up an account, and wait for its first check."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def shut_down(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Drop everything that is not on disk, like the end of Home Assistant."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.data.pop(outboxes._OUTBOXES)


def add_account(
    hass: HomeAssistant, fake_server: FakeServer, account_data: dict[str, Any], address: str
) -> MockConfigEntry:
    """Return another account, on its own or a shared fake server, not yet set up."""
    fake_server.add_mailbox(address, account_data["password"])
    data = account_data | {"email": address, "port": fake_server.port}
    entry = MockConfigEntry(domain=DOMAIN, title=address, unique_id=address, data=data)
    entry.add_to_hass(hass)
    return entry


def values_of(part: Any, key: str) -> Iterator[Any]:
    """Yield all values of a key, at any depth."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(part, list):
        for item in part:
            yield from values_of(item, key)
