"""An account does not sign in again with refused credentials until a user has acted."""

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
    """Press the button, and expect an error."""
    entity = {"entity_id": "button.me_outlook_com_check_now"}
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call("button", "press", entity, blocking=True)


async def live_for_two_days(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Run every automatic check of two days, and one that an automation requests."""
    for _ in range(96):
        await pass_time(hass, freezer, minutes=31)
    assert await async_setup_component(hass, "homeassistant", {})
    await hass.services.async_call(
        "homeassistant", "update_entity", {"entity_id": CONNECTION}, blocking=True
    )
    await pass_time(hass, freezer, minutes=1)


def reauth_steps(hass: HomeAssistant) -> list[tuple[str, str]]:
    """Return the open reauthentication dialogs and their steps."""
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
async def test_refused_credentials_are_only_tried_on_request(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    *,
    row: str,
    step: str,
) -> None:
    """Two days, new mail and a reload cause no sign-in; each request causes one."""
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


async def test_restart_does_not_try_refused_credentials(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The sensor is off from the first second, and the reauthentication is open."""
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
    """Once the account is changed, waiting mail is sent, and a restart has no refusal."""
    fake_server.mailboxes[ADDRESS].password = NEW
    await defer(account)
    data = {**account.data, CONF_PASSWORD: NEW}
    hass.config_entries.async_update_entry(account, data=data)
    await fake_server.async_wait_for_mail()
    await hass.async_block_till_done(wait_background_tasks=True)
    await shut_down(hass, account)
    await settle(hass, account)
    assert state_of(hass, CONNECTION).state == "on"


async def test_changed_option_is_no_new_sign_in(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The account reloads with it, and its password is still refused."""
    fake_server.mailboxes[ADDRESS].password = NEW
    await defer(account)
    tries = fake_server.connections
    hass.config_entries.async_update_entry(account, options={"timeout": 17})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert fake_server.connections == tries
    assert account.runtime_data.coordinator.data.problem == "invalid_credentials"


async def test_revoked_sign_in_is_not_requested_again(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Neither Microsoft nor the server is contacted until the user has acted."""
    fake_server = identity.fake_server
    identity.revoke(ADDRESS)
    await signed_in_account.runtime_data.coordinator.async_refresh()
    tries, requests = fake_server.connections, len(identity.requests)
    await live_for_two_days(hass, freezer)
    await shut_down(hass, signed_in_account)
    await settle(hass, signed_in_account)
    assert (fake_server.connections, len(identity.requests)) == (tries, requests)
    assert reauth_steps(hass) == [(SOURCE_REAUTH, "reauth_sign_in")]


async def test_locked_account_is_tried_after_hours_and_recovers(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Four hours, then eight; the attempt that finds it unlocked sends waiting mail."""
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


async def test_network_fault_does_not_hide_the_refusal(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The user learns about the network; what the account needs stays the same."""
    fake_server.mailboxes[ADDRESS].script = script_of("basic_auth_disabled")
    await account.runtime_data.coordinator.async_refresh()
    fake_server.stop()
    await check_now(hass)
    assert account.runtime_data.coordinator.last_fault.problem == "connection_refused"
    assert state_of(hass, CONNECTION).attributes["problem"] == "basic_auth_disabled"
    assert reauth_steps(hass) == [(SOURCE_REAUTH, "passwords_refused")]
    fake_server.start()
    tries = fake_server.connections
    await live_for_two_days(hass, freezer)
    assert fake_server.connections == tries
