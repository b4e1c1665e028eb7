"""An account is signed in again or reconfigured: the same check, and never another mailbox."""

from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import account as account_module, staged_check
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_SECURITY
from custom_components.outlook_smtp.smtp import probe
from custom_components.outlook_smtp.smtp.account import (
    PORTS,
    SERVERS,
    AccountKind,
    Security,
    Server,
)

from .conftest import ADDRESS, PASSWORD
from .standin import Script, StandIn, Step, blocked_port, closed_port
from .test_config_flow import LOCAL, TYPED, Dialog

REAUTH = {CONF_EMAIL: ADDRESS, CONF_PASSWORD: PASSWORD}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show news at once, and do not wait long for a server that is silent."""
    monkeypatch.setattr(staged_check, "NEWS_INTERVAL", 0)
    monkeypatch.setattr(account_module, "DEFAULT_TIMEOUT", 0.4)
    monkeypatch.setattr(probe, "OTHER_PORT_TIMEOUT", 0.4)


@pytest.fixture
async def reauth(hass: HomeAssistant, account: MockConfigEntry) -> Dialog:
    """Return the dialog that asks for the password anew."""
    return Dialog(hass, await account.start_reauth_flow(hass))


@pytest.fixture
async def reconfigure(hass: HomeAssistant, account: MockConfigEntry) -> Dialog:
    """Return the dialog that changes the account."""
    return Dialog(hass, await account.start_reconfigure_flow(hass))


@pytest.fixture(params=["reauth_confirm", "reconfigure"])
def step(request: pytest.FixtureRequest) -> str:
    """Return which of the two dialogs it is, by its step."""
    name: str = request.param
    return name


@pytest.fixture
def typed(step: str) -> dict[str, str]:
    """Return what the dialog wants to know."""
    return REAUTH if step == "reauth_confirm" else TYPED


@pytest.fixture
def dialog(request: pytest.FixtureRequest, step: str) -> Dialog:
    """Return the dialog."""
    dialog: Dialog = request.getfixturevalue(step.removesuffix("_confirm"))
    return dialog


def assert_done(dialog: Dialog, step: str) -> None:
    """The dialog ended well."""
    assert dialog.result["type"] is FlowResultType.ABORT
    assert dialog.result["reason"] == f"{step.removesuffix('_confirm')}_successful"


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.upper()])
async def test_a_new_password_is_checked_then_kept(
    hass: HomeAssistant,
    account: MockConfigEntry,
    dialog: Dialog,
    step: str,
    typed: dict[str, str],
    standin: StandIn,
    address: str,
) -> None:
    """The account starts over with it and keeps its address, data and entities."""
    entities = er.async_get(hass).entities.get_entries_for_config_entry_id(account.entry_id)
    runtime, data = account.runtime_data, dict(account.data)
    standin.mailboxes[ADDRESS].password = "new-password"
    assert dialog.fault == (step, {})
    assert dialog.filled_in == {key: value for key, value in typed.items() if key != CONF_PASSWORD}
    await dialog.submit(typed, password="new-password", email=address)
    assert_done(dialog, step)
    assert account.data == data | {CONF_PASSWORD: "new-password"}
    assert account.state is ConfigEntryState.LOADED
    assert account.runtime_data is not runtime
    assert account.runtime_data.data.connected is True
    assert er.async_get(hass).entities.get_entries_for_config_entry_id(account.entry_id) == entities


async def test_a_password_that_holds_again_brings_the_account_back(
    hass: HomeAssistant,
    account: MockConfigEntry,
    dialog: Dialog,
    step: str,
    typed: dict[str, str],
    standin: StandIn,
) -> None:
    """Nothing changed but the server's mind, and yet the sensor is right at once."""
    standin.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: "535 5.7.3 No"})
    await account.runtime_data.async_refresh()
    assert account.runtime_data.data.connected is False
    standin.mailboxes[ADDRESS].script = Script()
    await dialog.submit(typed)
    assert_done(dialog, step)
    assert account.runtime_data.data.connected is True


async def test_a_wrong_password_is_not_kept(
    account: MockConfigEntry, dialog: Dialog, step: str, typed: dict[str, str]
) -> None:
    """The form comes back with the error at the password, until it is right."""
    data = dict(account.data)
    await dialog.submit(typed, password="wrong")
    assert dialog.fault == (step, {CONF_PASSWORD: "invalid_credentials"})
    assert CONF_PASSWORD not in dialog.filled_in
    assert account.data == data
    await dialog.submit(typed)
    assert_done(dialog, step)


@pytest.mark.parametrize(
    ("address", "error"), [("other@outlook.com", "wrong_mailbox"), ("me@", "invalid_email")]
)
async def test_another_mailbox_is_refused(
    dialog: Dialog,
    step: str,
    typed: dict[str, str],
    standin: StandIn,
    address: str,
    error: str,
) -> None:
    """An account stays the account of its mailbox, even if the other one could sign in."""
    standin.add_mailbox("other@outlook.com", PASSWORD)
    connections = standin.connections
    await dialog.submit(typed, email=address)
    assert dialog.fault == (step, {CONF_EMAIL: error})
    assert dialog.filled_in[CONF_EMAIL] == address
    assert standin.connections == connections


async def test_a_blocked_port_can_be_left_for_the_other(
    account: MockConfigEntry,
    dialog: Dialog,
    step: str,
    typed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    hass: HomeAssistant,
) -> None:
    """What the text promises is there: the server's form, filled in with the port that answers."""
    with StandIn(security="tls") as server, blocked_port() as port:
        server.add_mailbox(ADDRESS, PASSWORD)
        monkeypatch.setitem(PORTS, Security.TLS, server.port)
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        hass.config_entries.async_update_entry(account, data={**account.data, CONF_PORT: port})
        dialog.close()
        start = account.start_reauth_flow if "reauth" in step else account.start_reconfigure_flow
        dialog = Dialog(hass, await start(hass))
        await dialog.submit(typed)
        assert dialog.fault == ("server", {"base": "port_blocked_other_open"})
        offered = {CONF_HOST: LOCAL, CONF_PORT: server.port, CONF_SECURITY: "tls"}
        assert dialog.filled_in == offered
        await dialog.submit(offered)
        assert_done(dialog, step)
        assert account.data == TYPED | offered


@pytest.mark.usefixtures("account")
async def test_the_password_can_be_left_as_it_is(
    account: MockConfigEntry, reconfigure: Dialog
) -> None:
    """Left blank it is the saved one, whatever was tried before."""
    blank = {key: value for key, value in TYPED.items() if key != CONF_PASSWORD}
    await reconfigure.submit(password="wrong")
    assert reconfigure.fault == ("reconfigure", {CONF_PASSWORD: "invalid_credentials"})
    await reconfigure.submit(blank, account_kind="work")
    assert_done(reconfigure, "reconfigure")
    assert account.data[CONF_PASSWORD] == PASSWORD
    assert account.data[CONF_ACCOUNT_KIND] == "work"


async def test_an_empty_password_is_a_blank_one(
    account: MockConfigEntry, reconfigure: Dialog
) -> None:
    """A client that sends the empty field means the same."""
    await reconfigure.submit(password="")
    assert_done(reconfigure, "reconfigure")
    assert account.data[CONF_PASSWORD] == PASSWORD


@pytest.mark.parametrize("kind", ["work", "personal"])
async def test_the_account_can_move_to_another_server_and_back(
    hass: HomeAssistant, account: MockConfigEntry, reconfigure: Dialog, standin: StandIn, kind: str
) -> None:
    """Another kind of account brings another server; what was typed of it is checked."""
    await reconfigure.submit(account_kind="other")
    usual = {CONF_HOST: LOCAL, CONF_PORT: standin.port, CONF_SECURITY: "starttls"}
    assert reconfigure.fault == ("server", {})
    assert reconfigure.filled_in == usual
    with StandIn(security="tls") as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        own = {CONF_HOST: LOCAL, CONF_PORT: server.port, CONF_SECURITY: "tls"}
        await reconfigure.submit(own, port=closed_port())
        assert reconfigure.fault == ("server", {"base": "connection_refused"})
        await reconfigure.submit(own)
        assert_done(reconfigure, "reconfigure")
        assert account.data == TYPED | own | {CONF_ACCOUNT_KIND: "other"}
        back = Dialog(hass, await account.start_reconfigure_flow(hass))
        assert back.filled_in[CONF_ACCOUNT_KIND] == "other"
        await back.submit(account_kind=kind)
        assert_done(back, "reconfigure")
        assert account.data == TYPED | usual | {CONF_ACCOUNT_KIND: kind}


async def test_an_unusual_port_can_be_changed_back(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """The server's form is shown where the server is not the usual one of the account's kind."""
    hass.config_entries.async_update_entry(account, data={**account.data, CONF_PORT: closed_port()})
    dialog = Dialog(hass, await account.start_reconfigure_flow(hass))
    await dialog.submit()
    assert dialog.fault == ("server", {})
    await dialog.submit_server(standin.port)
    assert_done(dialog, "reconfigure")


async def test_the_server_s_refusal_asks_for_the_password(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """The dialog that the health opens by itself names the mailbox and takes the new password."""
    standin.mailboxes[ADDRESS].password = "new-password"
    await account.runtime_data.async_refresh()
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    dialog = Dialog(hass, await hass.config_entries.flow.async_configure(flow["flow_id"]))
    assert dialog.placeholders["address"] == ADDRESS
    await dialog.submit(REAUTH, password="new-password")
    assert_done(dialog, "reauth_confirm")


@pytest.mark.parametrize("options", [{}, {"timeout": 17}])
async def test_the_check_waits_as_long_as_the_options_say(
    hass: HomeAssistant,
    account: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    """The time-out of the options holds for the dialog too."""
    hass.config_entries.async_update_entry(account, options=options)
    seen: list[float] = []

    async def watch(checked: account_module.Account, _: Any) -> None:
        seen.append(checked.timeout)

    monkeypatch.setattr(staged_check, "probe", watch)
    dialog = Dialog(hass, await account.start_reauth_flow(hass))
    await dialog.submit(REAUTH)
    assert seen == [options.get("timeout", 0.4)]
