"""Faults at startup, while clock and network are not ready, are not the account's."""

from collections.abc import Callable
import time
from types import SimpleNamespace

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import clock

from .conftest import until
from .fake_microsoft import Certificate, FakeServer, Script, Step
from .helpers import defer, mailer_of, outgoing, pass_time, settle, state_of
from .repair_helpers import find_issue, placeholders, raised

SENSOR = "binary_sensor.me_outlook_com_connection"
DAY = 86_400.0

type Break = Callable[[FakeServer], None]

PORTAL: dict[str, Break] = {
    "not_smtp": lambda server: setattr(
        server, "script", Script(replies={Step.GREETING: "HTTP/1.1 400 Bad Request"})
    ),
    "starttls_not_offered": lambda server: setattr(server, "script", Script(offer_starttls=False)),
    "certificate_wrong_host": lambda server: server.show(Certificate.WRONG_HOST),
    "certificate_untrusted": lambda server: server.show(Certificate.UNTRUSTED),
    "certificate_expired": lambda server: server.show(Certificate.EXPIRED),
}


def repair_server(server: FakeServer) -> None:
    """Let the server behave normally again."""
    server.script = Script()
    server.show(Certificate.VALID)


@pytest.fixture
def states(hass: HomeAssistant) -> list[str]:
    """Return the states of the connection sensor from now on."""
    seen: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        assert event.data["new_state"]
        if event.data["new_state"].state not in seen[-1:]:
            seen.append(event.data["new_state"].state)

    async_track_state_change_event(hass, SENSOR, note)
    return seen


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the clock by a number of seconds."""
    offset = 0.0
    shown = SimpleNamespace(time=lambda: time.time() + offset, monotonic=time.monotonic)
    monkeypatch.setattr(clock, "time", shown)

    def set_clock(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    return set_clock


@pytest.mark.parametrize("seconds", [2 * DAY, -2 * DAY, 2.0])
async def test_mail_is_sent_a_second_after_the_clock_is_set(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    states: list[str],
    *,
    jump: Callable[[float], None],
    seconds: float,
) -> None:
    """Nothing is held or raised, and the sensor changes from unknown to on."""
    fake_server.show(Certificate.NOT_YET_VALID)
    await settle(hass, entry)
    [receipt] = await defer(entry)
    assert receipt.problem == "clock_wrong"
    assert mailer_of(entry).worker.hold is None
    fake_server.show(Certificate.VALID)
    connections = fake_server.connections
    await pass_time(hass, freezer, seconds=1.1)
    assert fake_server.connections == connections  # No check runs without a reason.
    jump(seconds)
    await pass_time(hass, freezer, seconds=1.1)
    await until(lambda: len(fake_server.received) == 1)
    assert states == [STATE_UNKNOWN, STATE_ON]
    assert raised(hass) == []


async def test_unannounced_clock_change_is_noticed_within_seconds(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The account is checked every five seconds, with or without mail."""
    fake_server.show(Certificate.NOT_YET_VALID)
    await settle(hass, entry)
    for looks in range(1, 4):
        assert fake_server.connections == looks
        await pass_time(hass, freezer, seconds=5.1)
    fake_server.show(Certificate.VALID)
    await pass_time(hass, freezer, seconds=5.1)
    assert state_of(hass, SENSOR).state == STATE_ON


async def test_wrong_clock_raises_an_issue_after_a_minute(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    jump: Callable[[float], None],
) -> None:
    """The repair issue names the clock; then the sensor only waits for the clock."""
    fake_server.show(Certificate.NOT_YET_VALID)
    await settle(hass, entry)
    for _ in range(11):
        assert raised(hass) == []
        assert state_of(hass, SENSOR).state == STATE_UNKNOWN
        await pass_time(hass, freezer, seconds=5.1)
    await pass_time(hass, freezer, seconds=5.1)
    assert state_of(hass, SENSOR).state == STATE_OFF
    assert state_of(hass, SENSOR).attributes["problem"] == "clock_wrong"
    texts = placeholders(find_issue(hass, "setup_problem", entry))
    assert "this machine's clock" in texts["explanation"]
    fake_server.show(Certificate.VALID)
    jump(DAY)
    await pass_time(hass, freezer, seconds=1.1)
    assert state_of(hass, SENSOR).state == STATE_ON
    assert raised(hass) == []


async def test_clock_in_the_future_is_noticed_when_it_is_set(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    jump: Callable[[float], None],
) -> None:
    """An expired certificate may be the clock's fault, too: held mail does not wait for it."""
    await pass_time(hass, freezer, seconds=61)
    fake_server.show(Certificate.EXPIRED)
    await defer(account)
    assert mailer_of(account).worker.hold
    fake_server.show(Certificate.VALID)
    jump(-20 * 365 * DAY)
    await pass_time(hass, freezer, seconds=1.1)
    await until(lambda: len(fake_server.received) == 1)


async def test_unloading_stops_the_clock_watch(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    jump: Callable[[float], None],
) -> None:
    """An unloaded account checks nothing."""
    fake_server.show(Certificate.NOT_YET_VALID)
    await settle(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    connections = fake_server.connections
    jump(DAY)
    await pass_time(hass, freezer, minutes=31)
    assert fake_server.connections == connections


@pytest.mark.parametrize("problem", PORTAL)
async def test_portal_in_the_first_minute_is_checked_again(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    *,
    states: list[str],
    problem: str,
) -> None:
    """A fault that is over five seconds later never shows, and mail waits no longer than that."""
    PORTAL[problem](fake_server)
    await settle(hass, entry)
    [receipt] = await defer(entry)
    assert receipt.problem == problem
    repair_server(fake_server)
    await pass_time(hass, freezer, seconds=5.1)
    await until(lambda: len(fake_server.received) == 1)
    await mailer_of(entry).send(outgoing("Again"))
    assert states == [STATE_UNKNOWN, STATE_ON]
    assert raised(hass) == []


@pytest.mark.parametrize("problem", PORTAL)
async def test_lasting_portal_counts_at_the_second_check(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    problem: str,
) -> None:
    """Five seconds after the first check, a person is needed, and all mail is held."""
    PORTAL[problem](fake_server)
    await settle(hass, entry)
    assert state_of(hass, SENSOR).state == STATE_UNKNOWN
    await pass_time(hass, freezer, seconds=5.1)
    assert state_of(hass, SENSOR).attributes["problem"] == problem
    assert state_of(hass, SENSOR).state == STATE_OFF
    assert raised(hass) == ["setup_problem"]
    assert mailer_of(entry).worker.hold


async def test_portal_after_the_first_minute_counts_at_once(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Then the server itself was changed."""
    await pass_time(hass, freezer, seconds=61)
    PORTAL["not_smtp"](fake_server)
    await account.runtime_data.coordinator.async_refresh()
    assert state_of(hass, SENSOR).state == STATE_OFF
    assert raised(hass) == ["setup_problem"]
