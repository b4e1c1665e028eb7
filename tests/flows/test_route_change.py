"""The route of an existing account changes both ways, in place."""

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigFlowContext,
)
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_ROUTE, DOMAIN
from custom_components.outlook_smtp.outbox.receipt import Status
from custom_components.outlook_smtp.smtp.route import SmtpRoute

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import FakeGraph, FakeServer, Identity, Script
from ..helpers import defer, mailer_of, outgoing, titles, until_empty
from ..repair_helpers import Repair as RepairDialog
from ..test_sign_in_again import CHOICES, Repair
from .test_graph import ACCESS_DENIED, choose, off, permit, scopes
from .test_sign_in import ROWS, haste

__all__ = ["haste", "off"]

pytestmark = pytest.mark.usefixtures("graph")

GRAPH_CHOICES = ["code", "browser", "smtp", "change_password"]


async def reconfigure(hass: HomeAssistant, identity: Identity, entry: MockConfigEntry) -> Repair:
    """Open the dialog that asks what to change."""
    return Repair(hass, identity, await entry.start_reconfigure_flow(hass))


async def test_route_changes_both_ways(
    hass: HomeAssistant,
    signed_in_account: MockConfigEntry,
    fake_server: FakeServer,
    graph: FakeGraph,
    identity: Identity,
) -> None:
    """In place, and what waits in the outbox goes the new way; a way back needs no code."""
    account, data = signed_in_account, dict(signed_in_account.data)
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["mailbox_disabled"])
    await defer(account, outgoing("First"))
    change = await reconfigure(hass, identity, account)
    await change.choose("graph", CHOICES)
    await change.finish()
    await permit(change)
    change.assert_ended("reconfigure_successful")
    await until_empty(account)
    assert [sent.message["Subject"] for sent in graph.received] == ["First"]
    assert account.data == data | {CONF_ROUTE: "graph", CONF_TOKEN: account.data[CONF_TOKEN]}

    graph.answers.extend([ACCESS_DENIED] * 2)
    await defer(account, outgoing("Second"))
    fake_server.mailboxes[ADDRESS].script = Script()
    identity.requests.clear()
    [reauth] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    hass.config_entries.flow.async_abort(reauth["flow_id"])
    change = await reconfigure(hass, identity, account)
    await change.choose("smtp", GRAPH_CHOICES)
    await change.finish()
    change.assert_ended("reconfigure_successful")
    await until_empty(account)
    assert titles(fake_server) == ["Second"]
    assert CONF_ROUTE not in account.data
    assert not scopes(identity)


async def test_refused_consent_leaves_smtp_alone(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, identity: Identity
) -> None:
    """A dialog that is closed then has changed nothing, and the sign-in for SMTP is renewed."""
    account, data = signed_in_account, dict(signed_in_account.data)
    change = await reconfigure(hass, identity, account)
    await change.choose("graph", CHOICES)
    await change.finish()
    assert change.fault == ("permission", {})
    change.close()
    identity.expire_access_tokens(ADDRESS)
    await account.runtime_data.coordinator.async_check_now()
    assert account.runtime_data.coordinator.data.connected
    assert account.data == data
    assert isinstance(account.runtime_data.route, SmtpRoute)
    assert (await mailer_of(account).send(outgoing())).status is Status.SENT


async def test_consent_that_an_administrator_gives_later_is_enough(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, identity: Identity
) -> None:
    """The next dialog asks Microsoft again, instead of remembering the refusal."""
    change = await reconfigure(hass, identity, signed_in_account)
    await change.choose("graph", CHOICES)
    await change.finish()
    assert change.fault == ("permission", {})
    change.close()
    identity.consents[ADDRESS].add(Resource.GRAPH)
    change = await reconfigure(hass, identity, signed_in_account)
    await change.choose("graph", CHOICES)
    await change.finish()
    change.assert_ended("reconfigure_successful")
    assert signed_in_account.data[CONF_ROUTE] == "graph"


async def test_way_back_asks_for_what_is_missing(
    hass: HomeAssistant, graph_account: MockConfigEntry, identity: Identity
) -> None:
    """An account that has only ever consented to Microsoft Graph consents to SMTP."""
    identity.withdraw(ADDRESS, Resource.SMTP)
    change = await reconfigure(hass, identity, graph_account)
    await change.choose("smtp", GRAPH_CHOICES)
    await change.finish()
    assert change.fault == ("permission", {})
    assert change.placeholders["permission"] == "SMTP.Send"
    await permit(change)
    change.assert_ended("reconfigure_successful")
    assert CONF_ROUTE not in graph_account.data
    assert graph_account.runtime_data.coordinator.data.connected


async def test_way_back_may_still_be_closed(
    hass: HomeAssistant, graph_account: MockConfigEntry, identity: Identity, off: None
) -> None:
    """It says so, and the account goes on with Microsoft Graph."""
    data = dict(graph_account.data)
    change = await reconfigure(hass, identity, graph_account)
    await change.choose("smtp", GRAPH_CHOICES)
    await change.finish()
    assert change.result["step_id"] == "smtp_off_personal"
    await choose(change, "graph")
    change.assert_ended("reconfigure_successful")
    assert graph_account.data == data


async def test_password_account_moves_in_place(
    hass: HomeAssistant, account: MockConfigEntry, identity: Identity
) -> None:
    """It is led to the sign-in, and its password is forgotten."""
    change = await reconfigure(hass, identity, account)
    await change.choose("graph", CHOICES)
    assert change.result["step_id"] == "sign_in_first"
    await choose(change, "code")
    await change.sign_in()
    change.assert_ended("reconfigure_successful")
    assert account.data[CONF_ROUTE] == "graph"
    assert CONF_PASSWORD not in account.data
    assert account.runtime_data.coordinator.data.connected


async def test_password_ends_the_way_through_graph(
    hass: HomeAssistant, graph_account: MockConfigEntry, identity: Identity
) -> None:
    """An account that goes back to a password sends over SMTP."""
    change = await reconfigure(hass, identity, graph_account)
    await change.choose("change_password", GRAPH_CHOICES)
    typed = {CONF_ACCOUNT_KIND: "personal", "email": ADDRESS, CONF_PASSWORD: PASSWORD}
    await change.submit(typed)
    change.assert_ended("reconfigure_successful")
    assert not {CONF_ROUTE, CONF_TOKEN} & set(graph_account.data)
    assert isinstance(graph_account.runtime_data.route, SmtpRoute)


async def test_reauthentication_is_for_the_route(
    hass: HomeAssistant, graph_account: MockConfigEntry, identity: Identity
) -> None:
    """An account on Microsoft Graph signs in for it again, and stays there."""
    identity.revoke(ADDRESS)
    await graph_account.runtime_data.coordinator.async_refresh()
    identity.requests.clear()
    [flow] = graph_account.async_get_active_flows(hass, {SOURCE_REAUTH})
    dialog = Repair(hass, identity, await hass.config_entries.flow.async_configure(flow["flow_id"]))
    await dialog.choose("code", ["code", "browser"])
    await dialog.sign_in()
    dialog.assert_ended("reauth_successful")
    assert scopes(identity) == ["https://graph.microsoft.com/Mail.Send"]
    assert graph_account.data[CONF_ROUTE] == "graph"
    assert graph_account.runtime_data.coordinator.data.connected


async def test_reauthentication_leads_to_the_choice(
    hass: HomeAssistant, signed_in_account: MockConfigEntry, identity: Identity, off: None
) -> None:
    """SMTP may have been switched off since the account signed in."""
    identity.revoke(ADDRESS)
    flow = await signed_in_account.start_reauth_flow(hass)
    dialog = Repair(hass, identity, flow)
    await dialog.choose("code", ["code", "browser"])
    await dialog.sign_in()
    assert dialog.result["step_id"] == "smtp_off_personal"
    await choose(dialog, "graph")
    await permit(dialog)
    dialog.assert_ended("reauth_successful")
    assert signed_in_account.data[CONF_ROUTE] == "graph"
    assert signed_in_account.runtime_data.coordinator.data.connected


@pytest.mark.parametrize(
    ("row", "key", "step"),
    [
        ("mailbox_disabled", "smtp_disabled_mailbox", "smtp_off_mailbox"),
        ("tenant_disabled", "smtp_disabled_tenant", "smtp_off_tenant"),
    ],
)
async def test_repair_leads_to_the_choice(
    hass: HomeAssistant,
    *,
    signed_in_account: MockConfigEntry,
    fake_server: FakeServer,
    identity: Identity,
    hass_client: ClientSessionGenerator,
    row: str,
    key: str,
    step: str,
) -> None:
    """One dialog opens at the route, and with it the account sends again."""
    account = signed_in_account
    data = {**account.data, CONF_ACCOUNT_KIND: "work"}
    hass.config_entries.async_update_entry(account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS[row])
    await account.runtime_data.coordinator.async_refresh()
    repair = RepairDialog(hass, hass_client)
    for _ in range(2):
        await repair.open(key, account)
        await repair.choose("graph")
        assert repair.result["reason"] == "sign_in_started"
        assert f"#config_entry={account.entry_id}" in repair.text
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert repair.result["next_flow"] == ["config_flow", flow["flow_id"]]
    dialog = Repair(hass, identity, hass.config_entries.flow.async_get(flow["flow_id"]))
    assert dialog.result["step_id"] == step
    identity.consents[ADDRESS] = set(Resource)
    await dialog.submit({"next_step_id": "graph"})
    dialog.assert_ended("reconfigure_successful")
    assert account.data[CONF_ROUTE] == "graph"
    assert account.runtime_data.coordinator.data.connected


async def test_repair_of_a_password_account_leads_to_the_sign_in(
    hass: HomeAssistant, account: MockConfigEntry, identity: Identity
) -> None:
    """Its password opens neither SMTP nor Microsoft Graph, so that no other one is asked for."""
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=account.entry_id)
    told = {"problem": "smtp_disabled_mailbox", "reply": "535 No"}
    menu = await hass.config_entries.flow.async_init(DOMAIN, context=context, data=told)
    change = Repair(hass, identity, menu)
    await change.choose("graph", ["graph", "check"])
    assert change.result["step_id"] == "sign_in_first"
    assert change.result["menu_options"] == ["code", "browser"]


async def test_repair_of_another_problem_asks_what_to_change(
    hass: HomeAssistant, signed_in_account: MockConfigEntry
) -> None:
    """The problem may have changed by the time somebody opens the dialog."""
    entry_id = signed_in_account.entry_id
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=entry_id)
    told = {"problem": "suspended", "reply": "-"}
    menu = await hass.config_entries.flow.async_init(DOMAIN, context=context, data=told)
    assert (menu["step_id"], menu["menu_options"]) == ("reconfigure", CHOICES)
