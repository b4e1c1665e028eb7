"""An account does not sign in again with what was refused until somebody has acted."""

from typing import Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Identity, Script
from .helpers import act, defer, outgoing, pass_time, settle, shut_down, state_of
from .promises import LOCK_HOURS
from .repair_helpers import find_issue, script_of

CONNECTION: Final = "binary_sensor.me_outlook_com_connection"
NEW: Final = "new-password"


async def check_now(hass: HomeAssistant) -> None:
    """Press the button, and meet an error."""
    entity = {"entity_id": "button.me_outlook_com_check_now"}
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("button", "press", entity, blocking=True)


async def live_for_two_days(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let every check come that would come by itself, and one that an automation asks for."""
    for _ in range(96):
        await pass_time(hass, freezer, minutes=31)
    assert await async_setup_component(hass, "homeassistant", {})
    await hass.services.async_call(
        "homeassistant", "update_entity", {"entity_id": CONNECTION}, blocking=True
    )
    await pass_time(hass, freezer, minutes=1)


def reauth_steps(hass: HomeAssistant) -> list[tuple[str, str]]:
    """Return which dialogs are open, and at which step."""
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return [(flow["context"]["source"], flow["step_id"]) for flow in flows]


@pytest.mark.parametrize(
    ("row", "step"),
    [
        ("credentials_incorrect", "reauth_confirm"),
        ("unsuccessful", "reauth_confirm"),
        ("basic_auth_disabled", "passwords_refused"),
    ],
)
async def test_refused_credentials_are_tried_only_when_somebody_asks(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    *,
    row: str,
    step: str,
) -> None:
    """Two days, new mail and a reload bring no sign-in; each request brings one."""
    assert await hass.config_entries.async_reload(account.entry_id)
    fake_server.mailboxes[ADDRESS].script = script_of(row)
    await account.runtime_data.coordinator.async_refresh()
    tries = fake_server.connections
    await live_for_two_days(hass, freezer)
    await defer(account)
    assert await hass.config_entries.async_reload(account.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await defer(account, outgoing("Second"))
    assert fake_server.connections == tries
    assert state_of(hass, CONNECTION).state == "off"
    assert reauth_steps(hass) == [(SOURCE_REAUTH, step)]

    await check_now(hass)
    assert fake_server.connections == tries + 1
    await act(hass, "flush_outbox")
    await until(lambda: fake_server.connections == tries + 2)
    await live_for_two_days(hass, freezer)
    assert fake_server.connections == tries + 2
    assert reauth_steps(hass) == [(SOURCE_REAUTH, step)]


async def test_a_restart_tries_nothing_that_was_refused_before(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The sensor is off from the first second, and the person is asked to sign in again."""
    fake_server.mailboxes[ADDRESS].password = NEW
    await defer(account)
    tries = fake_server.connections
    await shut_down(hass, account)
    await settle(hass, account)
    assert state_of(hass, CONNECTION).attributes["problem"] == "invalid_credentials"
    assert reauth_steps(hass) == [(SOURCE_REAUTH, "reauth_confirm")]
    await live_for_two_days(hass, freezer)
    assert fake_server.connections == tries
    await shut_down(hass, account)
    data = {**account.data, CONF_PASSWORD: NEW}
    hass.config_entries.async_update_entry(account, data=data)
    await settle(hass, account)
    assert state_of(hass, CONNECTION).state == "on"


async def test_new_credentials_are_tried_at_once(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Once the account is changed what waits goes out, and no restart knows of the refusal."""
    fake_server.mailboxes[ADDRESS].password = NEW
    await defer(account)
    data = {**account.data, CONF_PASSWORD: NEW}
    hass.config_entries.async_update_entry(account, data=data)
    await fake_server.async_wait_for_mail()
    await hass.async_block_till_done(wait_background_tasks=True)
    await shut_down(hass, account)
    await settle(hass, account)
    assert state_of(hass, CONNECTION).state == "on"


async def test_an_option_that_is_changed_is_no_new_sign_in(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The account starts over with it, and its password is as refused as before."""
    fake_server.mailboxes[ADDRESS].password = NEW
    await defer(account)
    tries = fake_server.connections
    hass.config_entries.async_update_entry(account, options={"timeout": 17})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert fake_server.connections == tries
    assert account.runtime_data.coordinator.data.problem == "invalid_credentials"


async def test_a_sign_in_that_microsoft_has_ended_is_not_asked_for_again(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Neither its sign-in nor the server hears of the account until the person has acted."""
    fake_server = identity.fake_server
    identity.revoke(ADDRESS)
    await signed_in_account.runtime_data.coordinator.async_refresh()
    tries, requests = fake_server.connections, len(identity.requests)
    await live_for_two_days(hass, freezer)
    await shut_down(hass, signed_in_account)
    await settle(hass, signed_in_account)
    assert (fake_server.connections, len(identity.requests)) == (tries, requests)
    assert reauth_steps(hass) == [(SOURCE_REAUTH, "reauth_sign_in")]


async def test_a_locked_account_is_tried_after_hours_and_then_goes_on(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Four hours, then eight; the one that finds it unlocked sends what waits."""
    fake_server.mailboxes[ADDRESS].script = script_of("account_locked")
    await defer(account)
    for hours in LOCK_HOURS[:2]:
        tries = fake_server.connections
        for _ in range(2 * hours - 1):
            await pass_time(hass, freezer, minutes=30)
        assert fake_server.connections == tries
        assert find_issue(hass, "account_locked", account)
        await pass_time(hass, freezer, minutes=31)
        assert fake_server.connections == tries + 1
    fake_server.mailboxes[ADDRESS].script = Script()
    for _ in range(2 * LOCK_HOURS[2] + 1):
        await pass_time(hass, freezer, minutes=30)
    await until(lambda: len(fake_server.received) == 1)
    assert find_issue(hass, "account_locked", account) is None


async def test_what_keeps_a_try_from_the_server_does_not_hide_the_refusal(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The person who asks is told of the network; what the account needs stays as it was."""
    fake_server.mailboxes[ADDRESS].script = script_of("basic_auth_disabled")
    await account.runtime_data.coordinator.async_refresh()
    fake_server.stop()
    await check_now(hass)
    assert account.runtime_data.coordinator.last_fault.problem == "connection_refused"
    assert state_of(hass, CONNECTION).attributes["problem"] == "basic_auth_disabled"
    assert find_issue(hass, "basic_auth_disabled", account)
    assert reauth_steps(hass) == [(SOURCE_REAUTH, "passwords_refused")]
    fake_server.start()
    tries = fake_server.connections
    await live_for_two_days(hass, freezer)
    assert fake_server.connections == tries
