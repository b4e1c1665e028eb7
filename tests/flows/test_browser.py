"""Sign-in through the browser, with the user's own application credentials."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.components.application_credentials import (
    DATA_COMPONENT,
    DOMAIN as CREDENTIALS,
    ClientCredential,
    async_import_client_credential,
)
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowContext,
)
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import config_entry_oauth2_flow as oauth
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_IMPLEMENTATION,
    CONF_ROUTE,
    CONF_SECURITY,
    CONF_TENANT,
    DOMAIN,
)
from custom_components.outlook_smtp.flows import connection_check, sign_in
from custom_components.outlook_smtp.smtp.settings import SERVERS, AccountKind, Server

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import (
    Endpoint,
    FakeGraph,
    FakeServer,
    Identity,
    Misstep,
    Script,
    closed_port,
    identity_wording as wording,
)
from .test_config_flow import LOCAL
from .test_sign_in import ROWS, SignIn

BACK = "https://example.com/auth/external/callback"

type Open = Callable[[], Awaitable[Browser]]

pytestmark = pytest.mark.usefixtures("current_request_with_host")


class Browser(SignIn):
    """A dialog, and the browser that it sends to Microsoft."""

    get: Callable[[str], Awaitable[Any]]

    async def leave(self, tenant: str = "common") -> URL:
        """Submit the tenant where it is asked for, and return the URL of the browser."""
        is_asked = self.result["step_id"] == "browser"
        await self.begin({"advanced": {CONF_TENANT: tenant}} if is_asked else {})
        assert self.result["type"] is FlowResultType.EXTERNAL_STEP
        return URL(self.result["url"])

    async def come_back(self, address: URL, who: str | None = ADDRESS) -> None:
        """Sign in at Microsoft or cancel, and follow the redirect."""
        self.identity.sign_in_as = who or ""
        http = async_get_clientsession(self._hass)
        async with http.get(address, allow_redirects=False) as response:
            target = URL(response.headers["Location"])
        assert str(target.with_query(None)) == BACK
        answer = await self.get(target.raw_path_qs)
        assert answer.status == 200
        self.result = await self._flows.async_configure(self.flow_id)
        await self.finish()

    async def sign_in(self, address: str = ADDRESS) -> Any:
        """Go through the whole browser sign-in."""
        await self.come_back(await self.leave(), address)
        return self.result


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress immediately."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(sign_in, "PROGRESS_INTERVAL", 0)


async def register(hass: HomeAssistant, identity: Identity, name: str = "Mine") -> None:
    """Register application credentials."""
    await async_import_client_credential(
        hass, DOMAIN, ClientCredential(identity.client_id, identity.client_secret, name), name
    )


@pytest.fixture
async def credentials(hass: HomeAssistant, identity: Identity) -> None:
    """Register the credentials that the identity platform knows."""
    assert await async_setup_component(hass, CREDENTIALS, {})
    await register(hass, identity)


@pytest.fixture
def open_dialog(
    hass: HomeAssistant, identity: Identity, hass_client_no_auth: ClientSessionGenerator
) -> Open:
    """Return a function that opens a dialog and chooses the browser sign-in."""

    async def begin() -> Browser:
        assert await async_setup_component(hass, CREDENTIALS, {})
        flows = hass.config_entries.flow
        menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
        form = await flows.async_configure(menu["flow_id"], {"next_step_id": "browser"})
        dialog = Browser(hass, identity, form)
        dialog.get = (await hass_client_no_auth()).get
        return dialog

    return begin


@pytest.fixture
async def dialog(open_dialog: Open, credentials: None) -> Browser:
    """Return a dialog that asks for the tenant."""
    return await open_dialog()


@pytest.mark.parametrize(
    ("address", "kind", "tenant"),
    [
        (ADDRESS, "personal", "common"),
        ("me@contoso.example", "work", "contoso.onmicrosoft.com"),
    ],
)
async def test_browser_signs_an_account_in(
    dialog: Browser, fake_server: FakeServer, address: str, kind: str, tenant: str
) -> None:
    """The tenant's page gets the required parameters, and the account is created."""
    identity = dialog.identity
    fake_server.add_mailbox(address, PASSWORD)
    assert dialog.fault == ("browser", {})
    assert (dialog.tenant, dialog.is_open) == ("", False)
    page = await dialog.leave(f" {tenant.upper()} ")
    assert str(page.with_query(None)) == f"{identity.authority}/{tenant}/oauth2/v2.0/authorize"
    query = dict(page.query)
    assert len(query.pop("state")) > 40
    assert len(query.pop("code_challenge")) == 43
    assert query == {
        "client_id": identity.client_id,
        "code_challenge_method": "S256",
        "prompt": "select_account",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "https://outlook.office.com/SMTP.Send offline_access openid profile email",
    }
    await dialog.come_back(page, address)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    entry = dialog.result["result"]
    assert (entry.title, entry.unique_id) == (address, address)
    token = entry.data[CONF_TOKEN]
    assert dict(entry.data) == {
        CONF_ACCOUNT_KIND: kind,
        CONF_IMPLEMENTATION: "Mine",
        "email": address,
        CONF_HOST: LOCAL,
        CONF_PORT: fake_server.port,
        CONF_SECURITY: "starttls",
        CONF_TENANT: tenant,
        CONF_TOKEN: token,
    }
    assert {request.tenant for request in identity.requests} == {tenant}
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data.coordinator.data.connected
    identity.expire_access_tokens(address)
    await entry.runtime_data.coordinator.async_refresh()
    assert entry.runtime_data.coordinator.data.connected
    assert identity.grant_types == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize("tenant", ["a/b", "contoso"])
async def test_malformed_tenant_is_an_error_at_its_field(dialog: Browser, tenant: str) -> None:
    """The browser is not sent anywhere with it."""
    await dialog.submit({"advanced": {CONF_TENANT: tenant}})
    assert dialog.fault == ("browser", {"base": "invalid_tenant"})
    assert (dialog.tenant, dialog.is_open) == (tenant, True)


async def test_user_may_cancel(dialog: Browser) -> None:
    """Canceling shows an error, and the user can try again."""
    await dialog.come_back(await dialog.leave("consumers"), None)
    assert dialog.fault == ("browser", {"base": "sign_in_declined"})
    assert dialog.placeholders["reply"] == "access_denied"
    assert dialog.tenant == "consumers"
    assert (await dialog.sign_in())["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        (wording.CODE_STALE, "sign_in_required", "AADSTS70008"),
        (wording.UNAVAILABLE, "identity_unreachable", "AADSTS90033"),
    ],
)
async def test_microsofts_refusal_is_quoted(
    dialog: Browser, identity: Identity, refusal: wording.Refusal, error: str, words: str
) -> None:
    """A code that cannot be redeemed shows Microsoft's message, and the user can try again."""
    identity.script.then("token", refusal)
    await dialog.sign_in()
    assert dialog.fault == ("browser", {"base": error})
    assert words in dialog.placeholders["reply"]
    assert (await dialog.sign_in())["type"] is FlowResultType.CREATE_ENTRY


async def test_wrong_secret_has_its_own_error(
    hass: HomeAssistant, open_dialog: Open, identity: Identity
) -> None:
    """It names the credentials, and leads to where they are changed and then back."""
    assert await async_setup_component(hass, CREDENTIALS, {})
    credential = ClientCredential(identity.client_id, "not-the-secret", "Typo")
    await async_import_client_credential(hass, DOMAIN, credential, "Typo")
    dialog = await open_dialog()
    await dialog.sign_in()
    assert dialog.fault == ("credentials", {"base": "secret_wrong"})
    shown = dialog.placeholders
    assert (shown["credentials"], shown["credentials_url"]) == (
        "Typo",
        "/config/application_credentials",
    )
    assert "AADSTS7000215: Invalid client secret" in shown["reply"]
    assert "not-the-secret" not in str(dialog.result)
    hass.data[DATA_COMPONENT].data.clear()
    await register(hass, identity)
    await dialog.begin({})
    await dialog.come_back(URL(dialog.result["url"]))
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("change", "port"), [("graph", None), ("server", None), ("server", "of its own")]
)
async def test_expired_secret_of_an_account_leads_to_its_credentials(
    hass: HomeAssistant,
    *,
    dialog: Browser,
    identity: Identity,
    fake_server: FakeServer,
    graph: FakeGraph,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    port: str | None,
) -> None:
    """Whatever is changed, and whatever its server, it signs in with a new secret."""
    account = (await dialog.sign_in())["result"]
    if port:
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, closed_port()))
    identity.expire_access_tokens(ADDRESS)
    identity.client_secret = "a-new-secret"
    identity.script.always[Endpoint.TOKEN] = Misstep(refusal=wording.SECRET_EXPIRED)
    context = ConfigFlowContext(source=SOURCE_RECONFIGURE, entry_id=account.entry_id)
    dialog.result = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    await dialog.submit({"next_step_id": change})
    if change == "server":
        await dialog.submit({CONF_HOST: LOCAL, CONF_PORT: fake_server.port, "security": "starttls"})
    for _ in range(2):  # A browser that is reloaded asks for the step again.
        assert dialog.fault == ("credentials", {"base": "secret_expired"})
        assert dialog.placeholders["credentials"] == "Mine"
        hass.data[DATA_COMPONENT].data.clear()  # Their owner deletes them.
        dialog.result = await hass.config_entries.flow.async_configure(dialog.flow_id)
    await register(hass, identity)
    identity.script.always.clear()
    await dialog.sign_in()
    assert dialog.result["reason"] == "reconfigure_successful"
    await account.runtime_data.coordinator.async_check_now()
    assert account.runtime_data.coordinator.data.connected
    assert (account.data.get(CONF_ROUTE) == "graph") is (change == "graph")


async def test_refused_identity_leads_back_to_the_browser(
    dialog: Browser, fake_server: FakeServer
) -> None:
    """The server's refusal is shown where the user can sign in with another account."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["identity_refused"])
    await dialog.sign_in()
    assert dialog.fault == ("browser", {"base": "identity_refused"})
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["criteria_not_met"])
    await dialog.sign_in()
    assert dialog.fault == ("retry", {"base": "conditional_access"})
    fake_server.mailboxes[ADDRESS].script = Script()
    assert (await dialog.submit({}))["type"] is FlowResultType.CREATE_ENTRY


async def test_browser_asks_for_graph_on_a_page_of_its_own(
    dialog: Browser, graph: FakeGraph, fake_server: FakeServer, identity: Identity
) -> None:
    """Where SMTP is switched off, one permission more is needed; the page asks for nothing else."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["mailbox_disabled"])
    await dialog.sign_in()
    await dialog.submit({"next_step_id": "graph"})
    for who, error in ((None, "sign_in_declined"), (ADDRESS, None)):
        await dialog.begin({})
        page = URL(dialog.result["url"])
        scope = "https://graph.microsoft.com/Mail.Send offline_access openid profile email"
        assert page.query["scope"] == scope
        await dialog.come_back(page, who)
        if error:
            assert dialog.fault == ("permission", {"base": error})
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    entry = dialog.result["result"]
    assert entry.data[CONF_ROUTE] == "graph"
    identity.expire_access_tokens(ADDRESS)
    await entry.runtime_data.coordinator.async_check_now()
    assert entry.runtime_data.coordinator.data.connected
    assert not graph.received


async def test_user_picks_one_of_several_credentials(
    hass: HomeAssistant, dialog: Browser, identity: Identity
) -> None:
    """With several app registrations, the user chooses one."""
    credential = ClientCredential("another-id", "another-secret")
    await async_import_client_credential(hass, DOMAIN, credential, "Other")
    await dialog.begin({})
    assert dialog.result["step_id"] == "pick_implementation"
    await dialog.begin({"implementation": "Mine"})
    await dialog.come_back(URL(dialog.result["url"]))
    assert dialog.result["data"][CONF_IMPLEMENTATION] == "Mine"


async def test_without_credentials_the_dialog_says_where_to_add_them(open_dialog: Open) -> None:
    """The frontend knows this abort reason, and opens the credentials dialog."""
    dialog = await open_dialog()
    assert (await dialog.submit({}))["reason"] == "missing_credentials"


async def unavailable(*_: Any) -> list[oauth.AbstractOAuth2Implementation]:
    """Act as a broken provider of credentials."""
    raise oauth.ImplementationUnavailableError


async def test_broken_provider_is_an_error(hass: HomeAssistant, open_dialog: Open) -> None:
    """If another provider may have credentials, the user can try again later."""
    dialog = await open_dialog()
    oauth.async_add_implementation_provider(hass, "cloud", unavailable)
    result = await dialog.submit({})
    assert result["reason"] == "oauth_implementation_unavailable"


@pytest.mark.parametrize("other", [False, True])
async def test_removed_credentials_are_a_problem_of_the_account(
    hass: HomeAssistant, dialog: Browser, identity: Identity, other: bool
) -> None:
    """The account reports the problem instead of crashing, and does not ask to sign in again."""
    entry = (await dialog.sign_in())["result"]
    hass.data[DATA_COMPONENT].data.clear()
    if other:
        oauth.async_add_implementation_provider(hass, "cloud", unavailable)
    identity.expire_access_tokens(ADDRESS)
    await entry.runtime_data.coordinator.async_refresh()
    health = entry.runtime_data.coordinator.data
    assert (health.connected, health.problem) == (False, "application_refused")
    assert health.reply == "Its application credentials are gone."
    assert not hass.config_entries.flow.async_progress()
    await register(hass, identity)
    await entry.runtime_data.coordinator.async_refresh()
    assert entry.runtime_data.coordinator.data.connected
