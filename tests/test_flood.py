"""Duplicates are sent once, and an automation that sends without end is braked and named."""

import asyncio
from collections.abc import Callable
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import DOMAIN

from .conftest import until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import (
    ANNA,
    BERT,
    act,
    ask,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    shut_down,
    state_of,
    titles,
    until_empty,
    waiting_files,
)
from .promises import FLOOD_LIMIT, FLOOD_WINDOW
from .repair_helpers import Repair, find_issue, placeholders, raised

DELIVERY = "event.me_outlook_com_delivery"
OUTBOX = "sensor.me_outlook_com_outbox"
MAIL = {"to": ANNA, "title": "Door", "message": "Somebody rang"}
SEND = {"action": "outlook_smtp.send_message", "data": MAIL}
LEGACY = {"action": "notify.me_outlook_com", "data": {"message": "Hi"}}
ENTITY = {
    "action": "notify.send_message",
    "target": {"entity_id": "notify.family"},
    "data": {"message": "Hi"},
}


async def send(hass: HomeAssistant, **fields: Any) -> str:
    """Send an email, and return its status, or the key of the error."""
    try:
        answer = await ask(hass, "send_message", **MAIL | fields)
    except HomeAssistantError as error:
        return str(error.translation_key)
    status: str = answer["status"]
    return status


@pytest.fixture
async def small(hass: HomeAssistant, account: MockConfigEntry) -> MockConfigEntry:
    """Return an account that may send four emails in ten minutes."""
    hass.config_entries.async_update_entry(account, options={"flood_limit": 4})
    await hass.async_block_till_done(wait_background_tasks=True)
    return account


# Duplicates


@pytest.mark.usefixtures("no_pace")
async def test_same_email_is_sent_once(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The same recipients, title and text within the time given; the rest differ, or do not ask."""
    first = await ask(hass, "send_message", **MAIL, deduplicate=60)
    assert first["status"] == "sent"
    again = await ask(hass, "send_message", **MAIL | {"to": ANNA.upper()}, deduplicate=60)
    assert again == first | {
        "status": "duplicate",
        "accepted": [],
        "reply": "",
        "server_message_id": None,
    }
    event = state_of(hass, DELIVERY).attributes
    assert (event["event_type"], event["id"], event["recipients"]) == (
        "duplicate",
        first["id"],
        [ANNA],
    )
    told = state_of(hass, DELIVERY).state
    assert await send(hass, deduplicate=60, priority="high") == "duplicate"
    assert state_of(hass, DELIVERY).state == told  # Once for each email.
    for fields in ({"to": BERT}, {"bcc": BERT}, {"title": "Gate"}, {"message": "Two"}, {}):
        freezer.tick(1)
        assert await send(hass, **{"deduplicate": 60} | fields if fields else {}) == "sent"
    assert await send(hass, deduplicate=0) == "sent"
    freezer.tick(60)
    assert await send(hass, deduplicate=60) == "sent"
    await act(hass, "send_message", **MAIL, deduplicate=60)  # Without a response, it is no error.
    assert len(fake_server.received) == 8


async def test_duplicates_from_another_way_and_at_once(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Ten calls at the same time are one email; so are those of notify.<account>."""
    statuses = await asyncio.gather(*(send(hass, deduplicate=60) for _ in range(10)))
    assert sorted(statuses) == [*["duplicate"] * 9, "sent"]
    data = {"message": "Hi", "data": {"deduplicate": {"minutes": 1}}}
    for _ in range(3):
        await hass.services.async_call("notify", "me_outlook_com", data, blocking=True)
    assert len(fake_server.received) == 2
    # A reload does not forget them.
    assert await hass.config_entries.async_reload(account.entry_id)
    assert await send(hass, deduplicate=60) == "duplicate"


async def test_email_that_did_not_go_out_is_no_duplicate(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """What was refused, canceled or did not fit may be sent again; what waits is not doubled."""
    fake_server.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    assert await send(hass, deduplicate=60) == "message_refused"
    limits = mailer_of(account).queue.limits
    mailer_of(account).queue.limits = type(limits)(0, 1)
    assert await send(hass, deduplicate=60) == "outbox_full"
    mailer_of(account).queue.limits = limits
    fake_server.stop()
    assert await send(hass, deduplicate=60) == "queued"
    assert await send(hass, deduplicate=60) == "duplicate"
    await until(lambda: not mailer_of(account).queue.under_way)
    [waiting] = mailer_of(account).queue.waiting
    await act(hass, "cancel_message", id=waiting.spooled.id)
    assert await send(hass, deduplicate=60) == "queued"
    fake_server.start()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert await send(hass, deduplicate=60) == "duplicate"
    assert len(fake_server.received) == 1


async def test_failing_original_lets_a_duplicate_go(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """If two are sent at once and the first cannot be kept, the second is tried."""
    queue = mailer_of(account).queue
    limits = queue.limits
    queue.limits = type(limits)(0, 1)
    first = asyncio.create_task(send(hass, deduplicate=60))
    second = asyncio.create_task(send(hass, deduplicate=60))
    assert await first == "outbox_full"
    queue.limits = limits
    assert await second in ("sent", "outbox_full")  # It may have been tried in between.
    assert len(queue.duplicates._known) == 1
    assert titles(fake_server) == ["Door"][: await second == "sent"]


# The brake


async def test_loop_of_ten_thousand_calls_is_braked(
    hass: HomeAssistant,
    account: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It neither fills the disk nor uses up the account's day, and is reported once."""
    await account.runtime_data.worker.hold_back(is_held=True)
    caplog.clear()
    mailer, mail = mailer_of(account), outgoing()
    keys: list[str | None] = []
    for _ in range(FLOOD_LIMIT):
        await mailer.send(mail)
    for _ in range(10_000 - FLOOD_LIMIT):
        with pytest.raises(HomeAssistantError) as refused:
            await mailer.send(mail)
        keys.append(refused.value.translation_key)
    assert set(keys) == {"too_many_emails"}
    assert refused.value.translation_placeholders == {
        "address": "me@outlook.com",
        "limit": str(FLOOD_LIMIT),
    }
    assert len(waiting_files(hass, account)) == FLOOD_LIMIT
    event = state_of(hass, DELIVERY).attributes
    assert (event["event_type"], event["problem"]) == ("failed", "too_many_emails")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([each for each in warnings if "was asked to send more" in each.message]) == 1
    assert raised(hass) == ["flood"]


async def test_loop_of_invalid_calls_is_reported_a_few_times(
    hass: HomeAssistant,
    small: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Each is an error and counted, but neither the log nor the recorder fills up."""
    caplog.clear()
    for _ in range(30):
        freezer.tick(1)
        assert await send(hass, to="anna") == "missing_at"
        last = state_of(hass, DELIVERY).state
    assert caplog.text.count("was rejected before it reached the outbox") == 4
    mailer_of(small).queue.announce()
    assert state_of(hass, OUTBOX).attributes["failed"] == 30
    freezer.tick(FLOOD_WINDOW)
    assert await send(hass, to="anna") == "missing_at"
    assert state_of(hass, DELIVERY).state != last


async def test_urgent_email_is_exempt_up_to_twice_the_limit(
    hass: HomeAssistant, small: MockConfigEntry, fake_server: FakeServer
) -> None:
    """However many others are refused, and from every caller."""
    fake_server.stop()
    await defer(small, *map(outgoing, "ABCD"))
    for _ in range(20):
        assert await send(hass) == "too_many_emails"
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("notify", "me_outlook_com", {"message": "Hi"}, blocking=True)
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(
            "notify", "send_message", {"entity_id": "notify.family", "message": "Hi"}, blocking=True
        )
    for priority in ("high", "highest", "high", "highest"):
        assert await send(hass, priority=priority) == "queued"
    with pytest.raises(HomeAssistantError) as refused:
        await act(hass, "send_message", **MAIL, priority="high")
    assert refused.value.translation_placeholders
    assert refused.value.translation_placeholders["limit"] == "8"


async def test_brake_lets_go_when_the_loop_has_ended(
    hass: HomeAssistant,
    small: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A loop stays braked for as long as it goes on, and mail is accepted ten minutes later."""
    fake_server.stop()
    await defer(small, *map(outgoing, "ABCD"))
    for _ in range(20):
        freezer.tick(FLOOD_WINDOW / 10)
        assert await send(hass) == "too_many_emails"
    freezer.tick(FLOOD_WINDOW - 1)
    assert await send(hass) == "queued"
    hass.config_entries.async_update_entry(small, options={"flood_limit": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await send(hass) == "too_many_emails"


async def test_brake_holds_over_a_restart(
    hass: HomeAssistant,
    small: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """As far as the outbox shows what was sent; emails from before the ten minutes do not count."""
    fake_server.stop()
    await defer(small, *map(outgoing, "AB"))
    freezer.tick(FLOOD_WINDOW - 60)
    await defer(small, *map(outgoing, "CD"))
    for _ in range(2):
        await shut_down(hass, small)
        await settle(hass, small)
    assert await send(hass) == "too_many_emails"
    await pass_time(hass, freezer, seconds=61)
    await shut_down(hass, small)
    await settle(hass, small)
    assert await send(hass) == "queued"


@pytest.mark.parametrize("step", [SEND, LEGACY, ENTITY], ids=["action", "legacy", "entity"])
async def test_repair_names_the_automation(
    hass: HomeAssistant,
    small: MockConfigEntry,
    fake_server: FakeServer,
    hass_client: ClientSessionGenerator,
    step: dict[str, Any],
) -> None:
    """And the script that it calls; a person who has stopped it accepts email again at once."""
    loop = {"repeat": {"count": 9, "sequence": [{**step, "continue_on_error": True}]}}
    script = {"script": {"tell": {"alias": "Tell", "sequence": [loop]}}}
    automation = {
        "alias": "Door _opens_",
        "triggers": {"trigger": "event", "event_type": "door"},
        "actions": [{"action": "script.tell"}],
    }
    assert await async_setup_component(hass, "script", script)
    assert await async_setup_component(hass, "automation", {"automation": automation})
    fake_server.stop()
    hass.bus.async_fire("door", context=Context())
    await until(lambda: raised(hass) == ["flood"])
    issue = find_issue(hass, "flood", small)
    names = "Door \\_opens\\_ (automation.door_opens), Tell (script.tell)"
    assert placeholders(issue)["sources"] == names
    assert placeholders(issue)["limit"] == "4"
    await hass.async_block_till_done(wait_background_tasks=True)

    repair = Repair(hass, hass_client)
    await repair.open("flood", small)
    assert "more than 4 emails within ten minutes" in repair.text
    assert await send(hass) == "too_many_emails"
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert await send(hass) == "queued"
    assert raised(hass) == []


async def test_repair_names_several_senders_once(
    hass: HomeAssistant,
    small: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    hass_client: ClientSessionGenerator,
) -> None:
    """Those that are unknown are a question mark; later ones are added, until there are five."""
    fake_server.stop()
    await defer(small, *map(outgoing, "ABCD"))
    assert await send(hass) == "too_many_emails"
    assert placeholders(find_issue(hass, "flood", small))["sources"] == "?"
    sources: Callable[[], str] = lambda: placeholders(find_issue(hass, "flood", small))["sources"]  # noqa: E731
    for number in range(6):
        context = Context()
        hass.states.async_set(f"automation.n{number}", "on", context=context)
        with pytest.raises(HomeAssistantError):
            await hass.services.async_call(
                DOMAIN, "send_message", MAIL, blocking=True, context=Context(parent_id=context.id)
            )
    assert sources() == ", ".join(f"n{number} (automation.n{number})" for number in range(4))
    freezer.tick(FLOOD_WINDOW)
    assert await send(hass) == "queued"
    assert raised(hass) == ["flood"]  # Until a person has seen it.
    mailer_of(small).queue.brake.reset()
    repair = Repair(hass, hass_client)
    await repair.open("flood", small)
    assert repair.result["type"] == "create_entry"
    assert state_of(hass, OUTBOX).attributes["failed"] == 7
