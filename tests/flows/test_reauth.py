"""An account is signed in again or reconfigured: the same check, and never another mailbox."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState, ConfigFlowResult
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import account as building
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_SECURITY
from custom_components.outlook_smtp.flows import connection_check
from custom_components.outlook_smtp.smtp.account import (
    PORTS,
    SERVERS,
    Account,
    AccountKind,
    Security,
    Server,
)

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import FakeServer, Script, Step, blocked_port, closed_port
from .test_config_flow import LOCAL, TYPED, Dialog

type Start = Callable[[HomeAssistant, MockConfigEntry], Awaitable[Repair]]

REAUTH = {CONF_EMAIL: ADDRESS, CONF_PASSWORD: PASSWORD}


@pytest.fixture(autouse=True)
def fresh_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show news at once."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)


class Repair(Dialog):
    """A dialog that signs an account in again or changes it: its form and how it ends."""

    def __init__(self, hass: HomeAssistant, result: ConfigFlowResult) -> None:
        """Note which of the two it is."""
        super().__init__(hass, result)
        self.step = result["step_id"]
        reauth = self.step == "reauth_confirm"
        self.typed = REAUTH if reauth else TYPED
        self.end = "reauth_successful" if reauth else "reconfigure_successful"

    def assert_done(self) -> None:
        """The dialog ended well."""
        assert self.result["type"] is FlowResultType.ABORT
        assert self.result["reason"] == self.end


async def reauth(hass: HomeAssistant, entry: MockConfigEntry) -> Repair:
    """Open the dialog that asks for the password anew."""
    return Repair(hass, await entry.start_reauth_flow(hass))


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> Repair:
    """Open the dialog that changes the account, and choose to change the password."""
    menu = await entry.start_reconfigure_flow(hass)
    assert menu["type"] is FlowResultType.MENU
    assert menu["menu_options"] == ["code", "browser", "change_password", "server"]
    choice = {"next_step_id": "change_password"}
    return Repair(hass, await hass.config_entries.flow.async_configure(menu["flow_id"], choice))


both = pytest.mark.parametrize("start", [reauth, reconfigure])


@pytest.fixture
async def repair(hass: HomeAssistant, account: MockConfigEntry, start: Start) -> Repair:
    """Return one of the two dialogs."""
    return await start(hass, account)


@both
@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.upper()])
async def test_a_new_password_is_checked_then_kept(
    hass: HomeAssistant,
    account: MockConfigEntry,
    repair: Repair,
    fake_server: FakeServer,
    address: str,
) -> None:
    """The account starts over with it and keeps its address, data and entities."""
    registry = er.async_get(hass).entities
    entities = registry.get_entries_for_config_entry_id(account.entry_id)
    runtime, data = account.runtime_data, dict(account.data)
    fake_server.mailboxes[ADDRESS].password = "new-password"
    assert repair.fault == (repair.step, {})
    assert repair.filled_in.items() <= repair.typed.items()
    assert CONF_PASSWORD not in repair.filled_in
    await repair.submit(repair.typed, password="new-password", email=address)
    repair.assert_done()
    assert account.data == data | {CONF_PASSWORD: "new-password"}
    assert account.state is ConfigEntryState.LOADED
    assert account.runtime_data is not runtime
    assert account.runtime_data.coordinator.data.connected is True
    assert registry.get_entries_for_config_entry_id(account.entry_id) == entities


@both
async def test_a_password_that_holds_again_brings_the_account_back(
    account: MockConfigEntry, repair: Repair, fake_server: FakeServer
) -> None:
    """Nothing changed but the server's mind, and yet the sensor is right at once."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: "535 5.7.3 No"})
    await account.runtime_data.coordinator.async_refresh()
    assert account.runtime_data.coordinator.data.connected is False
    fake_server.mailboxes[ADDRESS].script = Script()
    await repair.submit(repair.typed)
    repair.assert_done()
    assert account.runtime_data.coordinator.data.connected is True


@both
async def test_a_wrong_password_is_not_kept(account: MockConfigEntry, repair: Repair) -> None:
    """The form comes back with the error at the password, until it is right."""
    data = dict(account.data)
    await repair.submit(repair.typed, password="wrong")
    assert repair.fault == (repair.step, {CONF_PASSWORD: "invalid_credentials"})
    assert CONF_PASSWORD not in repair.filled_in
    assert account.data == data
    await repair.submit(repair.typed)
    repair.assert_done()


@both
@pytest.mark.parametrize(
    ("address", "error"), [("other@outlook.com", "wrong_mailbox"), ("me@", "invalid_email")]
)
async def test_another_mailbox_is_refused(
    repair: Repair, fake_server: FakeServer, address: str, error: str
) -> None:
    """An account stays the account of its mailbox, even if the other one could sign in."""
    fake_server.add_mailbox("other@outlook.com", PASSWORD)
    connections = fake_server.connections
    await repair.submit(repair.typed, email=address)
    assert repair.fault == (repair.step, {CONF_EMAIL: error})
    assert repair.filled_in[CONF_EMAIL] == address
    assert fake_server.connections == connections


@both
async def test_a_blocked_port_can_be_left_for_the_other(
    hass: HomeAssistant, entry: MockConfigEntry, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the text promises is there: the server's form, filled in with the port that answers."""
    with FakeServer(security="tls") as server, blocked_port() as port:
        server.add_mailbox(ADDRESS, PASSWORD)
        monkeypatch.setattr(building, "DEFAULT_TIMEOUT", 0.5)
        monkeypatch.setitem(PORTS, Security.TLS, server.port)
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: port})
        repair = await start(hass, entry)
        await repair.submit(repair.typed)
        assert repair.fault == ("server", {"base": "port_blocked_other_open"})
        offered = {CONF_HOST: LOCAL, CONF_PORT: server.port, CONF_SECURITY: "tls"}
        assert repair.filled_in == offered
        await repair.submit(offered)
        repair.assert_done()
        assert entry.data == TYPED | offered


async def test_the_password_can_be_left_as_it_is(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """Left blank it is the saved one, whatever was tried before."""
    blank = {key: value for key, value in TYPED.items() if key != CONF_PASSWORD}
    repair = await reconfigure(hass, account)
    await repair.submit(password="wrong")
    assert repair.fault == ("change_password", {CONF_PASSWORD: "invalid_credentials"})
    await repair.submit(blank, account_kind="work")
    repair.assert_done()
    assert account.data[CONF_PASSWORD] == PASSWORD
    assert account.data[CONF_ACCOUNT_KIND] == "work"


async def test_an_empty_password_is_a_blank_one(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """A client that sends the empty field means the same."""
    repair = await reconfigure(hass, account)
    await repair.submit(password="")
    repair.assert_done()
    assert account.data[CONF_PASSWORD] == PASSWORD


@pytest.mark.parametrize("kind", ["work", "personal"])
async def test_the_account_can_move_to_another_server_and_back(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, kind: str
) -> None:
    """Another kind of account brings another server; what was typed of it is checked."""
    repair = await reconfigure(hass, account)
    await repair.submit(account_kind="other")
    usual = {CONF_HOST: LOCAL, CONF_PORT: fake_server.port, CONF_SECURITY: "starttls"}
    assert repair.fault == ("server", {})
    assert repair.filled_in == usual
    with FakeServer(security="tls") as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        own = {CONF_HOST: LOCAL, CONF_PORT: server.port, CONF_SECURITY: "tls"}
        await repair.submit(own, port=closed_port())
        assert repair.fault == ("server", {"base": "connection_refused"})
        await repair.submit(own)
        repair.assert_done()
        assert account.data == TYPED | own | {CONF_ACCOUNT_KIND: "other"}
        back = await reconfigure(hass, account)
        assert back.filled_in[CONF_ACCOUNT_KIND] == "other"
        await back.submit(account_kind=kind)
        back.assert_done()
        assert account.data == TYPED | usual | {CONF_ACCOUNT_KIND: kind}


async def test_an_unusual_port_can_be_changed_back(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The server's form is shown where the server is not the usual one of the account's kind."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: closed_port()})
    repair = await reconfigure(hass, entry)
    await repair.submit()
    assert repair.fault == ("server", {})
    await repair.submit_server(fake_server.port)
    repair.assert_done()
    assert entry.data[CONF_PORT] == fake_server.port


async def test_a_refused_sign_in_asks_for_the_password(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The dialog that opens by itself names the mailbox and takes the new password."""
    fake_server.mailboxes[ADDRESS].password = "new-password"
    await account.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    repair = Repair(hass, await hass.config_entries.flow.async_configure(flow["flow_id"]))
    assert repair.placeholders["address"] == ADDRESS
    await repair.submit(REAUTH, password="new-password")
    repair.assert_done()


@pytest.mark.parametrize("options", [{}, {"timeout": 17}])
async def test_the_check_waits_as_long_as_the_options_say(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    """The time-out of the options holds for the dialog too."""
    hass.config_entries.async_update_entry(entry, options=options)
    seen: list[float] = []

    async def watch(checked: Account, _: Any) -> None:
        seen.append(checked.timeout)

    monkeypatch.setattr(connection_check, "probe", watch)
    repair = await reauth(hass, entry)
    await repair.submit(REAUTH)
    assert seen == [options.get("timeout", 30)]
