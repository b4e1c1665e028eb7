"""An account is added: described, checked against its server, and only then saved."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
import logging
import socket
import threading
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
    UnknownFlow,
)
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp import routes
from custom_components.outlook_smtp.config_flow import OutlookSmtpConfigFlow
from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_SECURITY,
    DOMAIN,
    SUBENTRY_RECIPIENT,
)
from custom_components.outlook_smtp.delivery.faults import Problem, Stage
from custom_components.outlook_smtp.flows import connection_check
from custom_components.outlook_smtp.foreign_text import quote
from custom_components.outlook_smtp.smtp import probe, route
from custom_components.outlook_smtp.smtp.settings import (
    PORTS,
    SERVERS,
    AccountKind,
    Security,
    Server,
)

from ..conftest import ADDRESS, PASSWORD, until
from ..fake_microsoft import (
    CATALOGUE,
    IMAP_GREETING,
    POP_GREETING,
    Certificate,
    FakeServer,
    Row,
    Script,
    Step,
    blocked_port,
    closed_port,
)

LOCAL = "127.0.0.1"
TYPED = {CONF_ACCOUNT_KIND: "personal", CONF_EMAIL: ADDRESS, CONF_PASSWORD: PASSWORD}

# Where the server stalls, and what the dialog shows meanwhile.
SILENCES = {
    Step.CONNECT: Stage.GREETING,
    Step.GREETING: Stage.GREETING,
    Step.EHLO: Stage.STARTTLS,
    Step.STARTTLS: Stage.CERTIFICATE,
    Step.HANDSHAKE: Stage.CERTIFICATE,
    Step.EHLO_TLS: Stage.CERTIFICATE,
    Step.AUTH: Stage.AUTH,
}
SMTP_OFF = ("smtp_off_personal", "graph", "check", "password")
MENUS = {
    Problem.BASIC_AUTH_DISABLED: ("passwords_refused", "code", "browser", "password"),
    Problem.SMTP_DISABLED_MAILBOX: SMTP_OFF,
    Problem.SMTP_DISABLED_TENANT: SMTP_OFF,
}
AT_THE_PASSWORD = {
    Problem.AUTH_REFUSED,
    Problem.INVALID_CREDENTIALS,
    Problem.PASSWORD_REFUSED,
}


class Dialog:
    """A dialog as in a browser: it reloads the step after each update."""

    def __init__(self, hass: HomeAssistant, result: ConfigFlowResult) -> None:
        """Show the first step."""
        self.result = result
        self.stages: list[str] = []
        # What is submitted when the account works; None stays at that form.
        self.at_the_end: dict[str, Any] | None = {"send_test": False}
        self._hass = hass
        self._flows = hass.config_entries.flow
        self._news: asyncio.Queue[Event] = asyncio.Queue()
        hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, self._hear)

    @callback
    def _hear(self, event: Event) -> None:
        """Receive an update."""
        if event.data["flow_id"] == self.flow_id:
            self._news.put_nowait(event)

    async def submit(self, typed: Mapping[str, Any] = TYPED, /, **changes: Any) -> ConfigFlowResult:
        """Submit a form, and wait for the result."""
        await self.begin(typed, **changes)
        await self.follow()
        # A new entry runs its first check.
        await self._hass.async_block_till_done(wait_background_tasks=True)
        return self.result

    async def begin(self, typed: Mapping[str, Any] = TYPED, /, **changes: Any) -> None:
        """Submit a form."""
        self.result = await self._flows.async_configure(self.flow_id, {**typed, **changes})

    async def submit_server(
        self, port: int, security: str = "starttls", host: str = LOCAL
    ) -> ConfigFlowResult:
        """Submit the server form."""
        return await self.submit({CONF_HOST: host, CONF_PORT: port, CONF_SECURITY: security})

    async def follow(self, until: Stage | None = None) -> None:
        """Follow the check up to a stage, or to its end."""
        while self.result["type"] is FlowResultType.SHOW_PROGRESS:
            stage = self.result["progress_action"]
            if stage not in self.stages[-1:]:
                self.stages.append(stage)
            if stage == until:
                break
            await self._news.get()
            self.result = await self._flows.async_configure(self.flow_id)
        if self.result.get("step_id") == "works" and self.at_the_end is not None:
            self.result = await self._flows.async_configure(self.flow_id, self.at_the_end)

    def close(self) -> None:
        """Close the dialog."""
        self._flows.async_abort(self.flow_id)

    @property
    def flow_id(self) -> str:
        """Return the flow ID."""
        return self.result["flow_id"]

    @property
    def fault(self) -> tuple[str, dict[str, str] | None]:
        """Return the current step and its errors."""
        return self.result["step_id"], self.result["errors"]

    @property
    def placeholders(self) -> Mapping[str, str]:
        """Return the placeholders of the form."""
        return self.result["description_placeholders"] or {}

    @property
    def filled_in(self) -> dict[str, Any]:
        """Return the suggested values of the form."""
        assert self.result["data_schema"]
        return {
            str(field): field.description["suggested_value"]
            for field in self.result["data_schema"].schema
            if field.description
        }


type Open = Callable[[], Awaitable[Dialog]]


@pytest.fixture(autouse=True)
def fresh_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress immediately."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a silent server."""
    monkeypatch.setattr(routes, "DEFAULT_TIMEOUT", 0.5)
    monkeypatch.setattr(probe, "OTHER_PORT_TIMEOUT", 0.5)
    monkeypatch.setattr(probe, "PEEK_TIMEOUT", 0.5)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Resolve hosts under example.com to this machine, one of them slowly, and no others."""
    look_up = socket.getaddrinfo
    late = threading.Event()

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "slow.example.com":
            late.wait()
        if host.endswith(".example.com"):
            host = LOCAL
        if host[0].isalpha():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield
    late.set()


@pytest.fixture
def open_dialog(hass: HomeAssistant, fake_server: FakeServer) -> Open:
    """Return a function that opens a dialog and chooses the password."""

    async def begin() -> Dialog:
        flows = hass.config_entries.flow
        menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
        assert menu["type"] is FlowResultType.MENU
        assert menu["menu_options"] == ["code", "browser", "password"]
        form = await flows.async_configure(menu["flow_id"], {"next_step_id": "password"})
        assert form["type"] is FlowResultType.FORM
        return Dialog(hass, form)

    return begin


@pytest.fixture
async def dialog(open_dialog: Open) -> Dialog:
    """Return a dialog that asks for the account and its password."""
    return await open_dialog()


async def until_left(fake_server: FakeServer) -> None:
    """Wait until a client has connected and disconnected."""
    await until(lambda: fake_server.sessions and not fake_server.open_connections)


async def test_account_is_checked_then_saved(
    hass: HomeAssistant, dialog: Dialog, fake_server: FakeServer
) -> None:
    """The entry is created after a sign-in, with the address as title and unique ID."""
    address = ADDRESS.capitalize()
    result = await dialog.submit(email=f" {address} ")
    assert dialog.stages
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert any("AUTH LOGIN" in line for _, line in fake_server.sessions[0])
    entry = result["result"]
    assert entry.title == address
    assert entry.unique_id == ADDRESS
    assert dict(entry.data) == {
        CONF_ACCOUNT_KIND: "personal",
        CONF_EMAIL: address,
        CONF_PASSWORD: PASSWORD,
        CONF_HOST: LOCAL,
        CONF_PORT: fake_server.port,
        CONF_SECURITY: "starttls",
    }
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get("notify.me_outlook_com")


async def test_recipient_is_offered_next(hass: HomeAssistant, dialog: Dialog) -> None:
    """The dialog continues with the form for a first recipient."""
    result = await dialog.submit()
    kind, flow_id = result["next_flow"]
    assert kind == "config_subentries_flow"
    next_dialog = hass.config_entries.subentries.async_get(flow_id)
    assert next_dialog["handler"] == (result["result"].entry_id, SUBENTRY_RECIPIENT)
    assert next_dialog["step_id"] == "user"


async def test_every_step_works_over_http(
    hass: HomeAssistant, fake_server: FakeServer, hass_client: ClientSessionGenerator
) -> None:
    """Menu, forms, progress and entry work over HTTP, and no response has the password."""
    for component in ("config", DOMAIN):
        assert await async_setup_component(hass, component, {})
    client = await hass_client()
    told = asyncio.Event()
    hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, callback(lambda _: told.set()))

    async def ask(url: str, method: str = "post", **data: Any) -> dict[str, Any]:
        response = await client.request(method, f"/api/config/config_entries/{url}", json=data)
        text = await response.text()
        assert PASSWORD not in text
        answer: dict[str, Any] = await response.json()
        return answer

    step = await ask("flow", handler=DOMAIN)
    flow = f"flow/{step['flow_id']}"
    step = await ask(flow, next_step_id="password")
    assert [field["name"] for field in step["data_schema"]] == list(TYPED)
    step = await ask(flow, **TYPED | {CONF_ACCOUNT_KIND: "other"})
    defaults = {field["name"]: field.get("default") for field in step["data_schema"]}
    server = {CONF_HOST: None, CONF_PORT: None, CONF_SECURITY: "starttls"}
    assert defaults == server | {CONF_USERNAME: None}
    step = await ask(flow, host=LOCAL, port=fake_server.port, security="starttls")
    while step["type"] == "progress":
        await told.wait()
        told.clear()
        step = await ask(flow, "get")
    assert (step["step_id"], step["errors"]) == ("works", {})
    step = await ask(flow, send_test=False)
    assert step["type"] == "create_entry"
    assert step["title"] == ADDRESS


@pytest.mark.parametrize("kind", [AccountKind.PERSONAL, AccountKind.WORK])
async def test_microsoft_accounts_know_their_server(
    dialog: Dialog, monkeypatch: pytest.MonkeyPatch, fake_server: FakeServer, kind: AccountKind
) -> None:
    """The kind of account determines the server; the user need not know it."""
    other = AccountKind.WORK if kind is AccountKind.PERSONAL else AccountKind.PERSONAL
    monkeypatch.setitem(SERVERS, other, Server(LOCAL, closed_port()))
    await dialog.submit(account_kind=other)
    assert dialog.fault == ("password", {"base": "connection_refused"})
    result = await dialog.submit(account_kind=kind)
    assert result["data"][CONF_PORT] == fake_server.port
    assert result["data"][CONF_ACCOUNT_KIND] == kind


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_another_server_has_its_own_form(dialog: Dialog, security: Any) -> None:
    """It asks for host, port and encryption; both TLS modes work."""
    await dialog.submit(account_kind="other")
    assert dialog.fault == ("server", {})
    assert dialog.filled_in == {}
    with FakeServer(security=security) as server:
        server.add_mailbox(ADDRESS, PASSWORD)
        result = await dialog.submit_server(server.port, security, host=f" {LOCAL} ")
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["data"] == TYPED | {
            CONF_ACCOUNT_KIND: "other",
            CONF_HOST: LOCAL,
            CONF_PORT: server.port,
            CONF_SECURITY: security,
        }


async def test_wrong_password_keeps_the_other_server(
    dialog: Dialog, fake_server: FakeServer
) -> None:
    """It asks for the password again, and the server form keeps its values."""
    await dialog.submit(account_kind="other", password="wrong")
    await dialog.submit_server(fake_server.port)
    assert dialog.fault == ("password", {CONF_PASSWORD: "invalid_credentials"})
    assert dialog.filled_in == {CONF_ACCOUNT_KIND: "other", CONF_EMAIL: ADDRESS}
    await dialog.submit(account_kind="other")
    server = {CONF_HOST: LOCAL, CONF_PORT: fake_server.port, CONF_SECURITY: "starttls"}
    assert dialog.filled_in == server
    assert (await dialog.submit(server))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    "address",
    ["", "me", "me@", "@outlook.com", "me@localhost", "a@b.com, c@d.com", "a@b.com\nX"],
)
async def test_malformed_address_is_an_error_at_its_field(dialog: Dialog, address: str) -> None:
    """Nothing is checked, and a typo does not cost the other values, nor the password."""
    await dialog.submit(email=address)
    assert dialog.fault == ("password", {CONF_EMAIL: "invalid_email"})
    assert dialog.filled_in == TYPED | {CONF_EMAIL: address}


@pytest.mark.parametrize(
    "host",
    ["", "https://smtp.example.com", "smtp.example.com:587", "smtp example.com", "[::1]", "1.2.3"],
)
async def test_malformed_host_is_an_error_at_its_field(dialog: Dialog, host: str) -> None:
    """Nothing is checked, and the form keeps its values."""
    await dialog.submit(account_kind="other")
    await dialog.submit_server(465, "tls", host)
    assert dialog.fault == ("server", {CONF_HOST: "invalid_host"})
    assert dialog.filled_in == {CONF_HOST: host, CONF_SECURITY: "tls"}


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.upper()])
async def test_a_mailbox_is_added_once(
    hass: HomeAssistant, dialog: Dialog, entry: MockConfigEntry, address: str
) -> None:
    """A configured address is rejected, even if its account waits for reauthentication."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    result = await dialog.submit(email=address)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_first_of_two_dialogs_wins(
    hass: HomeAssistant, open_dialog: Open, fake_server: FakeServer
) -> None:
    """A forgotten dialog blocks no other; it ends together with its check."""
    left, right = await open_dialog(), await open_dialog()
    fake_server.script_next(Script(stall=Step.AUTH))
    await left.begin()
    await left.follow(until=Stage.AUTH)
    assert (await right.submit())["type"] is FlowResultType.CREATE_ENTRY
    with pytest.raises(UnknownFlow):
        await left.submit()
    await hass.async_block_till_done(wait_background_tasks=True)
    await until_left(fake_server)
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


@pytest.mark.parametrize("step", SILENCES)
async def test_every_stage_is_shown_and_can_be_canceled(
    hass: HomeAssistant, dialog: Dialog, fake_server: FakeServer, step: Step
) -> None:
    """The dialog shows the stages in order; closing it leaves no connection and no task."""
    fake_server.script = Script(stall=step)
    tasks = asyncio.all_tasks()
    await dialog.begin()
    await dialog.follow(until=SILENCES[step])
    assert dialog.placeholders["host"] == LOCAL
    assert dialog.placeholders["port"] == str(fake_server.port)
    assert dialog.stages == sorted(set(dialog.stages), key=[*Stage].index)
    dialog.close()
    await hass.async_block_till_done()
    assert asyncio.all_tasks() <= tasks
    await until_left(fake_server)
    assert not hass.config_entries.async_entries(DOMAIN)


@pytest.mark.parametrize(
    ("stage", "host"), [(Stage.RESOLVE, "slow.example.com"), (Stage.CONNECT, LOCAL)]
)
@pytest.mark.usefixtures("names")
async def test_lookup_and_connection_are_shown_and_can_be_canceled(
    hass: HomeAssistant, dialog: Dialog, monkeypatch: pytest.MonkeyPatch, stage: Stage, host: str
) -> None:
    """DNS lookup and connection are stages, too."""
    tasks = asyncio.all_tasks()
    with blocked_port() as port:
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(host, port))
        await dialog.begin()
        await dialog.follow(until=stage)
        assert dialog.stages[-1] == stage
        dialog.close()
        await hass.async_block_till_done()
        assert asyncio.all_tasks() <= tasks


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("step", SILENCES)
async def test_silence_is_a_timeout(dialog: Dialog, fake_server: FakeServer, step: Step) -> None:
    """A server that stops responding is given up after the timeout."""
    fake_server.script = Script(stall=step)
    await dialog.submit()
    assert dialog.fault == ("password", {"base": "timeout"})
    assert dialog.stages[-1] == SILENCES[step]


@pytest.mark.usefixtures("short_timeouts")
async def test_silent_port_is_blocked(dialog: Dialog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither port responds: the text says so, and names what was tried."""
    monkeypatch.setitem(PORTS, Security.TLS, closed_port())
    with blocked_port() as port:
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        await dialog.submit()
    assert dialog.stages[-1] == "connect"
    assert dialog.fault == ("password", {"base": "port_blocked"})
    assert dialog.placeholders["port"] == str(port)


@pytest.mark.usefixtures("short_timeouts")
async def test_other_port_is_suggested_if_it_responds(
    dialog: Dialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server form suggests the other port, which is then used for this account."""
    with FakeServer(security="tls") as server, blocked_port() as port:
        server.add_mailbox(ADDRESS, PASSWORD)
        monkeypatch.setitem(PORTS, Security.TLS, server.port)
        monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server(LOCAL, port))
        await dialog.submit(password="wrong")
        assert dialog.fault == ("server", {"base": "port_blocked_other_open"})
        assert dialog.placeholders["port"] == str(port)
        assert dialog.placeholders["hint"] == str(server.port)
        offered = {CONF_HOST: LOCAL, CONF_SECURITY: "tls"}
        assert dialog.filled_in == offered  # The port follows.
        await dialog.submit(offered, port=closed_port())
        assert dialog.fault == ("server", {"base": "connection_refused"})
        await dialog.submit(offered)
        assert dialog.fault == ("password", {CONF_PASSWORD: "invalid_credentials"})
        await dialog.submit()
        assert dialog.filled_in == offered
        result = await dialog.submit(offered)
        assert result["data"] == TYPED | offered | {CONF_PORT: server.port}


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        (Certificate.EXPIRED, "certificate_expired"),
        (Certificate.NOT_YET_VALID, "clock_wrong"),
        (Certificate.NO_KEY_IDENTIFIER, "certificate_noncompliant"),
        (Certificate.UNTRUSTED, "certificate_untrusted"),
        (Certificate.WRONG_HOST, "certificate_wrong_host"),
        (Certificate.OLD_TLS, "tls_too_old"),
    ],
)
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_weak_encryption_is_rejected(
    dialog: Dialog, certificate: Certificate, problem: str, security: Any
) -> None:
    """A bad certificate and old TLS have their own texts; the password is never sent."""
    await dialog.submit(account_kind="other")
    with FakeServer(security=security, certificate=certificate) as server:
        await dialog.submit_server(server.port, security)
        assert dialog.fault == ("server", {"base": problem})
        assert not any("AUTH" in line for said in server.sessions for _, line in said)


@pytest.mark.parametrize("greeting", [IMAP_GREETING, POP_GREETING])
@pytest.mark.parametrize(
    ("speaks", "chosen", "host"),
    [
        ("starttls", "starttls", "imap.example.com"),
        ("starttls", "tls", "pop.example.com"),
        ("tls", "tls", LOCAL),
        ("tls", "starttls", LOCAL),
    ],
)
@pytest.mark.usefixtures("short_timeouts", "names")
async def test_mailbox_server_is_recognized(
    dialog: Dialog, greeting: str, speaks: Any, chosen: str, host: str
) -> None:
    """An IMAP or POP server is recognized, and the right host is suggested."""
    await dialog.submit(account_kind="other")
    with FakeServer(security=speaks) as server:
        server.script = Script(greeting=greeting)
        await dialog.submit_server(server.port, chosen, host)
    assert dialog.fault == ("server", {"base": "not_smtp"})
    assert dialog.placeholders["host"] == host
    assert dialog.placeholders["hint"] == {LOCAL: LOCAL}.get(host, "smtp.example.com")


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(("speaks", "chosen"), [("starttls", "tls"), ("tls", "starttls")])
async def test_mismatched_port_and_encryption_are_detected(
    dialog: Dialog, speaks: Any, chosen: str
) -> None:
    """The wrong encryption for a port is detected, both ways."""
    await dialog.submit(account_kind="other")
    with FakeServer(security=speaks) as server:
        await dialog.submit_server(server.port, chosen)
    assert dialog.fault == ("server", {"base": "wrong_security"})


@pytest.mark.usefixtures("names")
async def test_unknown_host_is_an_error_at_its_field(dialog: Dialog) -> None:
    """A host that cannot be resolved is usually a typo."""
    await dialog.submit(account_kind="other")
    await dialog.submit_server(587, host="smtp.nowhere.invalid")
    assert dialog.fault == ("server", {CONF_HOST: "host_not_found"})


@pytest.mark.usefixtures("names")
async def test_default_host_may_be_unreachable(
    dialog: Dialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a host field in the form, the text is shown above it."""
    monkeypatch.setitem(SERVERS, AccountKind.PERSONAL, Server("smtp.nowhere.invalid", 587))
    await dialog.submit()
    assert dialog.fault == ("password", {"base": "host_not_found"})


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (Script(offer_starttls=False), "starttls_not_offered"),
        (Script(auth_offered=("XOAUTH2",)), "mechanism_not_offered"),
        (Script(drop=Step.AUTH), "connection_lost"),
        (Script(replies={Step.GREETING: "421 4.3.2 Service not active"}), "service_unavailable"),
        (Script(replies={Step.EHLO: "554 5.9.9 Go away [Hostname=x.y]"}), "unexpected_reply"),
    ],
)
async def test_other_faults_have_a_text(
    dialog: Dialog, fake_server: FakeServer, script: Script, problem: str
) -> None:
    """Server problems other than a refused sign-in have a text."""
    fake_server.script = script
    await dialog.submit()
    assert dialog.fault == ("password", {"base": problem})


async def test_unknown_reply_is_quoted(dialog: Dialog, fake_server: FakeServer) -> None:
    """An unknown reply is quoted without its trace data."""
    fake_server.script = Script(
        replies={Step.EHLO: "554 5.9.9 Go away [Hostname=x.prod.outlook.com]"}
    )
    await dialog.submit()
    assert dialog.placeholders["reply"] == "554 5.9.9 Go away"


async def test_every_refused_sign_in_has_a_reason(
    open_dialog: Open, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """Each of Microsoft's refusals has a text; the form is shown again without the password.

    If no password would work, the dialog leads to what would work first.
    """
    for row in CATALOGUE:
        if row.step is not Step.AUTH:
            continue
        with subtests.test(row.name):
            dialog = await open_dialog()
            fake_server.mailboxes[ADDRESS].script = Script.for_row(row)
            await dialog.submit()
            await check_refusal(dialog, row)
            fake_server.mailboxes[ADDRESS].script = Script()
            dialog.at_the_end = None
            assert (await dialog.submit())["step_id"] == "works"
            dialog.close()


async def check_refusal(dialog: Dialog, row: Row) -> None:
    """Check the form that is shown after a refusal, and the menu before it."""
    problem = Problem(row.problem)
    if menu := MENUS.get(problem):
        step, *options = menu
        assert dialog.result["step_id"] == step
        assert dialog.result["menu_options"] == options
        assert quote(row.reply).startswith(dialog.placeholders["reply"])
        await dialog.submit({"next_step_id": "password"})
    field = CONF_PASSWORD if problem in AT_THE_PASSWORD else "base"
    assert dialog.fault == ("password", {field: problem})
    assert dialog.filled_in == {CONF_ACCOUNT_KIND: "personal", CONF_EMAIL: ADDRESS}
    assert dialog.placeholders["address"] == ADDRESS
    assert row.reply.startswith(dialog.placeholders["reply"])
    assert "PROD.OUTLOOK.COM" not in dialog.placeholders["reply"]


async def test_unexpected_error_is_logged(
    hass: HomeAssistant,
    dialog: Dialog,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug is not blamed on the user: the dialog says so, and nothing is saved."""

    async def burst(*_: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(route, "probe", burst)
        await dialog.submit()
    assert dialog.fault == ("password", {"base": "unforeseen"})
    assert not hass.config_entries.async_entries(DOMAIN)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert str(record.exc_info[1]) == "a bug"
    assert PASSWORD not in caplog.text
    assert (await dialog.submit())["type"] is FlowResultType.CREATE_ENTRY


async def test_result_waits_until_the_dialog_is_listening(
    hass: HomeAssistant, dialog: Dialog, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dialog that starts listening early still sees the check, however fast it was."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 60)
    await dialog.begin()
    await until_left(fake_server)
    early = await hass.config_entries.flow.async_configure(dialog.flow_id)
    assert early["type"] is FlowResultType.SHOW_PROGRESS
    assert early["progress_action"] == "auth"
    dialog.close()
    await hass.async_block_till_done()
    assert not hass.config_entries.async_entries(DOMAIN)


async def test_integration_has_recipients_and_options(entry: MockConfigEntry) -> None:
    """An account supports recipients and options."""
    assert list(OutlookSmtpConfigFlow.async_get_supported_subentry_types(entry)) == [
        SUBENTRY_RECIPIENT
    ]


async def test_user_name_of_another_server_is_checked(dialog: Dialog) -> None:
    """One that would break the sign-in's line is an error at its field."""
    await dialog.submit(account_kind="other")
    await dialog.submit({CONF_HOST: LOCAL, CONF_SECURITY: "starttls"}, username="me\r\nyou")
    assert dialog.fault == ("server", {"username": "line_break"})
