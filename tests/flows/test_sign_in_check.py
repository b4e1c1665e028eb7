"""After the sign-in, the server is checked and may still refuse: each refusal leads somewhere."""

from homeassistant.config_entries import SOURCE_USER, ConfigFlowContext
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.outlook_smtp import routes as building
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_SECURITY, DOMAIN
from custom_components.outlook_smtp.smtp.settings import (
    PORTS,
    SERVERS,
    AccountKind,
    Security,
    Server,
)

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import FakeServer, Identity, Script, blocked_port
from .test_config_flow import LOCAL
from .test_sign_in import ROWS, SignIn, dialog, haste, open_dialog

__all__ = ["dialog", "haste", "open_dialog"]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("criteria_not_met", "conditional_access"),
        ("basic_auth_disabled", "basic_auth_disabled"),
        ("temporary_server_error", "temporary_auth_failure"),
    ],
)
async def test_server_refusal_can_be_checked_again(
    dialog: SignIn, identity: Identity, fake_server: FakeServer, row: str, error: str
) -> None:
    """The sign-in is kept while the cause is fixed; it need not be repeated."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS[row])
    await dialog.sign_in()
    for _ in range(2):
        assert dialog.fault == ("retry", {"base": error})
        assert dialog.placeholders["address"] == ADDRESS
        assert ROWS[row].reply.startswith(dialog.placeholders["reply"])
        await dialog.submit({})
    requests = len(identity.requests)
    fake_server.mailboxes[ADDRESS].script = Script()
    assert (await dialog.submit({}))["type"] is FlowResultType.CREATE_ENTRY
    assert len(identity.requests) == requests


async def test_server_without_tokens_has_its_own_error(
    dialog: SignIn, fake_server: FakeServer
) -> None:
    """A server that only accepts passwords has its own error."""
    fake_server.script = Script(auth_offered=("LOGIN",))
    await dialog.sign_in()
    assert dialog.fault == ("retry", {"base": "mechanism_not_offered"})
    assert dialog.placeholders["reply"] == "LOGIN"


async def test_refused_identity_leads_back_to_the_sign_in(
    dialog: SignIn, identity: Identity, fake_server: FakeServer
) -> None:
    """The token is renewed and retried once, then the user is asked."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["identity_refused"])
    await dialog.sign_in()
    assert dialog.fault == ("code", {"base": "identity_refused"})
    assert dialog.placeholders["reply"].startswith("535 5.7.3 ")
    assert fake_server.connections == 2
    assert identity.grant_types.count("refresh_token") == 1
    fake_server.mailboxes[ADDRESS].script = Script()
    assert (await dialog.sign_in())["type"] is FlowResultType.CREATE_ENTRY


async def test_token_renewed_by_the_check_is_saved(
    dialog: SignIn, identity: Identity, fake_server: FakeServer
) -> None:
    """A first refusal is corrected silently, and the old token is discarded."""
    fake_server.script_next(Script.for_row(ROWS["identity_refused"]))
    entry = (await dialog.sign_in())["result"]
    assert identity.grant_types.count("refresh_token") == 1
    identity.expire_access_tokens(ADDRESS)
    await entry.runtime_data.coordinator.async_refresh()
    assert entry.runtime_data.coordinator.data.connected
    assert identity.grant_types.count("refresh_token") == 2


async def test_blocked_port_leads_to_the_server_form(
    dialog: SignIn, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form suggests the port that responds, with the same sign-in."""
    with FakeServer(security="tls") as server, blocked_port() as port:
        server.mailboxes, server.access_tokens = fake_server.mailboxes, fake_server.access_tokens
        monkeypatch.setattr(building, "DEFAULT_TIMEOUT", 0.5)
        monkeypatch.setitem(PORTS, Security.TLS, server.port)
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        await dialog.sign_in()
        assert dialog.fault == ("server", {"base": "port_blocked_other_open"})
        offered = {CONF_HOST: LOCAL, CONF_SECURITY: "tls"}
        assert dialog.filled_in == offered  # The port follows.
        result = await dialog.submit(offered)
        assert (offered | {CONF_PORT: server.port}).items() <= result["data"].items()


async def test_refused_passwords_lead_to_the_sign_in(
    hass: HomeAssistant, identity: Identity, fake_server: FakeServer
) -> None:
    """A refused password leads to the sign-in in the same dialog; the password is not kept."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["basic_auth_disabled"])
    flows = hass.config_entries.flow
    menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": "password"})
    dialog = SignIn(hass, identity, form)
    await dialog.submit({"account_kind": "work", "email": ADDRESS, "password": PASSWORD})
    assert dialog.result["step_id"] == "passwords_refused"
    assert dialog.result["menu_options"] == ["code", "browser", "password"]
    fake_server.mailboxes[ADDRESS].script = Script()
    await dialog.submit({"next_step_id": "code"})
    assert dialog.fault == ("code", {})
    result = await dialog.sign_in()
    assert PASSWORD not in result["data"].values()
    assert result["data"][CONF_ACCOUNT_KIND] == "personal"
