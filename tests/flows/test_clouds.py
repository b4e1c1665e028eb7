"""Advanced selects one of Microsoft's clouds: for the sign-in, for SMTP and for Microsoft Graph."""

from dataclasses import replace

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigFlowContext
from homeassistant.const import CONF_CLIENT_ID, CONF_HOST
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, section
import pytest
from yarl import URL

from custom_components.outlook_smtp.auth.clouds import CHINA, CLOUDS, GCC_HIGH, WORLDWIDE
from custom_components.outlook_smtp.auth.tokens import PERSONAL_TENANT
from custom_components.outlook_smtp.const import CONF_CLOUD, CONF_TENANT, DOMAIN
from custom_components.outlook_smtp.smtp.settings import SERVERS, AccountKind, Server

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import FakeGraph, FakeServer, Identity, Misstep, Script, closed_port
from ..test_sign_in_again import CHOICES, Repair
from .test_browser import Open, credentials, open_dialog as open_browser
from .test_config_flow import LOCAL
from .test_graph import permit, scopes
from .test_sign_in import ROWS, SignIn, dialog, haste, open_dialog

__all__ = ["credentials", "dialog", "haste", "open_browser", "open_dialog"]

WORKER = "me@contoso.example"
SMTP_SCOPES = {
    GCC_HIGH: "https://outlook.office365.us/SMTP.Send",
    CHINA: "https://partner.outlook.cn/SMTP.Send",
}
GRAPH_SCOPES = {
    GCC_HIGH: "https://graph.microsoft.us/Mail.Send",
    CHINA: "https://microsoftgraph.chinacloudapi.cn/Mail.Send",
}


@pytest.fixture(autouse=True)
def elsewhere(graph: FakeGraph, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing answer in the worldwide cloud, and add a work account to the others."""
    fake_server.add_mailbox(WORKER, PASSWORD)
    nowhere = f"http://{LOCAL}:{closed_port()}"
    changed = replace(CLOUDS[WORLDWIDE], authority=nowhere, graph=nowhere)
    monkeypatch.setitem(CLOUDS, WORLDWIDE, changed)
    server = Server("nowhere.invalid", fake_server.port)
    monkeypatch.setitem(SERVERS, AccountKind.WORK, server)


async def ask(dialog: SignIn, cloud: str, tenant: str = "organizations") -> None:
    """Submit the app registration with a cloud."""
    advanced = {CONF_TENANT: tenant, CONF_CLOUD: cloud}
    await dialog.begin({CONF_CLIENT_ID: dialog.identity.client_id, "advanced": advanced})


async def sign_in(dialog: SignIn, cloud: str, address: str = WORKER) -> None:
    """Sign in with a code in a cloud."""
    await ask(dialog, cloud)
    dialog.identity.approve(dialog.placeholders["code"], address)
    await dialog.submit({})


async def change_account(hass: HomeAssistant, identity: Identity, entry_id: str) -> Repair:
    """Open the dialog that changes an account, and choose the sign-in with a code."""
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=entry_id)
    menu = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    change = Repair(hass, identity, menu)
    await change.choose("code", CHOICES)
    return change


def selected(dialog: SignIn) -> str:
    """Return the suggested cloud."""
    assert dialog.result["data_schema"]
    advanced: section = dialog.result["data_schema"].schema["advanced"]
    [field] = (field for field in advanced.schema.schema if field == CONF_CLOUD)
    return str(field.description["suggested_value"])


@pytest.mark.parametrize("cloud", [GCC_HIGH, CHINA])
async def test_code_signs_in_to_a_cloud(dialog: SignIn, identity: Identity, cloud: str) -> None:
    """Its addresses and permissions are used, and renewed with."""
    assert selected(dialog) == WORLDWIDE
    await sign_in(dialog, cloud)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    entry = dialog.result["result"]
    assert (entry.data[CONF_CLOUD], entry.data[CONF_HOST]) == (cloud, LOCAL)
    identity.expire_access_tokens(WORKER)
    await entry.runtime_data.coordinator.async_check_now()
    assert entry.runtime_data.coordinator.data.connected
    assert scopes(identity) == [SMTP_SCOPES[cloud]]
    assert scopes(identity, "token")[-1] == SMTP_SCOPES[cloud]


@pytest.mark.parametrize("cloud", [GCC_HIGH, CHINA])
async def test_graph_is_that_of_the_cloud(
    dialog: SignIn, *, identity: Identity, fake_server: FakeServer, graph: FakeGraph, cloud: str
) -> None:
    """The second code is for its permission, and the check reaches its address."""
    fake_server.mailboxes[WORKER].script = Script.for_row(ROWS["tenant_disabled"])
    await sign_in(dialog, cloud)
    await dialog.submit({"next_step_id": "graph"})
    await permit(dialog, WORKER)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert scopes(identity) == [SMTP_SCOPES[cloud], GRAPH_SCOPES[cloud]]
    assert dialog.result["data"][CONF_CLOUD] == cloud
    assert graph.requests


async def test_personal_accounts_are_worldwide_only(dialog: SignIn, identity: Identity) -> None:
    """Neither their group is accepted in another cloud, nor one that signed in all the same."""
    await ask(dialog, GCC_HIGH, "consumers")
    assert dialog.fault == ("code", {"base": "personal_only_worldwide"})
    assert selected(dialog) == GCC_HIGH
    assert not identity.requests
    claims = {"preferred_username": ADDRESS, "tid": PERSONAL_TENANT}
    identity.script.then("token", Misstep(claims=claims))
    await sign_in(dialog, GCC_HIGH)
    assert dialog.fault == ("code", {"base": "personal_only_worldwide"})
    await sign_in(dialog, GCC_HIGH)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_account_can_move_to_another_cloud(
    hass: HomeAssistant, dialog: SignIn, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form knows its cloud; with another one the account gets that one's server."""
    await sign_in(dialog, GCC_HIGH)
    entry = dialog.result["result"]
    change = await change_account(hass, identity, entry.entry_id)
    assert selected(change) == GCC_HIGH
    monkeypatch.setitem(CLOUDS, CHINA, replace(CLOUDS[CHINA], smtp_host="localhost"))
    await sign_in(change, CHINA)
    change.assert_ended("reconfigure_successful")
    assert (entry.data[CONF_CLOUD], entry.data[CONF_HOST]) == (CHINA, "localhost")


async def test_worldwide_is_not_saved(
    hass: HomeAssistant,
    *,
    dialog: SignIn,
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    fake_server: FakeServer,
) -> None:
    """An account that moves there has no cloud in its data."""
    await sign_in(dialog, GCC_HIGH)
    entry = dialog.result["result"]
    worldwide = replace(CLOUDS[GCC_HIGH], permissions=CLOUDS[WORLDWIDE].permissions)
    monkeypatch.setitem(CLOUDS, WORLDWIDE, worldwide)
    monkeypatch.setitem(SERVERS, AccountKind.WORK, Server(LOCAL, fake_server.port))
    change = await change_account(hass, identity, entry.entry_id)
    await sign_in(change, WORLDWIDE)
    change.assert_ended("reconfigure_successful")
    assert CONF_CLOUD not in entry.data


@pytest.mark.usefixtures("current_request_with_host", "credentials")
async def test_browser_signs_in_to_a_cloud(open_browser: Open, identity: Identity) -> None:
    """The section is the same, and the page is that of the cloud."""
    dialog = await open_browser()
    assert selected(dialog) == WORLDWIDE
    typed = {"advanced": {CONF_TENANT: "consumers", CONF_CLOUD: CHINA}}
    await dialog.submit(typed)
    assert dialog.fault == ("browser", {"base": "personal_only_worldwide"})
    assert selected(dialog) == CHINA
    await dialog.begin({"advanced": typed["advanced"] | {CONF_TENANT: "organizations"}})
    page = URL(dialog.result["url"])
    assert str(page).startswith(f"{identity.authority}/organizations/")
    assert page.query["scope"].partition(" ")[0] == SMTP_SCOPES[CHINA]
    await dialog.come_back(page, WORKER)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert dialog.result["data"][CONF_CLOUD] == CHINA
