"""Every place where Home Assistant shows foreign text: dialogs, repairs, notifications."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
import re
from typing import Any, Final

from homeassistant.components import persistent_notification
from homeassistant.config_entries import SOURCE_USER, ConfigFlowContext, SubentryFlowContext
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import FlowManager
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.template import Template
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import DOMAIN, SUBENTRY_RECIPIENT
from custom_components.outlook_smtp.flows import connection_check
from custom_components.outlook_smtp.flows.smtp_import import BUILT_IN_SMTP

from ..conftest import ADDRESS
from ..fake_microsoft import FakeGraph, FakeServer, Identity, Script, Step
from ..fake_microsoft.identity_script import Endpoint, Misstep
from ..fake_microsoft.identity_wording import Refusal
from ..flows.test_config_flow import Dialog
from ..helpers import folder_of, mailer_of, outgoing, settle, shut_down
from ..repair_helpers import Repair, add_built_in, built_in, fill_outbox
from ..test_dashboard import cards
from ..test_repository import ROOT
from .test_markdown import EVIL, Page

DEFAULTS = f"535 5.7.139 Refused by your organization's security defaults policy. {EVIL}"
BASIC = f"535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {EVIL}"
SMTP_OFF = "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant."
# Placeholders only in errors are plain text in a form, and our own URLs are links on purpose.
IN_ERRORS: Final = frozenset(
    {"answer", "code", "hint", "host", "port", "reply", "stranger", "value"}
)
ON_PURPOSE: Final = frozenset(
    {"account_url", "docs_url", "large_code", "outlook_url", "page", "qr_code", "url"}
)  # The HTML of the code has tests of its own, in flows/test_code_page.py.
MARKUP: Final[tuple[str, ...]] = (
    "link",
    "image",
    "html",
    "heading",
    "fence",
    "code_block",
    "table",
    "hr",
    "bullet",
)


@dataclass(frozen=True)
class Value:
    """The value of a placeholder, and its place."""

    place: str
    name: str
    text: str
    is_plain: bool = False

    def check(self) -> None:
        """Check that it is shown as text wherever the frontend may render it as Markdown."""
        if self.name in ON_PURPOSE or self.text == "-":
            return
        is_list = self.name == "messages"
        for around in ("{}",) if is_list else ("{}", "It says: {} now"):
            extras = Page.of(around.replace("{}", self.text)).extras
            kinds = MARKUP[:-1] if is_list else MARKUP
            kinds += () if self.is_plain else ("autolink",)
            assert not [extra for extra in extras if extra.startswith(kinds)], self


class Seen:
    """Everything that dialogs, issues and notifications have shown."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start empty."""
        self.hass = hass
        self.values: list[Value] = []

    @property
    def places(self) -> set[str]:
        """Return where something was shown."""
        return {value.place for value in self.values}

    def note_step(self, result: Mapping[str, Any]) -> None:
        """Record a step of a dialog, or its end."""
        self.note_issues()
        place = str(result.get("reason") or result.get("step_id"))
        for name, text in (result.get("description_placeholders") or {}).items():
            is_repair = "answer" in (result.get("description_placeholders") or {})
            errors = {"answer"} if is_repair else IN_ERRORS
            is_plain = result["type"] == "form" and name in errors
            self.values.append(Value(place, name, text, is_plain))

    def note_issues(self) -> None:
        """Record the raised issues."""
        for issue in ir.async_get(self.hass).issues.values():
            if issue.domain == DOMAIN:
                for name, text in (issue.translation_placeholders or {}).items():
                    key = str(issue.translation_key)
                    self.values.append(Value(key, name, text))

    @callback
    def note_notices(self, _: Any, notices: Mapping[str, Any]) -> None:
        """Record notifications."""
        for notice in notices.values():
            self.values.append(Value("notice", "messages", notice["message"]))

    def check(self, *places: str) -> None:
        """Check everything that was shown, including some required places."""
        self.note_issues()
        assert set(places) <= self.places
        for value in self.values:
            value.check()


@pytest.fixture
def seen(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Return what records every dialog, issue and notification, and show progress immediately."""
    monkeypatch.setattr(connection_check, "PROGRESS_INTERVAL", 0)
    seen = Seen(hass)
    handle = FlowManager._async_handle_step

    async def note(self: Any, *args: Any) -> Any:
        """Handle a step."""
        result = await handle(self, *args)
        seen.note_step(result)
        return result

    monkeypatch.setattr(FlowManager, "_async_handle_step", note)
    persistent_notification.async_register_callback(hass, seen.note_notices)
    return seen


@pytest.fixture
async def evil(hass: HomeAssistant, account: MockConfigEntry) -> MockConfigEntry:
    """Return an account whose title is an attack."""
    hass.config_entries.async_update_entry(account, title=f"# {EVIL}")
    await hass.async_block_till_done(wait_background_tasks=True)
    return account


@pytest.fixture
def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Repair:
    """Return a repair dialog."""
    return Repair(hass, hass_client)


async def begin(hass: HomeAssistant, way: str) -> Dialog:
    """Open the dialog that adds an account, and choose how to sign in."""
    flows = hass.config_entries.flow
    menu = await flows.async_init(DOMAIN, context=ConfigFlowContext(source=SOURCE_USER))
    form = await flows.async_configure(menu["flow_id"], {"next_step_id": way})
    return Dialog(hass, form)


async def test_password_dialog_shows_text_only(
    hass: HomeAssistant, storage: object, fake_server: FakeServer, seen: Seen
) -> None:
    """The menu quotes the server exactly, and so do the errors of the forms."""
    dialog = await begin(hass, "password")
    for reply in (BASIC, f"535 5.7.3 Authentication unsuccessful {EVIL}"):
        fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
        await dialog.submit()
        shown = dialog.placeholders["reply"]
        if dialog.result["type"] == "menu":
            assert Page.of(shown).text == reply
            result = await hass.config_entries.flow.async_configure(
                dialog.flow_id, {"next_step_id": "password"}
            )
            dialog.result = result
        else:
            assert shown.replace("\u2060", "") == reply
    await dialog.submit(account_kind="other")
    await dialog.submit_server(fake_server.port, host=fake_server.host)
    seen.check("check", "password", "passwords_refused", "server")


@pytest.mark.parametrize("off_for", ["Mailbox", "Tenant"])
async def test_route_dialog_shows_text_only(
    hass: HomeAssistant,
    *,
    identity: Identity,
    graph: FakeGraph,
    fake_server: FakeServer,
    seen: Seen,
    off_for: str,
) -> None:
    """The menu quotes the server exactly, and the permission's form Microsoft."""
    worker = "me@contoso.example"
    fake_server.add_mailbox(worker, "x")
    reply = f"535 5.7.139 SmtpClientAuthentication is disabled for the {off_for}. {EVIL}"
    fake_server.mailboxes[worker].script = Script(replies={Step.AUTH: reply})
    dialog = await begin(hass, "code")
    await dialog.begin({"client_id": identity.client_id, "advanced": {"tenant": "common"}})
    identity.approve(dialog.placeholders["code"], worker)
    await dialog.begin({})
    await dialog.follow()
    assert Page.of(dialog.placeholders["reply"]).text == reply
    await dialog.begin({"next_step_id": "graph"})
    await dialog.follow()
    identity.script.then(Endpoint.DEVICECODE, Misstep(refusal=Refusal("invalid_request", EVIL)))
    await dialog.begin({})
    assert EVIL in dialog.placeholders["reply"].replace("\u2060", "")
    dialog.close()
    seen.check(f"smtp_off_{off_for.lower()}", "permission")


async def test_code_dialog_shows_text_only(
    hass: HomeAssistant, identity: Identity, seen: Seen
) -> None:
    """Text from the identity platform cannot suggest another place to sign in."""
    answer = {
        "user_code": f"```\n{EVIL}",
        "verification_uri": f"https://x.example) {EVIL}",
        "device_code": "x",
        "expires_in": 900,
        "interval": 900,
    }
    refusal = Refusal("invalid_request", EVIL)
    dialog = await begin(hass, "code")
    typed = {"client_id": identity.client_id, "advanced": {"tenant": "common"}}
    for misstep in (Misstep(refusal=refusal), Misstep(body=json.dumps(answer))):
        identity.script.then(Endpoint.DEVICECODE, misstep)
        await dialog.begin(typed)
    assert dialog.result["step_id"] == "wait"
    code, url = dialog.placeholders["code"], dialog.placeholders["url"]
    page = Page.of(f"Open [{url}]({url}).\n\n```\n{code}\n```")
    assert [extra.split()[0] for extra in page.extras if "autolink" not in extra] == [
        "link_open",
        "link_close",
        "fence",
    ]
    await dialog.begin({})
    dialog.close()
    seen.check("code", "wait")


async def test_account_dialogs_show_text_only(
    hass: HomeAssistant, evil: MockConfigEntry, fake_server: FakeServer, seen: Seen
) -> None:
    """Its options, its recipients, and its automatic reauthentication."""
    options = await hass.config_entries.options.async_init(evil.entry_id)
    typed = {"reply_to": EVIL, "timeout": 30, "check_interval": 30}
    typed |= {"lifetime": 48, "max_messages": 100, "max_size": 100}
    await hass.config_entries.options.async_configure(options["flow_id"], typed)
    subentries = hass.config_entries.subentries
    recipient = await subentries.async_init(
        (evil.entry_id, SUBENTRY_RECIPIENT), context=SubentryFlowContext(source=SOURCE_USER)
    )
    await subentries.async_configure(recipient["flow_id"], {"name": EVIL, "recipients": [EVIL]})
    menu = await evil.start_reconfigure_flow(hass)
    await hass.config_entries.flow.async_configure(menu["flow_id"], {"next_step_id": "graph"})
    for reply in (BASIC, f"535 5.7.3 Authentication unsuccessful {EVIL}"):
        fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
        await evil.start_reauth_flow(hass, data={"problem": "basic_auth_disabled", "reply": reply})
        await evil.start_reauth_flow(hass)
    seen.check("init", "user", "reconfigure", "passwords_refused", "reauth_confirm")
    seen.check("sign_in_first")


@pytest.mark.parametrize(
    "case",
    [
        ("security_defaults", DEFAULTS),
        ("setup_problem", f"504 5.7.4 Unrecognized authentication type {EVIL}"),
        ("smtp_disabled_mailbox", f"{SMTP_OFF.replace('Tenant', 'Mailbox')} {EVIL}"),
        ("smtp_disabled_tenant", f"{SMTP_OFF} {EVIL}"),
    ],
)
async def test_health_repairs_show_text_only(
    evil: MockConfigEntry,
    fake_server: FakeServer,
    seen: Seen,
    hass_client: ClientSessionGenerator,
    case: tuple[str, str],
) -> None:
    """The problem, and the result of the last check."""
    key, reply = case
    repair = Repair(seen.hass, hass_client)
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
    await evil.runtime_data.coordinator.async_refresh()
    await repair.open(key, evil)
    if repair.result["type"] == "menu":
        await repair.choose("check")
        remedy, _ = repair.result["menu_options"]
        await repair.choose(remedy)
        led_to = "passwords_refused" if remedy == "sign_in" else "smtp_off_personal"
        seen.check(key, "init", "still_refused", "sign_in_started", led_to)
    else:
        await repair.submit()
        seen.check(key, "check")


async def test_outbox_repairs_show_text_only(
    hass: HomeAssistant, evil: MockConfigEntry, fake_server: FakeServer, seen: Seen, repair: Repair
) -> None:
    """Titles, recipients, replies and file names."""
    await shut_down(hass, evil)
    name = "[Click](www.evil.example) <img src=x> # `x`.txt"
    (folder_of(hass, evil) / "waiting" / name).write_text("Not a message")
    await settle(hass, evil)
    hass.config_entries.async_update_entry(evil, options={"max_messages": 2, "max_size": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.FINAL: f"554 5.6.0 No {EVIL}"})
    for _ in range(3):
        with pytest.raises(HomeAssistantError):
            await mailer_of(evil).send(outgoing(EVIL, "www.a@evil.example", text=EVIL))
    for key in ("set_aside", "discarded", "messages_failed"):
        await repair.open(key, evil)
    await repair.choose("drop")
    await fill_outbox(hass, evil, fake_server)
    with pytest.raises(HomeAssistantError):
        await mailer_of(evil).send(outgoing("Third"))
    await repair.open("outbox_full", evil)
    await repair.choose("check")
    await hass.config_entries.async_remove(evil.entry_id)
    seen.check("confirm", "init", "check", "outbox_full", "set_aside", "notice")


async def test_smtp_repair_shows_text_only(
    hass: HomeAssistant, evil: MockConfigEntry, seen: Seen, repair: Repair
) -> None:
    """Names of recipients and of the entry."""
    smtp = built_in((EVIL, "carl@example.com"))
    await add_built_in(hass, smtp)
    hass.config_entries.async_update_entry(smtp, title=EVIL)
    await hass.async_block_till_done()
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    seen.check(BUILT_IN_SMTP, "copy")


async def test_examples_with_markdown_show_text_only(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The dashboard and the blueprint's notification only quote the server."""
    reply = f"535 5.7.139 Authentication unsuccessful {EVIL}"
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
    await account.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    blueprint = (ROOT / "blueprints/automation/outlook_smtp/mail_trouble.yaml").read_text()
    [notice] = re.findall(r"message: >-\n +(\{\{ message \| .*)", blueprint)
    contents = [card["content"] for card in cards() if "server_reply" in card.get("content", "")]
    for content in (*contents, notice):
        shown = Template(content, hass).async_render({"message": reply}, parse_result=False)
        page = Page.of(shown)
        assert reply in page.text
        assert {extra.split()[0] for extra in page.extras} <= {"strong_open", "strong_close"}
    assert len(contents) == 1
