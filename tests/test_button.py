"""The buttons test an account, and explain what is wrong if it does not work."""

import asyncio
from contextlib import nullcontext
import re
from typing import Any
from unittest.mock import AsyncMock

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_get_persistent_notifications,
)

from .conftest import ADDRESS, until
from .fake_microsoft import CATALOGUE, FakeServer, Script, Step
from .helpers import (
    add_account,
    defer,
    mailer_of,
    outgoing,
    settle,
    state_of,
    titles,
    until_empty,
)

SEND_TEST_EMAIL = "button.me_outlook_com_send_test_email"
CHECK_NOW = "button.me_outlook_com_check_now"
SEND_WAITING = "button.me_outlook_com_send_waiting_email_now"
RETRY_FAILED = "button.me_outlook_com_retry_failed_email"
FAILED = "sensor.me_outlook_com_failed"
OTHER = "sam@outlook.com"
CONNECTION = "binary_sensor.me_outlook_com_connection"


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button."""
    await hass.services.async_call("button", "press", {"entity_id": button}, blocking=True)


@pytest.mark.parametrize("language", ["en", "xx"])
async def test_test_mail_arrives(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, language: str
) -> None:
    """It goes to the mailbox itself, in Home Assistant's language or else in English."""
    hass.config.language = language
    await press(hass, SEND_TEST_EMAIL)
    (mail,) = fake_server.received
    assert mail.recipients == (ADDRESS,)
    assert mail.message["Subject"] == "Test email from Home Assistant"
    assert "mail works" in mail.message.get_content()


@pytest.mark.usefixtures("account")
async def test_test_mail_that_is_queued_has_a_reason(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """It stays in the outbox, and is sent as soon as possible."""
    fake_server.script = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
    with pytest.raises(HomeAssistantError) as caught:
        await press(hass, SEND_TEST_EMAIL)
    assert caught.value.translation_key == "test_mail_waits"
    assert "waits in the outbox" in str(caught.value)
    assert "451 4.7.500 Server busy" in str(caught.value)
    assert state_of(hass, "sensor.me_outlook_com_outbox").state == "1"
    fake_server.script = Script()
    await hass.services.async_call("outlook_smtp", "flush_outbox", blocking=True)
    await fake_server.async_wait_for_mail()
    assert titles(fake_server) == ["Test email from Home Assistant"]


async def test_test_mail_does_not_wait_for_a_silent_server(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The button does not wait long for a silent server."""
    monkeypatch.setattr("custom_components.outlook_smtp.mailer.PATIENCE", 0.05)
    fake_server.script_next(Script(silent=True))
    with pytest.raises(HomeAssistantError, match="will be retried") as caught:
        await press(hass, SEND_TEST_EMAIL)
    assert "said" not in str(caught.value)
    await until(lambda: fake_server.open_connections == 1)
    fake_server.hang_up()
    await until(lambda: mailer_of(account).queue.waiting[0].tries == 1)
    await hass.services.async_call("outlook_smtp", "flush_outbox", blocking=True)
    await until_empty(account)
    assert len(fake_server.received) == 1


async def test_refused_test_mail_quotes_the_server(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A refusal is an error that quotes the server, and nothing is queued."""
    fake_server.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await press(hass, SEND_TEST_EMAIL)
    assert not mailer_of(account).queue.waiting


async def test_check_updates_the_health(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It connects and signs in, and sends nothing; a failure is an error with its remedy."""
    connections = fake_server.connections
    await press(hass, CHECK_NOW)
    assert fake_server.connections == connections + 1
    assert state_of(hass, CONNECTION).state == "on"
    row = next(row for row in CATALOGUE if row.name == "tenant_disabled")
    fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
    with pytest.raises(HomeAssistantError) as caught:
        await press(hass, CHECK_NOW)
    assert caught.value.translation_key == "smtp_disabled_tenant"
    assert state_of(hass, CONNECTION).state == "off"
    assert state_of(hass, CONNECTION).attributes["server_reply"] in str(caught.value)
    fake_server.mailboxes[ADDRESS].script = Script()
    await press(hass, CHECK_NOW)
    assert state_of(hass, CONNECTION).state == "on"
    assert fake_server.received == []


@pytest.mark.usefixtures("account")
async def test_failed_check_is_an_error_before_the_sensor_changes(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """The user is informed at once, even of a temporary fault."""
    fake_server.stop()
    with pytest.raises(HomeAssistantError, match="refuses connections on port") as caught:
        await press(hass, CHECK_NOW)
    assert caught.value.translation_key == "connection_refused"
    assert state_of(hass, CONNECTION).state == "unknown"


def answers(hass: HomeAssistant) -> dict[str, str]:
    """Return the notifications, by their titles."""
    shown = async_get_persistent_notifications(hass).values()
    return {each["title"] or "": each["message"] for each in shown}


async def test_check_answers_each_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    account_data: dict[str, Any],
    fake_server: FakeServer,
) -> None:
    """It says how long it took; a failure takes that back."""
    other = add_account(hass, fake_server, account_data, OTHER)
    await settle(hass, other)
    await press(hass, CHECK_NOW)
    await press(hass, CHECK_NOW.replace("me_", "sam_"))
    shown = answers(hass)
    assert list(shown) == [f"Connection check of {name}" for name in (ADDRESS, OTHER)]
    for answer in shown.values():
        assert re.fullmatch(r"Connected, \d+\.\d s", answer)
    fake_server.mailboxes[OTHER].password = "changed"
    with pytest.raises(HomeAssistantError, match="password is wrong"):
        await press(hass, CHECK_NOW.replace("me_", "sam_"))
    assert list(answers(hass)) == [f"Connection check of {ADDRESS}"]


async def test_check_answers_what_is_on_hold(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """An account that may sign in but not send is connected, and says what waits and until when."""
    fake_server.mailboxes[ADDRESS].script = Script(
        replies={Step.MAIL: "550 5.1.90 You reached your daily limit"}
    )
    await defer(account, outgoing("First"), outgoing("Second"))
    await press(hass, CHECK_NOW)
    answer = answers(hass)[f"Connection check of {ADDRESS}"].replace("\\", "")
    connected, held, waiting, then = answer.split("\n\n")
    assert connected.startswith("Connected, ")
    assert held.startswith("Email is still on hold: me@outlook.com has reached Microsoft's daily")
    assert waiting == "Waiting in the outbox: 2"
    assert re.fullmatch(r"Next attempt: \d{4}-\d\d-\d\d \d\d:\d\d", then)
    fake_server.stop()
    with pytest.raises(HomeAssistantError, match=r"refuses .*Waiting in the outbox: 2"):
        await press(hass, CHECK_NOW)
    assert answers(hass) == {}


async def test_waiting_and_failed_email_of_one_account_is_tried_again(
    hass: HomeAssistant,
    account: MockConfigEntry,
    account_data: dict[str, Any],
    fake_server: FakeServer,
) -> None:
    """The buttons leave the other account's outbox alone."""
    other = add_account(hass, fake_server, account_data, OTHER)
    await settle(hass, other)
    fake_server.script = Script(replies={Step.MAIL: "550 5.1.90 You reached your daily limit"})
    await defer(account, outgoing("Mine"))
    await defer(other, outgoing("Theirs"))
    fake_server.script = Script()
    await press(hass, SEND_WAITING)
    await until_empty(account)
    assert titles(fake_server) == ["Mine"]
    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Again"))
    assert state_of(hass, FAILED).state == "1"
    fake_server.script = Script()
    await press(hass, RETRY_FAILED)
    await until_empty(account)
    assert titles(fake_server) == ["Mine", "Again"]
    assert state_of(hass, FAILED).state == "0"
    assert len(mailer_of(other).queue.waiting) == 1


@pytest.mark.usefixtures("account")
async def test_outbox_buttons_are_for_administrators(
    hass: HomeAssistant, hass_read_only_user: MockUser
) -> None:
    """As the actions are; a check is for everybody who may control the button."""
    hass_read_only_user.mock_policy({"entities": True})
    for button, allowed in ((SEND_WAITING, False), (RETRY_FAILED, False), (CHECK_NOW, True)):
        with nullcontext() if allowed else pytest.raises(Unauthorized):
            await hass.services.async_call(
                "button",
                "press",
                {"entity_id": button},
                blocking=True,
                context=Context(user_id=hass_read_only_user.id),
            )


async def test_check_with_an_unexpected_error_is_an_error(
    hass: HomeAssistant, account: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug does not look like a working account."""
    monkeypatch.setattr(account.runtime_data.worker, "check", AsyncMock(side_effect=KeyError))
    with pytest.raises(HomeAssistantError) as caught:
        await press(hass, CHECK_NOW)
    assert caught.value.translation_key == "unforeseen"


async def test_check_that_outlives_its_account_has_no_effect(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The reloaded account runs its own checks."""
    coordinator = account.runtime_data.coordinator
    fake_server.script_next(Script(stall=Step.GREETING))
    check = asyncio.create_task(coordinator.async_refresh())
    await until(lambda: fake_server.open_connections == 1)
    assert await hass.config_entries.async_unload(account.entry_id)
    fake_server.hang_up()
    await check
    assert coordinator.data.connected


@pytest.mark.usefixtures("account")
async def test_buttons_are_for_diagnosis(entity_registry: er.EntityRegistry) -> None:
    """Generated dashboards do not show them."""
    for button in (SEND_TEST_EMAIL, CHECK_NOW, SEND_WAITING, RETRY_FAILED):
        registered = entity_registry.async_get(button)
        assert registered
        assert registered.entity_category == "diagnostic"
