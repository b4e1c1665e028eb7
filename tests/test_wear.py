"""What wears out an SD card: nothing is written when nothing changes, and little for a message."""

from collections import Counter
import os
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import STORAGE_DIR
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .fake_microsoft import FakeServer, Script, Step
from .helpers import mailer_of, outgoing, pass_time, until_empty
from .promises import SYNCS_A_MESSAGE, WRITTEN_A_MESSAGE

CONNECTION = "binary_sensor.me_outlook_com_connection"
CHECKS_A_DAY = 48

type Contents = dict[str, tuple[int, int]]


def contents(folder: Path) -> Contents:
    """Return which file is where, and when it was written; a folder counts as well."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.stat()
        found[str(path)] = (status.st_ino, status.st_mtime_ns)
    return found


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with an entry for each fsync from now on."""
    fsync, calls = os.fsync, list[int]()

    def note(descriptor: int) -> None:
        """Sync, and note it."""
        calls.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return calls


def written() -> int:
    """Return how many bytes this process has written to files so far; sockets do not count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


async def idle(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, steps: int = CHECKS_A_DAY
) -> Counter[str]:
    """Let a day pass in a number of steps, and return how often each entity changed."""
    changes: Counter[str] = Counter()

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        """Count a change."""
        changes[event.data["entity_id"]] += 1

    remove = hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    for _ in range(steps):
        await pass_time(hass, freezer, minutes=24 * 60 / steps)
    remove()
    return changes


async def test_nothing_is_written_in_a_day_of_idling(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    syncs: list[int],
) -> None:
    """Checks change one entity, not the disk; a failed message has its age saved once a day."""
    storage = Path(hass.config.path(STORAGE_DIR))
    before = contents(storage)
    assert await idle(hass, freezer) == {CONNECTION: CHECKS_A_DAY}
    assert contents(storage) == before
    assert syncs == []

    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await mailer_of(account).send(outgoing())
    await pass_time(hass, freezer, hours=1)
    syncs.clear()
    assert set(await idle(hass, freezer, steps=8)) == {CONNECTION}
    assert len(syncs) == 2  # One small file, and its folder.


async def test_message_is_synced_three_times(account: MockConfigEntry, syncs: list[int]) -> None:
    """When it is written, and when it is deleted; what else is written may wait for the system."""
    await mailer_of(account).send(outgoing())
    await until_empty(account)
    await account.runtime_data.sent.async_settle()
    syncs.clear()
    before = written()
    await mailer_of(account).send(outgoing())
    await until_empty(account)
    await account.runtime_data.sent.async_settle()
    assert len(syncs) == SYNCS_A_MESSAGE
    assert written() - before < WRITTEN_A_MESSAGE
