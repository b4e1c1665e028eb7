"""The sensors show what was sent, what waits and what is wrong, whatever the server does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
import stat
import threading
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.outlook_smtp import sent_log
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Problem
from custom_components.outlook_smtp.outbox.events import Delivery, Event
from custom_components.outlook_smtp.sent_log import GRAIN

from .conftest import ADDRESS
from .fake_microsoft import FakeServer, Script, Step
from .helpers import (
    ANNA,
    BERT,
    act,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    state_of,
    until_empty,
)
from .promises import FIRST_DELAY, JITTER

OUTBOX = "sensor.me_outlook_com_outbox"
FAILED = "sensor.me_outlook_com_failed"
LAST_SENT = "sensor.me_outlook_com_last_sent"
STATUS = "sensor.me_outlook_com_status"
SENT = "sensor.me_outlook_com_sent_in_the_last_24_hours"
RESPONSE_TIME = "sensor.me_outlook_com_response_time"

EARLIER = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFUSED = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})


def stored_time(value: Any) -> dict[str, Any]:
    """Return what Home Assistant stores for a sensor with a value."""
    return {"native_value": value, "native_unit_of_measurement": None}


async def test_outbox_counts_waiting_messages(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It follows the messages, and shows their size."""
    assert state_of(hass, OUTBOX).state == "0"
    # A unit has no singular: it would say "1 messages".
    assert "unit_of_measurement" not in state_of(hass, OUTBOX).attributes
    fake_server.stop()
    await defer(account, outgoing("First"), outgoing("Second", text="word " * 60_000))
    assert state_of(hass, OUTBOX).state == "2"
    attributes = state_of(hass, OUTBOX).attributes
    assert attributes["size"] == pytest.approx(0.4, abs=0.05)
    assert attributes["failed"] == 0
    wait = datetime.fromisoformat(attributes["next_try"]) - dt_util.utcnow()
    assert timedelta(seconds=FIRST_DELAY * (1 - JITTER) - 2) <= wait
    assert wait <= timedelta(seconds=FIRST_DELAY * (1 + JITTER) + 1)
    fake_server.start()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert state_of(hass, OUTBOX).state == "0"
    assert state_of(hass, OUTBOX).attributes["size"] == 0
    assert "next_try" not in state_of(hass, OUTBOX).attributes


async def test_outbox_counts_failed_messages(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A refused message does not wait, and is kept."""
    fake_server.script_next(REFUSED)
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    assert state_of(hass, OUTBOX).state == "0"
    assert state_of(hass, OUTBOX).attributes["failed"] == 1
    assert state_of(hass, FAILED).state == "1"
    assert "unit_of_measurement" not in state_of(hass, FAILED).attributes
    assert state_of(hass, FAILED).attributes["rejected"] == 0
    (failed,) = mailer_of(account).queue.failed
    await act(hass, "cancel_message", id=failed.failure.spooled.id)
    assert state_of(hass, OUTBOX).attributes["failed"] == 0
    assert state_of(hass, FAILED).state == "0"


async def test_last_sent_is_the_time_of_the_last_accepted_email(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A refused or queued message does not count, and a reload keeps the value."""
    assert state_of(hass, LAST_SENT).state == STATE_UNKNOWN
    sent_at = dt_util.utcnow().replace(microsecond=0).isoformat()
    await mailer_of(account).send(outgoing())
    assert state_of(hass, LAST_SENT).state == sent_at
    freezer.tick(timedelta(minutes=1))
    fake_server.script = REFUSED
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    fake_server.stop()
    await defer(account)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert state_of(hass, LAST_SENT).state == sent_at


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (
            {"__type": "<class 'datetime.datetime'>", "isoformat": EARLIER.isoformat()},
            EARLIER.isoformat(),
        ),
        ("yesterday", STATE_UNKNOWN),
    ],
)
async def test_last_sent_survives_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, value: Any, state: str
) -> None:
    """The time from before the restart is shown; an invalid value is not."""
    mock_restore_cache_with_extra_data(
        hass, [(State(LAST_SENT, EARLIER.isoformat()), stored_time(value))]
    )
    await settle(hass, entry)
    assert state_of(hass, LAST_SENT).state == state


async def test_status_names_the_problem(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is OK, the key of the problem, or that a temporary one is being retried."""
    fake_server.stop()
    await settle(hass, entry)
    assert state_of(hass, STATUS).state == "retrying"
    fake_server.start()
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, STATUS).state == "ok"
    fake_server.mailboxes[ADDRESS].password = "changed"
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, STATUS).state == "invalid_credentials"


@pytest.mark.usefixtures("account")
async def test_every_status_has_a_text(hass: HomeAssistant) -> None:
    """Every problem has its own key and text."""
    options = state_of(hass, STATUS).attributes["options"]
    assert options == ["ok", "retrying", *(problem.value for problem in Problem)]
    texts = await async_get_translations(hass, "en", "entity", [DOMAIN])
    prefix = f"component.{DOMAIN}.entity.sensor.status.state."
    translated = {key.removeprefix(prefix): text for key, text in texts.items() if prefix in key}
    assert set(translated) == set(options)
    assert all(translated.values())


async def test_recipients_of_a_day_are_counted(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Only accepted recipients count, each for a day."""
    assert state_of(hass, SENT).state == "0"
    await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    assert state_of(hass, SENT).state == "2"
    assert "unit_of_measurement" not in state_of(hass, SENT).attributes
    await pass_time(hass, freezer, hours=20)
    fake_server.script = Script(refuse_recipients={BERT: "550 5.1.1 Unknown"})
    await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    assert state_of(hass, SENT).state == "3"
    await pass_time(hass, freezer, hours=4, seconds=2 * GRAIN)
    assert state_of(hass, SENT).state == "1"
    await pass_time(hass, freezer, days=1)
    assert state_of(hass, SENT).state == "0"


async def test_count_of_a_day_survives_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """Earlier counts are kept across a restart or reload until they are too old."""
    grain = int(dt_util.utcnow().timestamp()) // GRAIN
    counts = {str(grain - 1): 7, str(grain - 200): 4}
    mock_restore_cache_with_extra_data(hass, [(State(SENT, "11"), {"counts": counts})])
    await settle(hass, entry)
    assert state_of(hass, SENT).state == "7"
    await mailer_of(entry).send(outgoing())
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert state_of(hass, SENT).state == "8"
    await pass_time(hass, freezer, days=1, seconds=2 * GRAIN)
    assert state_of(hass, SENT).state == "0"


async def test_kill_loses_neither_the_count_nor_the_time(
    hass: HomeAssistant, account: MockConfigEntry, storage: Path, freezer: FrozenDateTimeFactory
) -> None:
    """Both are on disk right after the email, whatever Home Assistant itself has stored by then."""
    sent_at = dt_util.utcnow().replace(microsecond=0).isoformat()
    await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    await hass.async_block_till_done()
    file = storage / f"{DOMAIN}.{account.entry_id}.sent"
    on_disk = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await mailer_of(account).send(outgoing("Door", ANNA))
    assert await hass.config_entries.async_unload(account.entry_id)
    file.write_bytes(on_disk)  # As it was when the process was killed.
    mock_restore_cache_with_extra_data(
        hass, [(State(LAST_SENT, EARLIER.isoformat()), stored_time(None)), (State(SENT, "0"), {})]
    )
    freezer.tick(timedelta(minutes=20))
    await settle(hass, account)
    assert state_of(hass, SENT).state == "2"
    assert state_of(hass, LAST_SENT).state == sent_at
    assert await hass.config_entries.async_remove(account.entry_id)
    assert not file.exists()


async def test_burst_is_written_in_few_steps(
    hass: HomeAssistant, account: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emails sent while the file is written are included in the next write."""
    written: list[dict[str, Any]] = []
    is_over = threading.Event()

    def write(_: Path, values: dict[str, Any], *, is_durable: bool) -> None:
        """Take until the end of the burst; a count is not worth a sync for every message."""
        assert not is_durable
        written.append(values)
        is_over.wait(10)

    monkeypatch.setattr(sent_log, "write_json", write)
    log = account.runtime_data.sent
    for _ in range(100):
        log.async_on_turn(
            Delivery(event=Event.SENT, id="1", message_id="<1@example.com>", recipients=(ANNA,))
        )
    is_over.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(written) == 2
    assert sum(written[-1]["counts"].values()) == 100
    assert state_of(hass, SENT).state == "100"


async def test_unwritable_disk_is_logged(
    hass: HomeAssistant, account: MockConfigEntry, storage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The numbers are right until the next start, and mail continues."""
    (storage / f"{DOMAIN}.{account.entry_id}.sent").mkdir()
    await mailer_of(account).send(outgoing())
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, SENT).state == "1"
    assert "The log of sent mail cannot be saved: Is a directory" in caplog.text


@pytest.mark.parametrize(
    ("kind", "limit"), [("personal", 5_000), ("work", 10_000), ("other", None)]
)
async def test_daily_limit_depends_on_the_kind_of_account(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, limit: int | None
) -> None:
    """Microsoft's limits are shown next to the count; those of other servers are unknown."""
    data = dict(entry.data) | {"account_kind": kind}
    hass.config_entries.async_update_entry(entry, data=data)
    await settle(hass, entry)
    assert state_of(hass, SENT).attributes.get("daily_limit") == limit


async def test_response_time_can_be_enabled(
    hass: HomeAssistant, account: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """It is disabled by default, and shows seconds once enabled."""
    registered = entity_registry.async_get(RESPONSE_TIME)
    assert registered
    assert registered.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert hass.states.get(RESPONSE_TIME) is None
    entity_registry.async_update_entity(RESPONSE_TIME, disabled_by=None)
    assert await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert 0 < float(state_of(hass, RESPONSE_TIME).state) < 5
    assert state_of(hass, RESPONSE_TIME).attributes["unit_of_measurement"] == "s"


async def test_sensors_are_available_without_the_server(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Reporting an unreachable server is their purpose."""
    fake_server.stop()
    await defer(account)
    await pass_time(hass, freezer, seconds=61)
    await pass_time(hass, freezer, minutes=31)
    assert state_of(hass, STATUS).state == "connection_refused"
    states = [state_of(hass, sensor).state for sensor in (OUTBOX, LAST_SENT, SENT)]
    assert states == ["1", STATE_UNKNOWN, "0"]
    assert STATE_UNAVAILABLE not in {state.state for state in hass.states.async_all()}
