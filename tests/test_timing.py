"""Emails that expire, are delayed, wait for their time or are held back, on both routes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED, STATE_OFF, STATE_ON
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import ADDRESS, until
from .fake_microsoft import FakeGraph, FakeServer, Received
from .helpers import (
    ANNA,
    act,
    ask,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    shut_down,
    state_of,
    until_empty,
)

DELIVERY = "event.me_outlook_com_delivery"
OUTBOX = "sensor.me_outlook_com_outbox"
HOLD = "switch.me_outlook_com_hold_email"
LEGACY = "notify.me_outlook_com"
MAIL = {"to": ANNA, "title": "Door", "message": "Somebody rang"}


class Route:
    """An account that is set up on one of the routes, and its server."""

    def __init__(
        self, hass: HomeAssistant, entry: MockConfigEntry, server: FakeServer | FakeGraph
    ) -> None:
        """Follow the events of the account."""
        self.entry = entry
        self.server = server
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self._times: set[str] = set()
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note)

    @callback
    def _note(self, event: Event[EventStateChangedData]) -> None:
        """Store an event."""
        state = event.data["new_state"]
        # After a restart, the state is that of the last event again.
        if event.data["entity_id"] == DELIVERY and state and state.state not in self._times:
            self._times.add(state.state)
            if event_type := state.attributes.get("event_type"):
                self.events.append((event_type, state.attributes))

    @property
    def event_types(self) -> list[str]:
        """Return the types of all events."""
        return [event_type for event_type, _ in self.events]

    @property
    def titles(self) -> list[str]:
        """Return the titles of the messages that the server received."""
        received: list[Received] = self.server.received
        return [str(mail.message["Subject"]) for mail in received]


@pytest.fixture(params=["smtp", "graph"])
def route(request: pytest.FixtureRequest, hass: HomeAssistant) -> Route:
    """Return an account on each of the routes."""
    if request.param == "smtp":
        entry = request.getfixturevalue("account")
        return Route(hass, entry, request.getfixturevalue("fake_server"))
    entry = request.getfixturevalue("graph_account")
    return Route(hass, entry, request.getfixturevalue("graph"))


async def test_old_news_expires_and_delays_are_reported(
    hass: HomeAssistant, route: Route, freezer: FrozenDateTimeFactory
) -> None:
    """The field comes before the option for urgent mail; both are read when they are needed."""
    route.server.stop()
    for title, fields in (
        ("Short", {"expires_after": {"minutes": 20}}),
        ("Urgent", {"priority": "highest"}),
        ("Usual", {}),
    ):
        answer = await ask(hass, "send_message", **MAIL | {"title": title} | fields)
        assert answer["status"] == "queued"
    hass.config_entries.async_update_entry(route.entry, options={"urgent_lifetime": 30})
    await hass.async_block_till_done(wait_background_tasks=True)
    route.events.clear()
    await pass_time(hass, freezer, minutes=14)
    assert route.event_types == []
    await pass_time(hass, freezer, minutes=2)
    assert route.event_types == ["delayed"] * 3
    assert route.events[0][1]["recipients"] == [ANNA]
    assert route.events[0][1]["problem"]
    assert state_of(hass, OUTBOX).attributes["delayed"] == 3
    assert [each["delayed"] for each in (await ask(hass, "list_outbox"))["waiting"]] == [True] * 3
    for minutes, waiting, count in ((3.8, 3, 0), (0.3, 2, 1), (9.8, 2, 1), (0.3, 1, 2)):
        await pass_time(hass, freezer, minutes=minutes)
        await until(lambda count=count: len(route.events) == 3 + count)  # type: ignore[misc]
        assert route.event_types[3:] == ["expired"] * count
        assert len(mailer_of(route.entry).queue.waiting) == waiting
    assert state_of(hass, OUTBOX).attributes["delayed"] == 1
    route.server.start()
    await act(hass, "flush_outbox")
    await until_empty(route.entry)
    await hass.async_block_till_done()
    assert route.titles == ["Usual"]
    assert route.event_types[3:] == ["expired", "expired", "sent"]


@pytest.mark.parametrize("minutes", [1, 60])
async def test_delay_is_an_option(
    hass: HomeAssistant, route: Route, freezer: FrozenDateTimeFactory, minutes: int
) -> None:
    """After a restart, the same email is not reported again."""
    hass.config_entries.async_update_entry(route.entry, options={"delayed_after": minutes})
    await hass.async_block_till_done(wait_background_tasks=True)
    route.server.stop()
    await defer(route.entry)
    route.events.clear()
    await pass_time(hass, freezer, minutes=minutes - 0.5)
    assert route.event_types == []
    await pass_time(hass, freezer, minutes=1)
    assert route.event_types == ["delayed"]
    await shut_down(hass, route.entry)
    await settle(hass, route.entry)
    await pass_time(hass, freezer, minutes=2 * minutes)
    assert route.event_types.count("delayed") == 1
    assert state_of(hass, OUTBOX).attributes["delayed"] == 1


async def test_email_is_sent_at_its_time(
    hass: HomeAssistant, route: Route, freezer: FrozenDateTimeFactory
) -> None:
    """From the action and from notify.<account>, also over a restart; until then it is queued."""
    later = (dt_util.now() + timedelta(hours=2)).isoformat()
    answer = await ask(hass, "send_message", **MAIL, send_at=later)
    assert answer["status"] == "queued"
    data = {"send_at": later, "expires_after": 60, "deduplicate": 5}
    legacy = {"target": ANNA, "title": "Old", "message": "Hi", "data": data}
    await hass.services.async_call("notify", "me_outlook_com", legacy, blocking=True)
    listed = (await ask(hass, "list_outbox"))["waiting"]
    assert [datetime.fromisoformat(each["send_at"]) for each in listed] == [
        datetime.fromisoformat(later)
    ] * 2
    assert [each["next_try"] for each in listed] == [None, None]
    await act(hass, "flush_outbox")
    await pass_time(hass, freezer, hours=1)
    await shut_down(hass, route.entry)
    await settle(hass, route.entry)
    await pass_time(hass, freezer, minutes=58)
    assert route.titles == []
    await pass_time(hass, freezer, minutes=3)
    await until_empty(route.entry)
    assert route.titles == ["Door", "Old"]


async def test_switch_holds_the_outbox(
    hass: HomeAssistant, route: Route, freezer: FrozenDateTimeFactory
) -> None:
    """Over a restart, and against a flush, which says so; then all is sent in order."""

    async def turn(state: str) -> None:
        """Turn the switch."""
        action = f"turn_{state}"
        await hass.services.async_call("switch", action, {"entity_id": HOLD}, blocking=True)
        assert state_of(hass, HOLD).state == state

    assert state_of(hass, HOLD).state == STATE_OFF
    await turn("on")
    for title in ("First", "Second"):
        answer = await ask(hass, "send_message", **MAIL | {"title": title})
        assert (answer["status"], answer["problem"]) == ("queued", None)
    assert (await ask(hass, "list_outbox"))["held"] is True
    with pytest.raises(HomeAssistantError) as refused:
        await act(hass, "flush_outbox")
    assert refused.value.translation_key == "outbox_held"
    assert await hass.config_entries.async_reload(route.entry.entry_id)
    await shut_down(hass, route.entry)
    await settle(hass, route.entry)
    await pass_time(hass, freezer, hours=1)
    assert state_of(hass, HOLD).state == STATE_ON
    assert route.titles == []
    await turn("off")
    await until_empty(route.entry)
    assert route.titles == ["First", "Second"]
    assert "held" not in await ask(hass, "list_outbox")
    assert mailer_of(route.entry).address == ADDRESS
    await mailer_of(route.entry).send(outgoing("Third"))
    assert route.titles == ["First", "Second", "Third"]
