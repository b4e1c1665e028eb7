"""Reauthentication and reconfiguration: the same check, and never another mailbox."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState, ConfigFlowResult
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import routes as building
from custom_components.outlook_smtp.const import CONF_ACCOUNT_KIND, CONF_SECURITY
from custom_components.outlook_smtp.flows import connection_check
from custom_components.outlook_smtp.smtp import route
from custom_components.outlook_smtp.smtp.probe import Report, probe
from custom_components.outlook_smtp.smtp.settings import (
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
    """Show progress immediately."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)


class Repair(Dialog):
    """A reauthentication or reconfiguration: its form and its result."""

    def __init__(self, hass: HomeAssistant, result: ConfigFlowResult) -> None:
        """Store which of the two it is."""
        super().__init__(hass, result)
        self.step = result["step_id"]
        reauth = self.step == "reauth_confirm"
        self.typed = REAUTH if reauth else TYPED
        self.end = "reauth_successful" if reauth else "reconfigure_successful"

    def assert_done(self) -> None:
        """Check that the dialog succeeded."""
        assert self.result["type"] is FlowResultType.ABORT
        assert self.result["reason"] == self.end


async def reauth(hass: HomeAssistant, entry: MockConfigEntry) -> Repair:
    """Open the dialog that asks for the password again."""
    return Repair(hass, await entry.start_reauth_flow(hass))


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> Repair:
    """Open the reconfiguration dialog, and choose to change the password."""
    menu = await entry.start_reconfigure_flow(hass)
    assert menu["type"] is FlowResultType.MENU
    graph = [] if entry.data[CONF_ACCOUNT_KIND] == "other" else ["graph"]
    assert menu["menu_options"] == ["code", "browser", *graph, "change_password", "server"]
    choice = {"next_step_id": "change_password"}
    return Repair(hass, await hass.config_entries.flow.async_configure(menu["flow_id"], choice))


both = pytest.mark.parametrize("start", [reauth, reconfigure])


@pytest.fixture
async def repair(hass: HomeAssistant, account: MockConfigEntry, start: Start) -> Repair:
    """Return one of the two dialogs."""
    return await start(hass, account)


@both
@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.upper()])
async def test_new_password_is_checked_then_saved(
    hass: HomeAssistant,
    account: MockConfigEntry,
    repair: Repair,
    fake_server: FakeServer,
    address: str,
) -> None:
    """The account reloads with it and keeps its address, data and entities."""
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
async def test_password_that_works_again_restores_the_account(
    account: MockConfigEntry, repair: Repair, fake_server: FakeServer
) -> None:
    """Only the server has changed, and yet the sensor is right at once."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: "535 5.7.3 No"})
    await account.runtime_data.coordinator.async_refresh()
    assert account.runtime_data.coordinator.data.connected is False
    fake_server.mailboxes[ADDRESS].script = Script()
    await repair.submit(repair.typed)
    repair.assert_done()
    assert account.runtime_data.coordinator.data.connected is True


@both
async def test_wrong_password_is_not_saved(account: MockConfigEntry, repair: Repair) -> None:
    """The form shows the error at the password, until it is right."""
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
async def test_another_mailbox_is_rejected(
    repair: Repair, fake_server: FakeServer, address: str, error: str
) -> None:
    """An account keeps its mailbox, even if the other one could sign in."""
    fake_server.add_mailbox("other@outlook.com", PASSWORD)
    connections = fake_server.connections
    await repair.submit(repair.typed, email=address)
    assert repair.fault == (repair.step, {CONF_EMAIL: error})
    assert repair.filled_in[CONF_EMAIL] == address
    assert fake_server.connections == connections


@both
async def test_blocked_port_can_be_replaced(
    hass: HomeAssistant, entry: MockConfigEntry, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text keeps its promise: the server form suggests the port that responds."""
    with FakeServer(security="tls") as server, blocked_port() as port:
        server.add_mailbox(ADDRESS, PASSWORD)
        monkeypatch.setattr(building, "DEFAULT_TIMEOUT", 0.5)
        monkeypatch.setitem(PORTS, Security.TLS, server.port)
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: port})
        repair = await start(hass, entry)
        await repair.submit(repair.typed)
        assert repair.fault == ("server", {"base": "port_blocked_other_open"})
        offered = {CONF_HOST: LOCAL, CONF_SECURITY: "tls"}
        assert repair.filled_in == offered  # The port follows.
        await repair.submit(offered)
        repair.assert_done()
        assert entry.data == TYPED | offered | {CONF_PORT: server.port}


async def test_password_can_be_left_unchanged(
    hass: HomeAssistant, account: MockConfigEntry
) -> None:
    """If left blank, the saved password is used, whatever was tried before."""
    blank = {key: value for key, value in TYPED.items() if key != CONF_PASSWORD}
    repair = await reconfigure(hass, account)
    await repair.submit(password="wrong")
    assert repair.fault == ("change_password", {CONF_PASSWORD: "invalid_credentials"})
    await repair.submit(blank, account_kind="work")
    repair.assert_done()
    assert account.data[CONF_PASSWORD] == PASSWORD
    assert account.data[CONF_ACCOUNT_KIND] == "work"


async def test_empty_password_is_unchanged(hass: HomeAssistant, account: MockConfigEntry) -> None:
    """A client that sends the empty field means the same."""
    repair = await reconfigure(hass, account)
    await repair.submit(password="")
    repair.assert_done()
    assert account.data[CONF_PASSWORD] == PASSWORD


@pytest.mark.parametrize("kind", ["work", "personal"])
async def test_account_can_move_to_another_server_and_back(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, kind: str
) -> None:
    """Another kind of account implies another server; its form is validated."""
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


async def test_unusual_port_can_be_changed_back(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The server form is shown if the server is not the default for the kind of account."""
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_PORT: closed_port()})
    repair = await reconfigure(hass, entry)
    await repair.submit()
    assert repair.fault == ("server", {})
    await repair.submit_server(fake_server.port)
    repair.assert_done()
    assert entry.data[CONF_PORT] == fake_server.port


async def test_refused_sign_in_asks_for_the_password(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The reauthentication names the mailbox and accepts the new password."""
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
async def test_check_uses_the_timeout_of_the_options(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    """The timeout in the options applies to the dialog, too."""
    hass.config_entries.async_update_entry(entry, options=options)
    seen: list[float] = []

    async def watch(checked: Account, on_stage: Any) -> Report:
        seen.append(checked.timeout)
        return await probe(checked, on_stage)

    monkeypatch.setattr(route, "probe", watch)
    repair = await reauth(hass, entry)
    await repair.begin(REAUTH)
    await repair.follow()
    assert seen == [options.get("timeout", 30)]
