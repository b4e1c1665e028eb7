"""Sign-in with a code: shown, polled for, checked against the server, then saved."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import json
from pathlib import Path
import re
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.const import CONF_CLIENT_ID, CONF_HOST, CONF_PORT, CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, section
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp.auth import device_code
from custom_components.outlook_smtp.const import (
    CONF_ACCOUNT_KIND,
    CONF_CLOUD,
    CONF_SECURITY,
    CONF_TENANT,
    DOMAIN,
)
from custom_components.outlook_smtp.delivery.faults import Stage
from custom_components.outlook_smtp.flows import connection_check, sign_in

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import (
    CATALOGUE,
    FakeServer,
    Identity,
    Misstep,
    identity_script as script,
    identity_wording as wording,
)
from .test_config_flow import LOCAL, Dialog

WORKER = "me@contoso.example"
ROWS = {row.name: row for row in CATALOGUE}

type Open = Callable[[], Awaitable[SignIn]]


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress immediately, and poll without pauses."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(sign_in, "PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(device_code, "SLOW_DOWN", 0.01)
    monkeypatch.setattr(device_code, "LONGEST_PAUSE", 0.02)


def polls() -> list[asyncio.Task[Any]]:
    """Return the active polling tasks."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "sign-in"]


class SignIn(Dialog):
    """A dialog in which a person signs in."""

    def __init__(self, hass: HomeAssistant, identity: Identity, result: ConfigFlowResult) -> None:
        """Show the first step to a person who has an app registration."""
        super().__init__(hass, result)
        self.identity = identity

    async def submit(self, typed: Mapping[str, Any] = {}, /, **changes: Any) -> ConfigFlowResult:
        """Submit a form, and wait for the result while polling continues."""
        await self.begin(typed, **changes)
        return await self.finish()

    @override
    async def follow(self, until: Stage | None = None) -> None:
        """Follow the dialog, unless it waits for a person to enter the code."""
        waits = self.result.get("progress_action") == "wait_for_sign_in"
        if not (waits and self.placeholders["code"] in self.identity.user_codes):
            await super().follow(until)

    async def finish(self) -> ConfigFlowResult:
        """Wait for the result of the dialog."""
        await self.follow()
        if self.result["type"] in (FlowResultType.CREATE_ENTRY, FlowResultType.ABORT):
            # The account runs its first check.
            await self._hass.async_block_till_done(wait_background_tasks=True)
        return self.result

    async def ask(self, client_id: str = "", tenant: str = "common") -> str:
        """Submit the app registration, and return the code that is shown."""
        typed = {CONF_CLIENT_ID: client_id or self.identity.client_id}
        await self.begin(typed, advanced={CONF_TENANT: tenant})
        return self.placeholders.get("code", "")

    async def sign_in(self, address: str = ADDRESS) -> ConfigFlowResult:
        """Go through the whole sign-in with a code."""
        self.identity.approve(await self.ask(), address)
        return await self.submit({})

    @property
    def tenant(self) -> str:
        """Return the suggested tenant: none if every kind of account may sign in."""
        field, cloud = self.advanced.schema.schema
        assert (field, cloud) == (CONF_TENANT, CONF_CLOUD)
        return str(field.description["suggested_value"]) if field.description else ""

    @property
    def advanced(self) -> section:
        """Return the section of the tenant and the cloud."""
        assert self.result["data_schema"]
        advanced: section = self.result["data_schema"].schema["advanced"]
        return advanced

    @property
    def is_open(self) -> bool:
        """Return whether the section is open, because the error is in it."""
        return not self.advanced.options["collapsed"]


@pytest.fixture
def open_dialog(hass: HomeAssistant, identity: Identity) -> Open:
    """Return a function that opens a dialog and chooses the sign-in with a code."""

    async def begin() -> SignIn:
        flows = hass.config_entries.flow
        menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
        form = await flows.async_configure(menu["flow_id"], {"next_step_id": "code"})
        return SignIn(hass, identity, form)

    return begin


@pytest.fixture
async def dialog(open_dialog: Open) -> SignIn:
    """Return a dialog that asks for the app registration."""
    return await open_dialog()


@pytest.mark.parametrize(
    ("address", "kind", "alias"),
    [(ADDRESS, "personal", "Alias@Outlook.com"), ("Me@Contoso.example", "work", WORKER)],
)
async def test_code_is_sufficient(
    dialog: SignIn, fake_server: FakeServer, address: str, kind: str, alias: str
) -> None:
    """The code and the page are shown, and the account is created automatically."""
    identity = dialog.identity
    fake_server.add_mailbox(address, PASSWORD, aliases=(alias,))
    assert dialog.fault == ("code", {})
    assert (dialog.tenant, dialog.is_open) == ("", False)
    assert dialog.placeholders["docs_url"].startswith("https://")
    code = await dialog.ask(tenant="")
    assert dialog.result["progress_action"] == "wait_for_sign_in"
    page = f"{identity.authority}/device"
    assert (dialog.placeholders["code"], dialog.placeholders["url"]) == (code, page)
    assert identity.user_codes == [code]
    assert f'<a href="{page}">' in dialog.placeholders["page"]
    assert f"<h1>{code}</h1>" in dialog.placeholders["large_code"]
    assert "data:image/png;base64," in dialog.placeholders["qr_code"]
    identity.approve(code, alias)
    result = await dialog.finish()
    assert dialog.stages[0] == "wait_for_sign_in"
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert (entry.title, entry.unique_id) == (address, address.lower())
    assert {**entry.data, CONF_TOKEN: sorted(entry.data[CONF_TOKEN])} == {
        CONF_ACCOUNT_KIND: kind,
        CONF_CLIENT_ID: identity.client_id,
        "email": address,
        CONF_HOST: LOCAL,
        CONF_PORT: fake_server.port,
        CONF_SECURITY: "starttls",
        CONF_TENANT: "common",
        CONF_TOKEN: ["access_token", "expires_at", "obtained_at", "refresh_token", "resource"],
    }
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data.coordinator.data.connected
    assert all(any("AUTH XOAUTH2" in line for _, line in each) for each in fake_server.sessions)
    assert not polls()


async def test_recipient_is_offered_next(dialog: SignIn) -> None:
    """The dialog continues with the form for a first recipient."""
    assert (await dialog.sign_in())["next_flow"][0] == "config_subentries_flow"


async def test_tenant_is_used_and_saved(dialog: SignIn, identity: Identity) -> None:
    """The tenant is part of every request, and saved."""
    code = await dialog.ask(f" {identity.client_id.upper()} ", " Consumers ")
    identity.approve(code, ADDRESS)
    result = await dialog.submit({})
    assert {request.tenant for request in identity.requests} == {"consumers"}
    assert result["data"][CONF_TENANT] == "consumers"
    assert result["data"][CONF_CLIENT_ID] == identity.client_id


async def test_built_in_client_id_is_not_asked_for(
    dialog: SignIn, open_dialog: Open, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a built-in client ID, the form only asks for the tenant."""
    monkeypatch.setattr(sign_in, "DEFAULT_CLIENT_ID", identity.client_id)
    dialog = await open_dialog()
    assert dialog.result["data_schema"]
    assert list(dialog.result["data_schema"].schema) == ["advanced"]
    await dialog.begin({"advanced": {CONF_TENANT: "common"}})
    identity.approve(dialog.placeholders["code"], ADDRESS)
    result = await dialog.submit({})
    assert result["data"][CONF_CLIENT_ID] == identity.client_id


@pytest.mark.parametrize(
    ("client_id", "tenant", "errors"),
    [
        ("", "common", {CONF_CLIENT_ID: "invalid_client_id"}),
        ("my app", "common", {CONF_CLIENT_ID: "invalid_client_id"}),
        ("7b1f6a0c-52f3-4c1e-9d1a-6f0a3c2b8e45", "../x", {"base": "invalid_tenant"}),
    ],
)
async def test_typos_are_reported_immediately(
    dialog: SignIn, identity: Identity, client_id: str, tenant: str, errors: dict[str, str]
) -> None:
    """Invalid input does not cause a request for a code."""
    await dialog.submit({CONF_CLIENT_ID: client_id, "advanced": {CONF_TENANT: tenant}})
    assert dialog.fault == ("code", errors)
    assert dialog.filled_in == ({CONF_CLIENT_ID: client_id} if client_id else {})
    assert (dialog.tenant, dialog.is_open) == (("../x", True) if "base" in errors else ("", False))
    assert not identity.requests


UNUSABLE: Final[tuple[tuple[Misstep | wording.Refusal, str, str], ...]] = (
    (wording.DECLINED, "sign_in_declined", "denied the authorization"),
    (wording.DENIED, "sign_in_declined", "AADSTS65004"),
    (wording.CODE_EXPIRED, "code_expired", "AADSTS70020"),
    (wording.BAD_CODE, "code_expired", "AADSTS70018"),
    (wording.SECRET_MISSING, "public_client_off", "AADSTS7000218"),
    (wording.CONSENT_REQUIRED, "consent_required", "AADSTS65001"),
    (wording.WRONG_KIND, "account_type_refused", "AADSTS50020"),
    (script.NO_SEND_SCOPE, "no_send_permission", "-"),
    (script.NO_REFRESH_TOKEN, "no_refresh_token", "-"),
    (script.NO_ID_TOKEN, "no_address", "-"),
    (script.NO_ADDRESS, "no_address", "-"),
    (Misstep(without=("access_token",)), "unexpected_answer", "no access_token"),
)


async def test_unusable_sign_in_is_explained(
    hass: HomeAssistant, open_dialog: Open, subtests: pytest.Subtests
) -> None:
    """Each failure has a text, and the form is shown again to request another code."""
    for misstep, error, words in UNUSABLE:
        with subtests.test(f"{error}: {words}"):
            dialog = await open_dialog()
            dialog.identity.script.then("token", misstep)
            await dialog.sign_in()
            assert dialog.fault == ("code", {"base": error})
            assert words in dialog.placeholders["reply"]
            assert dialog.filled_in == {CONF_CLIENT_ID: dialog.identity.client_id}
            assert not polls()
            assert not hass.config_entries.async_entries(DOMAIN)
            dialog.at_the_end = None
            assert (await dialog.sign_in())["step_id"] == "works"
            dialog.close()


@pytest.mark.parametrize(
    ("client_id", "tenant", "error", "words"),
    [
        ("00000000-0000-0000-0000-000000000000", "", "client_id_unknown", "AADSTS700016: "),
        ("", "nowhere.example", "tenant_unknown", "AADSTS90002: Tenant 'nowhere.example' not"),
    ],
)
async def test_refused_application_is_quoted(
    dialog: SignIn, client_id: str, tenant: str, error: str, words: str
) -> None:
    """Each cause has its own text, with Microsoft's number, and Advanced is open to correct it."""
    await dialog.ask(client_id, tenant)
    assert dialog.fault == ("code", {"base": error})
    assert dialog.is_open
    assert words in dialog.placeholders["reply"]
    assert "Trace" not in dialog.placeholders["reply"]
    assert dialog.tenant == tenant
    assert (await dialog.sign_in())["type"] is FlowResultType.CREATE_ENTRY


async def test_unreachable_microsoft_is_an_error(dialog: SignIn, identity: Identity) -> None:
    """An unreachable identity platform has its own error."""
    await asyncio.to_thread(identity.stop)
    await dialog.ask()
    assert dialog.fault == ("code", {"base": "identity_unreachable"})
    identity.start()
    assert (await dialog.sign_in())["type"] is FlowResultType.CREATE_ENTRY


async def test_a_mailbox_is_added_once(
    dialog: SignIn, entry: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Signing in to a configured mailbox is rejected before any check."""
    assert (await dialog.sign_in())["reason"] == "already_configured"
    assert not fake_server.connections


async def test_dialogs_have_texts(dialog: SignIn) -> None:
    """Every field of the sign-in has a name, and texts only use available placeholders."""
    file = Path(sign_in.__file__).parents[1] / "translations" / "en.json"
    texts = json.loads(await asyncio.to_thread(file.read_text, encoding="utf-8"))["config"]
    code, shown = texts["step"]["code"], texts["progress"]["wait_for_sign_in"]
    assert [*code["data"], *code["data_description"]] == ["client_id"] * 2
    assert {"{page}", "{large_code}", "{qr_code}"} == set(re.findall(r"{\w+}", shown))
    await dialog.ask()
    used = re.findall(r"{(\w+)}", json.dumps([texts[key] for key in ("step", "error", "progress")]))
    assert set(used) <= set(dialog.placeholders)
