"""The connection sensor reflects the state of the account, without false alarms."""

from collections.abc import Awaitable, Callable
from functools import partial
import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import (
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN

from . import helpers
from .conftest import ADDRESS, until
from .fake_microsoft import CATALOGUE, FakeServer, Script, Step
from .promises import CHECKS_A_MINUTE, RECOVERED

STATUS = "sensor.me_outlook_com_status"
SENSOR = "binary_sensor.me_outlook_com_connection"
BUSY = Script(replies={Step.GREETING: "451 4.7.500 Server busy. Please try again later"})

type Pass = Callable[..., Awaitable[None]]


@pytest.fixture
def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> Pass:
    """Return a function that lets time pass, and waits for what happens then."""
    return partial(helpers.pass_time, hass, freezer)


def connection(hass: HomeAssistant) -> State:
    """Return the state of the connection sensor."""
    state = hass.states.get(SENSOR)
    assert state
    return state


async def send(hass: HomeAssistant) -> None:
    """Send an email to oneself."""
    await hass.services.async_call(
        "notify",
        "send_message",
        {"entity_id": "notify.me_outlook_com", "message": "Hello"},
        blocking=True,
    )


async def test_sensor_is_on_after_the_first_check(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A working account shows as connected, without a problem."""
    state = connection(hass)
    assert state.state == STATE_ON
    assert state.attributes["problem"] == "none"
    assert state.attributes["server_reply"] is None
    assert state.attributes["since"] == state.attributes["last_success"] is not None
    assert fake_server.connections == 1
    assert fake_server.received == []


async def test_refusal_turns_the_sensor_off_at_once_and_recovery_on(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    pass_time: Pass,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The sensor shows the problem and the server's reply; the log has one line each way."""
    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    healthy = connection(hass)
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    await pass_time(minutes=31)
    state = connection(hass)
    assert state.state == STATE_OFF
    assert state.attributes["problem"] == "smtp_disabled_tenant"
    assert row.reply.startswith(state.attributes["server_reply"])
    assert "PROD.OUTLOOK.COM" not in state.attributes["server_reply"]
    assert state.attributes["since"] > healthy.attributes["since"]
    assert state.attributes["last_success"] == healthy.attributes["last_success"]

    await pass_time(minutes=31)
    assert connection(hass).attributes["since"] == state.attributes["since"]
    fake_server.mailboxes[ADDRESS].script = Script()
    await pass_time(minutes=31)
    assert connection(hass).state == STATE_ON
    assert connection(hass).attributes["problem"] == "none"

    ours = [
        record
        for record in caplog.records
        if "outlook_smtp" in record.name and record.levelno >= logging.INFO
    ]
    assert [record.levelname for record in ours] == ["INFO", "INFO"]
    assert not hass.config_entries.flow.async_progress()


async def test_stopped_server_turns_the_sensor_off_and_a_started_one_on(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A server must be down for a minute; until then, nothing claims that it can be reached."""
    fake_server.stop()
    await pass_time(minutes=31)
    assert connection(hass).state == STATE_UNKNOWN
    assert hass.states.is_state(STATUS, "retrying")
    for _ in range(2):
        assert connection(hass).attributes["problem"] == "connection_refused"
        assert connection(hass).attributes["server_reply"] is None
        await pass_time(seconds=61)
        assert connection(hass).state == STATE_OFF
        assert hass.states.is_state(STATUS, "connection_refused")
    fake_server.start()
    await pass_time(seconds=61)
    assert connection(hass).state == STATE_ON
    assert hass.states.is_state(STATUS, "ok")


async def test_idle_account_shows_soon_that_its_server_is_back(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """It is checked often, but not more often than promised, however long the server is away."""
    coordinator = account.runtime_data.coordinator
    fake_server.stop()
    await pass_time(minutes=31)
    await pass_time(seconds=61)
    coordinator.attempts.clear()
    for _ in range(60):
        await pass_time(seconds=10)
    assert 10 <= len(coordinator.attempts) <= 10 * CHECKS_A_MINUTE
    fake_server.start()
    waited = 0.0
    while connection(hass).state != STATE_ON:
        await pass_time(seconds=5)
        waited += 5
        assert waited <= RECOVERED
    assert hass.states.is_state(STATUS, "ok")


async def test_busy_server_is_not_away(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """It can be reached, so only the status shows that it is retried; it is checked less often."""
    fake_server.script = BUSY
    await pass_time(minutes=31)
    assert (connection(hass).state, connection(hass).attributes["problem"]) == (STATE_ON, "none")
    assert hass.states.is_state(STATUS, "retrying")
    await pass_time(seconds=61)
    assert hass.states.is_state(STATUS, "server_busy")
    connections = fake_server.connections
    await pass_time(minutes=4)
    assert fake_server.connections == connections


@pytest.mark.parametrize("script", [Script(), BUSY])
async def test_new_mail_shows_at_once_what_the_server_does(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    pass_time: Pass,
    script: Script,
) -> None:
    """It is tried immediately, whatever the back-off, and so is what waits."""
    fake_server.stop()
    await send(hass)
    await pass_time(seconds=61)
    assert connection(hass).state == STATE_OFF
    fake_server.script = script
    fake_server.start()
    await send(hass)
    if script is BUSY:
        assert hass.states.is_state(STATUS, "server_busy")
        return
    assert connection(hass).state == STATE_ON
    await until(lambda: len(fake_server.received) == 2)


async def test_temporary_fault_does_not_show(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A fault that is gone a minute later never reaches the sensor."""
    states = set[str]()

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        assert event.data["new_state"]
        states.add(event.data["new_state"].state)

    async_track_state_change_event(hass, SENSOR, note)
    fake_server.script_next(BUSY)
    await pass_time(minutes=31)
    await pass_time(seconds=61)
    assert fake_server.connections == 3
    assert states == {STATE_ON}


async def test_temporary_faults_within_a_minute_count_once(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A burst of failed emails is no repetition; the check after a minute is."""
    fake_server.script = BUSY
    for _ in range(3):
        await send(hass)
    assert connection(hass).state == STATE_ON
    await pass_time(seconds=61)
    await until(lambda: hass.states.is_state(SENSOR, STATE_OFF))
    assert connection(hass).state == STATE_OFF
    assert connection(hass).attributes["problem"] == "server_busy"


async def test_submission_updates_the_sensor_and_postpones_the_check(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A sent email counts as a check."""
    fake_server.stop()
    await pass_time(minutes=31)
    await pass_time(seconds=61)
    assert connection(hass).state == STATE_OFF
    fake_server.start()
    await send(hass)
    assert connection(hass).state == STATE_ON
    connections = fake_server.connections
    await pass_time(minutes=29)
    assert fake_server.connections == connections
    await pass_time(minutes=2)
    assert fake_server.connections == connections + 1


async def test_refused_credentials_start_reauthentication(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A changed password starts one reauthentication, however often it is refused."""
    fake_server.mailboxes[ADDRESS].password = "changed"
    await send(hass)
    await pass_time(minutes=31)
    await send(hass)
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert [flow["context"]["source"] for flow in flows] == [SOURCE_REAUTH]
    assert connection(hass).attributes["problem"] == "invalid_credentials"


async def test_recovery_ends_reauthentication(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A successful check lets the email go; the reauthentication is no longer needed and ends."""
    fake_server.mailboxes[ADDRESS].password = "changed"
    await send(hass)
    await hass.async_block_till_done()
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    fake_server.mailboxes[ADDRESS].password = "right-password"
    await account.runtime_data.coordinator.async_check_now()
    assert connection(hass).state == STATE_ON
    await until(lambda: len(fake_server.received) == 1)
    assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)


async def test_refused_message_does_not_affect_the_sensor(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The server that refuses one message works and is reachable."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await send(hass)
    assert connection(hass).state == STATE_ON


async def test_deferred_recipient_does_not_affect_the_sensor(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """However often it happens: the server accepts mail for others."""
    fake_server.mailboxes[ADDRESS].script = Script(
        refuse_recipients={ADDRESS: "450 4.2.1 The mailbox is busy"}
    )
    await send(hass)
    [item] = account.runtime_data.queue.waiting
    for tries in range(1, 5):
        await until(lambda tries=tries: item.deferrals == tries)  # type: ignore[misc]
        assert connection(hass).state == STATE_ON
        assert connection(hass).attributes["problem"] == "none"
        await pass_time(minutes=31)
    assert item.fault.problem == "try_again_later"
    assert fake_server.received == []


async def test_deferred_recipient_does_not_turn_the_sensor_on(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """After a server was busy, only an accepted email turns the sensor on."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.MAIL: "451 4.7.500 Server busy"})
    await send(hass)
    await pass_time(seconds=62)
    await until(lambda: connection(hass).state == STATE_OFF)
    fake_server.mailboxes[ADDRESS].script = Script(refuse_recipients={ADDRESS: "450 4.2.1 Busy"})
    await pass_time(minutes=2)
    [item] = account.runtime_data.queue.waiting
    await until(lambda: item.fault.problem == "try_again_later")
    assert connection(hass).state == STATE_OFF
    fake_server.mailboxes[ADDRESS].script = Script()
    await pass_time(minutes=2)
    await until(lambda: hass.states.is_state(SENSOR, STATE_ON))
    assert len(fake_server.received) == 1


@pytest.mark.parametrize(
    ("replies", "problem", "held"),
    [
        ({Step.FINAL: "554 5.2.0 Actual verdict is Suspend"}, "suspended", {"hours": 1}),
        ({Step.RCPT: "550 5.1.90 You reached your daily limit"}, "daily_limit", {"days": 1}),
        ({Step.MAIL: "451 4.7.500 Server busy"}, "server_busy", {"seconds": 62}),
    ],
)
async def test_account_that_can_only_sign_in_stays_off(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    pass_time: Pass,
    *,
    replies: dict[Step, str],
    problem: str,
    held: dict[str, float],
) -> None:
    """While mail waits, a check proves nothing; the next attempt of a message does."""
    fake_server.mailboxes[ADDRESS].script = Script(replies=replies)
    await send(hass)
    await pass_time(seconds=62)
    await until(lambda: connection(hass).attributes["problem"] == problem)
    assert connection(hass).state == STATE_OFF
    if problem != "server_busy":
        fake_server.mailboxes[ADDRESS].script = Script()
        await pass_time(minutes=31)
    await account.runtime_data.coordinator.async_refresh()
    assert connection(hass).state == STATE_OFF
    assert fake_server.received == []
    fake_server.mailboxes[ADDRESS].script = Script()
    await pass_time(**held)
    await until(lambda: hass.states.is_state(SENSOR, STATE_ON))
    assert len(fake_server.received) == 1


async def test_quota_shows_again_after_the_sign_in_is_fixed(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A password change in between does not make the account look healthy."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.RCPT: "550 5.1.90 Daily limit"})
    await send(hass)
    assert connection(hass).attributes["problem"] == "daily_limit"
    fake_server.mailboxes[ADDRESS].password = "changed"
    await pass_time(minutes=31)
    assert connection(hass).attributes["problem"] == "invalid_credentials"
    fake_server.mailboxes[ADDRESS].password = "right-password"
    await account.runtime_data.coordinator.async_check_now()
    assert connection(hass).attributes["problem"] == "daily_limit"
    assert connection(hass).state == STATE_OFF


async def test_checks_count_again_after_mail_has_expired(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """When nothing waits anymore and the hold is over, a successful sign-in is enough."""
    fake_server.mailboxes[ADDRESS].script = Script(
        replies={Step.FINAL: "554 5.2.0 Actual verdict is Suspend"}
    )
    await send(hass)
    (item,) = account.runtime_data.queue.waiting
    await until(lambda: not account.runtime_data.queue.under_way)
    await account.runtime_data.queue.cancel(item.spooled.id)
    await pass_time(minutes=31)
    assert connection(hass).state == STATE_OFF
    await pass_time(minutes=31)
    assert connection(hass).state == STATE_ON


async def test_account_is_set_up_without_its_server(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """With the server down, the notify entities exist, mail is kept, and health follows."""
    fake_server.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert connection(hass).state == STATE_UNKNOWN
    assert hass.services.has_service("notify", "me_outlook_com")
    await send(hass)
    await pass_time(seconds=61)
    await until(lambda: hass.states.is_state(SENSOR, STATE_OFF))
    fake_server.start()
    await send(hass)
    assert connection(hass).state == STATE_ON
    assert len(fake_server.received) == 2


async def test_held_mail_does_not_depend_on_polling(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """With polling disabled, waiting mail is still sent when the account works again."""
    hass.config_entries.async_update_entry(account, pref_disable_polling=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    await send(hass)
    fake_server.mailboxes[ADDRESS].script = Script()
    await pass_time(minutes=31)
    await until(lambda: len(fake_server.received) == 1)
    connections = fake_server.connections
    await pass_time(minutes=31)
    assert fake_server.connections == connections


async def test_checks_continue_without_the_sensor(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    pass_time: Pass,
    entity_registry: er.EntityRegistry,
) -> None:
    """A disabled sensor does not let the sign-in lapse."""
    entity_registry.async_update_entity(SENSOR, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.get(SENSOR) is None
    connections = fake_server.connections
    await pass_time(minutes=31)
    assert fake_server.connections == connections + 1


async def test_unloading_ends_all_checks(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, pass_time: Pass
) -> None:
    """A scheduled second check does not outlive its account."""
    fake_server.script = BUSY
    await pass_time(minutes=31)
    assert await hass.config_entries.async_unload(account.entry_id)
    connections = fake_server.connections
    await pass_time(minutes=31)
    assert fake_server.connections == connections
    assert connection(hass).state == STATE_UNAVAILABLE
