"""Where SMTP is switched off, the dialog that adds an account leads to Microsoft Graph."""

import asyncio
from typing import Final

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowContext,
)
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.outlook_smtp.auth.clouds import Resource
from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_ROUTE,
    DOMAIN,
)
from custom_components.outlook_smtp.delivery.faults import Stage
from custom_components.outlook_smtp.graph.route import GraphRoute

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import (
    FakeGraph,
    FakeServer,
    GraphAnswer,
    Identity,
    Misstep,
    Script,
    identity_script as script,
    identity_wording as wording,
)
from ..fake_microsoft.graph_rows import DENIED
from .test_sign_in import ROWS, SignIn, dialog, haste, open_dialog

__all__ = ["dialog", "haste", "open_dialog"]

pytestmark = pytest.mark.usefixtures("graph")

WORKER = "me@contoso.example"
OTHER = "other@outlook.com"
ACCESS_DENIED = GraphAnswer(status=403, code="ErrorAccessDenied", message=DENIED)


@pytest.fixture
def off(fake_server: FakeServer) -> None:
    """Let SMTP be switched off for the mailbox."""
    fake_server.mailboxes[ADDRESS].script = Script.for_row(ROWS["mailbox_disabled"])


@pytest.fixture
async def offered(dialog: SignIn, off: None) -> SignIn:
    """Return a dialog that offers Microsoft Graph after a sign-in with a code."""
    await dialog.sign_in()
    assert dialog.result["step_id"] == "smtp_off_personal"
    return dialog


async def choose(dialog: SignIn, option: str) -> None:
    """Choose from a menu, and follow the check."""
    assert dialog.result["type"] is FlowResultType.MENU
    assert option in dialog.result["menu_options"]
    await dialog.submit({"next_step_id": option})


async def permit(dialog: SignIn, address: str = ADDRESS) -> None:
    """Get another code at the step that explains the permission, and sign in with it."""
    assert dialog.result["step_id"] == "permission"
    await dialog.begin({})
    assert dialog.result["step_id"] == "wait"
    dialog.identity.approve(dialog.placeholders["code"], address)
    await dialog.submit({})


def scopes(identity: Identity, endpoint: str = "devicecode") -> list[str]:
    """Return the permissions that were asked for, one a request."""
    return [
        request.form["scope"].partition(" ")[0]
        for request in identity.requests
        if request.endpoint == endpoint and "scope" in request.form
    ]


@pytest.mark.parametrize(
    ("address", "row", "step"),
    [
        (ADDRESS, "mailbox_disabled", "smtp_off_personal"),
        (ADDRESS, "tenant_disabled", "smtp_off_personal"),
        (WORKER, "mailbox_disabled", "smtp_off_mailbox"),
        (WORKER, "tenant_disabled", "smtp_off_tenant"),
    ],
)
async def test_graph_is_offered_and_taken(
    dialog: SignIn,
    *,
    fake_server: FakeServer,
    graph: FakeGraph,
    address: str,
    row: str,
    step: str,
) -> None:
    """Microsoft is asked for one permission more, with a second code; nothing is sent."""
    identity = dialog.identity
    fake_server.add_mailbox(WORKER, PASSWORD)
    fake_server.mailboxes[address].script = Script.for_row(ROWS[row])
    await dialog.sign_in(address)
    assert dialog.result["step_id"] == step
    assert dialog.result["menu_options"] == ["graph", "check"]
    assert dialog.placeholders["address"] == address
    assert "SmtpClientAuthentication is disabled" in dialog.placeholders["reply"]
    assert not graph.requests
    await choose(dialog, "graph")
    assert dialog.fault == ("permission", {})
    assert (dialog.placeholders["route"], dialog.placeholders["permission"]) == (
        "Microsoft Graph",
        "Mail.Send",
    )
    dialog.stages.clear()
    await permit(dialog, address)
    assert Stage.CONNECT in dialog.stages
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    entry = dialog.result["result"]
    assert entry.data[CONF_ROUTE] == "graph"
    assert entry.data[CONF_TOKEN]["resource"] == "graph"
    assert entry.state is ConfigEntryState.LOADED
    assert isinstance(entry.runtime_data.route, GraphRoute)
    assert entry.runtime_data.coordinator.data.connected
    assert not graph.received
    assert scopes(identity) == [
        "https://outlook.office.com/SMTP.Send",
        "https://graph.microsoft.com/Mail.Send",
    ]


async def test_check_of_graph_is_shown(offered: SignIn, graph: FakeGraph) -> None:
    """The progress names the server that is asked."""
    offered.identity.consents[ADDRESS] = set(Resource)
    await offered.begin({"next_step_id": "graph"})
    assert offered.result["type"] is FlowResultType.SHOW_PROGRESS
    assert offered.placeholders["host"] == "127.0.0.1"
    assert offered.placeholders["port"] == str(graph.port)
    await offered.finish()


async def test_given_consent_needs_no_second_code(offered: SignIn, graph: FakeGraph) -> None:
    """The sign-in at hand is tried first, and its new token is saved."""
    offered.identity.consents[ADDRESS] = set(Resource)
    await choose(offered, "graph")
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY
    assert offered.identity.count("devicecode") == 1
    entry = offered.result["result"]
    assert entry.data[CONF_ROUTE] == "graph"
    offered.identity.expire_access_tokens(ADDRESS)
    await entry.runtime_data.coordinator.async_check_now()
    assert entry.runtime_data.coordinator.data.connected
    assert not graph.received


async def test_smtp_that_is_switched_on_needs_no_graph(
    offered: SignIn, fake_server: FakeServer, graph: FakeGraph
) -> None:
    """Checking again says so until it is on; then the account sends over SMTP."""
    await choose(offered, "check")
    assert offered.result["step_id"] == "smtp_off_personal"
    fake_server.mailboxes[ADDRESS].script = Script()
    await choose(offered, "check")
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY
    assert CONF_ROUTE not in offered.result["data"]
    assert not graph.requests


REFUSED: Final[tuple[tuple[Misstep | wording.Refusal, str, str], ...]] = (
    (wording.DECLINED, "sign_in_declined", "denied the authorization"),
    (wording.CODE_EXPIRED, "code_expired", "AADSTS70020"),
    (wording.NOT_CONSENTED, "consent_required", "AADSTS65001"),
    (wording.UNAUTHORIZED, "sign_in_required", "AADSTS70000"),
    (wording.SECRET_MISSING, "public_client_off", "AADSTS7000218"),
    (script.NO_SEND_SCOPE, "no_send_permission", "-"),
    (script.NO_ADDRESS, "no_address", "-"),
)


async def test_refused_permission_is_explained(
    hass: HomeAssistant, offered: SignIn, subtests: pytest.Subtests
) -> None:
    """Microsoft's reply is shown where another code can be requested."""
    await choose(offered, "graph")
    for misstep, error, words in REFUSED:
        with subtests.test(f"{error}: {words}"):
            offered.identity.script.then("token", misstep)
            await permit(offered)
            assert offered.fault == ("permission", {"base": error})
            assert words in offered.placeholders["reply"]
            assert not hass.config_entries.async_entries(DOMAIN)
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY


async def test_app_registration_without_the_permission_leads_to_it(offered: SignIn) -> None:
    """Every registration of an earlier version names SMTP alone."""
    offered.identity.script.then("token", wording.SCOPE_INVALID)
    await choose(offered, "graph")
    assert offered.fault == ("permission", {"base": "permission_missing"})
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY


async def test_graph_that_denies_access_is_explained(offered: SignIn, graph: FakeGraph) -> None:
    """The permission may be missing although Microsoft gave a token for it."""
    await choose(offered, "graph")
    graph.answers.extend([ACCESS_DENIED] * 2)
    await permit(offered)
    assert offered.fault == ("permission", {"base": "no_send_permission"})
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY


async def test_token_that_graph_denies_leads_to_the_permission(
    offered: SignIn, graph: FakeGraph
) -> None:
    """Microsoft may give one without a new consent, and then accept nothing with it."""
    offered.identity.consents[ADDRESS] = set(Resource)
    graph.answers.extend([ACCESS_DENIED] * 2)
    await choose(offered, "graph")
    assert offered.fault == ("permission", {"base": "no_send_permission"})
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY


async def test_another_account_is_refused(offered: SignIn, fake_server: FakeServer) -> None:
    """The second code is for the account that was checked."""
    fake_server.add_mailbox(OTHER, PASSWORD)
    await choose(offered, "graph")
    await permit(offered, OTHER)
    assert offered.fault == ("permission", {"base": "wrong_account"})
    assert offered.placeholders["stranger"] == OTHER
    assert offered.placeholders["address"] == ADDRESS
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY
    assert offered.result["title"] == ADDRESS


async def test_unreachable_sign_in_is_an_error(offered: SignIn, identity: Identity) -> None:
    """The code can be requested again."""
    await choose(offered, "graph")
    await asyncio.to_thread(identity.stop)
    await offered.submit({})
    assert offered.fault == ("permission", {"base": "identity_unreachable"})
    identity.start()
    await permit(offered)
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY


async def test_unreachable_graph_can_be_checked_again(offered: SignIn, graph: FakeGraph) -> None:
    """The permission is kept meanwhile, and nothing is saved."""
    await choose(offered, "graph")
    await asyncio.to_thread(graph.stop)
    await permit(offered)
    assert offered.fault == ("retry", {"base": "connection_refused_graph"})
    assert offered.placeholders["port"] == str(graph.port)
    graph.start()
    await offered.submit({})
    assert offered.result["type"] is FlowResultType.CREATE_ENTRY
    assert offered.identity.count("devicecode") == 2


async def test_password_account_signs_in_first(
    hass: HomeAssistant, off: None, identity: Identity
) -> None:
    """Microsoft Graph accepts no password: the one code is for its permission."""
    menu = await hass.config_entries.flow.async_init(
        DOMAIN, context=ConfigFlowContext(source=SOURCE_USER)
    )
    dialog = SignIn(hass, identity, menu)
    await dialog.submit({"next_step_id": "password"})
    await dialog.submit({CONF_ACCOUNT_KIND: "work", "email": ADDRESS, CONF_PASSWORD: PASSWORD})
    assert dialog.result["step_id"] == "smtp_off_mailbox"
    assert dialog.result["menu_options"] == ["graph", "check", "password"]
    await choose(dialog, "graph")
    assert dialog.result["step_id"] == "sign_in_first"
    await choose(dialog, "code")
    assert dialog.fault == ("code", {})
    await dialog.sign_in()
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    data = dialog.result["data"]
    assert (data[CONF_ROUTE], data[CONF_ACCOUNT_KIND]) == ("graph", "personal")
    assert PASSWORD not in data.values()
    assert scopes(identity) == ["https://graph.microsoft.com/Mail.Send"]
