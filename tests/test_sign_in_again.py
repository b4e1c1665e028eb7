"""An account signs in with Microsoft again, or for the first time, and stays the same account."""

from collections.abc import Iterable
from pathlib import Path

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigFlowResult
from homeassistant.const import CONF_CLIENT_ID, CONF_PASSWORD, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_IMPLEMENTATION,
    CONF_TENANT,
    DOMAIN,
)

from .conftest import ADDRESS, PASSWORD
from .fake_microsoft import FakeServer, Identity, Script
from .flows.test_browser import Browser, credentials
from .flows.test_config_flow import LOCAL, TYPED
from .flows.test_sign_in import ROWS, SignIn, haste

__all__ = ["credentials", "haste"]

OTHER = "other@outlook.com"
CHOICES = ["code", "browser", "graph", "change_password", "server"]


class Repair(SignIn):
    """A dialog about an existing account."""

    async def choose(self, step: str, menu: Iterable[str]) -> None:
        """Choose from a menu."""
        assert self.result["type"] is FlowResultType.MENU
        assert self.result["menu_options"] == list(menu)
        await self.begin({"next_step_id": step})

    def assert_ended(self, end: str) -> None:
        """Check that the dialog succeeded."""
        assert self.result["type"] is FlowResultType.ABORT
        assert self.result["reason"] == end


async def reauth(hass: HomeAssistant, identity: Identity, entry: MockConfigEntry) -> Repair:
    """Open the dialog that reauthenticates a signed-in account with a code."""
    dialog = Repair(hass, identity, await entry.start_reauth_flow(hass))
    assert dialog.placeholders["address"] == ADDRESS
    await dialog.choose("code", ["code", "browser"])
    return dialog


async def reconfigure(
    hass: HomeAssistant, identity: Identity, entry: MockConfigEntry, step: str
) -> Repair:
    """Open the reconfiguration dialog, and choose what to change."""
    dialog = Repair(hass, identity, await entry.start_reconfigure_flow(hass))
    assert dialog.placeholders["address"] == ADDRESS
    await dialog.choose(step, CHOICES)
    return dialog


async def opened(hass: HomeAssistant, identity: Identity) -> Repair:
    """Return the dialog that has opened automatically."""
    await hass.async_block_till_done(wait_background_tasks=True)
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_REAUTH
    result: ConfigFlowResult = await hass.config_entries.flow.async_configure(flow["flow_id"])
    return Repair(hass, identity, result)


def tokens_in(storage: Path) -> list[str]:
    """Return the names of the files that have a token."""
    return [path.name for path in storage.glob("*.token")]


def belongings(hass: HomeAssistant, entry: ConfigEntry) -> object:
    """Return what must stay the same: the account's entities, devices and recipients."""
    return (
        er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id),
        [
            (device.id, device.identifiers)
            for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        ],
        dict(entry.subentries),
        (entry.entry_id, entry.title, entry.unique_id),
    )


async def test_ended_sign_in_starts_reauthentication(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, identity: Identity
) -> None:
    """The dialog opens automatically, knows the app registration, and restores the account."""
    account = signed_in_account
    before, data = belongings(hass, account), dict(account.data)
    identity.revoke(ADDRESS)
    await account.runtime_data.coordinator.async_refresh()
    assert account.runtime_data.coordinator.data.problem == "sign_in_required"
    dialog = await opened(hass, identity)
    await dialog.choose("code", ["code", "browser"])
    assert dialog.fault == ("code", {})
    assert dialog.filled_in == {CONF_CLIENT_ID: identity.client_id}
    await dialog.sign_in()
    dialog.assert_ended("reauth_successful")
    assert account.runtime_data.coordinator.data.connected
    assert account.data[CONF_TOKEN] != data[CONF_TOKEN]
    assert account.data == data | {CONF_TOKEN: account.data[CONF_TOKEN]}
    assert belongings(hass, account) == before


async def test_form_knows_the_tenant(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, identity: Identity
) -> None:
    """An account that signed in under another tenant does so again without entering it."""
    data = {**signed_in_account.data, CONF_TENANT: "consumers"}
    hass.config_entries.async_update_entry(signed_in_account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    dialog = await reauth(hass, identity, signed_in_account)
    assert dialog.tenant == "consumers"


@pytest.mark.parametrize("again", [True, False])
async def test_another_mailbox_is_rejected_by_name(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
    again: bool,
) -> None:
    """Both names are shown, nothing of the other account is kept, and the user can try again."""
    fake_server.add_mailbox(OTHER, PASSWORD)
    data, connections = dict(signed_in_account.data), fake_server.connections
    if again:
        dialog = await reauth(hass, identity, signed_in_account)
    else:
        dialog = await reconfigure(hass, identity, signed_in_account, "code")
    await dialog.sign_in(OTHER)
    assert dialog.fault == ("code", {"base": "wrong_account"})
    assert (dialog.placeholders["stranger"], dialog.placeholders["address"]) == (OTHER, ADDRESS)
    assert signed_in_account.data == data
    assert fake_server.connections == connections
    await dialog.sign_in()
    dialog.assert_ended("reauth_successful" if again else "reconfigure_successful")
    assert signed_in_account.data["email"] == ADDRESS


async def test_password_account_moves_in_place_and_back(
    hass: HomeAssistant,
    account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
    storage: Path,
) -> None:
    """Entities, device and recipients stay; there is always only one of password and token."""
    before, password_data = belongings(hass, account), dict(account.data)
    dialog = await reconfigure(hass, identity, account, "code")
    assert dialog.filled_in == {}
    await dialog.sign_in()
    dialog.assert_ended("reconfigure_successful")
    assert belongings(hass, account) == before
    assert CONF_PASSWORD not in account.data
    assert account.data[CONF_CLIENT_ID] == identity.client_id
    assert "AUTH XOAUTH2" in str(fake_server.sessions[-1])
    assert account.runtime_data.coordinator.data.connected

    identity.expire_access_tokens(ADDRESS)
    await account.runtime_data.coordinator.async_refresh()
    assert tokens_in(storage) == [f"outlook_smtp.{account.entry_id}.token"]

    dialog = await reconfigure(hass, identity, account, "change_password")
    blank = {key: value for key, value in TYPED.items() if key != CONF_PASSWORD}
    await dialog.submit(blank)
    assert dialog.fault == ("change_password", {CONF_PASSWORD: "no_password"})
    await dialog.submit(TYPED, password="wrong")
    assert dialog.fault == ("change_password", {CONF_PASSWORD: "invalid_credentials"})
    await dialog.submit(TYPED)
    dialog.assert_ended("reconfigure_successful")
    assert account.data == password_data
    assert belongings(hass, account) == before
    assert "AUTH LOGIN" in str(fake_server.sessions[-1])
    assert tokens_in(storage) == []


@pytest.mark.usefixtures("credentials", "current_request_with_host")
async def test_account_moves_from_the_code_to_the_browser(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """A strict tenant's account signs in through the browser; another mailbox is rejected there."""
    fake_server.add_mailbox(OTHER, PASSWORD)
    dialog = Browser(hass, identity, await signed_in_account.start_reauth_flow(hass))
    dialog.get = (await hass_client_no_auth()).get
    await dialog.begin({"next_step_id": "browser"})
    await dialog.sign_in(OTHER)
    assert dialog.fault == ("browser", {"base": "wrong_account"})
    await dialog.sign_in()
    assert dialog.result["reason"] == "reauth_successful"
    assert CONF_CLIENT_ID not in signed_in_account.data
    assert signed_in_account.data[CONF_IMPLEMENTATION] == "Mine"
    assert signed_in_account.runtime_data.coordinator.data.connected


async def test_server_of_a_signed_in_account_can_be_changed(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
) -> None:
    """The check uses the account's own tokens: a renewal is not lost to the account."""
    account, typed = signed_in_account, {"host": LOCAL, "security": "starttls"}
    with FakeServer() as server:
        server.mailboxes, server.access_tokens = fake_server.mailboxes, fake_server.access_tokens
        for refusing in (fake_server, server):
            refusing.script_next(Script.for_row(ROWS["identity_refused"]))
        await account.runtime_data.coordinator.async_refresh()
        assert identity.grant_types == ["refresh_token"]
        dialog = await reconfigure(hass, identity, account, "server")
        assert dialog.filled_in == typed | {"port": fake_server.port}
        await dialog.submit({**typed, "port": server.port})
        dialog.assert_ended("reconfigure_successful")
        assert identity.grant_types == ["refresh_token"] * 2
        identity.expire_access_tokens(ADDRESS)
        await account.runtime_data.coordinator.async_refresh()
        assert account.runtime_data.coordinator.data.connected
        assert identity.grant_types == ["refresh_token"] * 3


async def test_chosen_port_survives_a_new_sign_in(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    identity: Identity,
    fake_server: FakeServer,
) -> None:
    """Only another kind of account changes the server."""
    with FakeServer() as server:
        server.mailboxes, server.access_tokens = fake_server.mailboxes, fake_server.access_tokens
        data = {**signed_in_account.data, "port": server.port}
        hass.config_entries.async_update_entry(signed_in_account, data=data)
        await hass.async_block_till_done(wait_background_tasks=True)
        dialog = await reauth(hass, identity, signed_in_account)
        await dialog.sign_in()
        dialog.assert_ended("reauth_successful")
        assert signed_in_account.data["port"] == server.port
        other = {**signed_in_account.data, CONF_ACCOUNT_KIND: "other"}
        hass.config_entries.async_update_entry(signed_in_account, data=other)
        await hass.async_block_till_done(wait_background_tasks=True)
        dialog = await reauth(hass, identity, signed_in_account)
        await dialog.sign_in()
        assert signed_in_account.data["port"] == fake_server.port


@pytest.mark.parametrize("by", ["check", "mail"])
@pytest.mark.parametrize("row", ["basic_auth_disabled", "basic_auth_not_supported"])
async def test_password_no_longer_accepted_leads_to_the_sign_in(
    hass: HomeAssistant,
    account: MockConfigEntry,
    identity: Identity,
    by: str,
    row: str,
) -> None:
    """A dialog opens that quotes the server, and leads to the sign-in first, a password last."""
    mailbox = identity.fake_server.mailboxes[ADDRESS]
    mailbox.script = Script.for_row(ROWS[row])
    if by == "check":
        await account.runtime_data.coordinator.async_refresh()
    else:
        await hass.services.async_call(
            "notify", "me_outlook_com", {"message": "Hello"}, blocking=False
        )
    dialog = await opened(hass, identity)
    assert dialog.result["step_id"] == "passwords_refused"
    assert "asic authentication is" in dialog.placeholders["reply"]
    mailbox.script = Script()
    await dialog.choose("code", ["code", "browser", "reauth_confirm"])
    assert dialog.fault == ("code", {})
    await dialog.sign_in()
    dialog.assert_ended("reauth_successful")
    assert CONF_PASSWORD not in account.data
    assert account.runtime_data.coordinator.data.connected


async def test_signed_in_account_has_no_password_problem(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """If the same reply refuses a token, signing in again would change nothing."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["basic_auth_disabled"])
    await signed_in_account.runtime_data.coordinator.async_refresh()
    assert signed_in_account.runtime_data.coordinator.data.problem == "basic_auth_disabled"
    assert not hass.config_entries.flow.async_progress()
