"""Repairs shows what keeps an account from sending and what to do, and checks the result."""

from typing import Final

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp import mailer as mailer_module
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Kind
from custom_components.outlook_smtp.flows import account_repair
from custom_components.outlook_smtp.flows.smtp_import import BUILT_IN_SMTP
from custom_components.outlook_smtp.foreign_text import quote
from custom_components.outlook_smtp.issues import (
    ACCOUNT_ISSUES,
    HEALTH_ISSUES,
    OUTBOX_NOT_WRITABLE,
    PROBLEMS,
)
from custom_components.outlook_smtp.smtp.replies import CATALOGUE as REPLIES

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import defer, mailer_of, outgoing, pass_time, state_of, titles
from .repair_helpers import ISSUES, Repair, find_issue, raised, script_of

CONNECTION: Final = "binary_sensor.me_outlook_com_connection"
# The row of the server's replies that raises each issue.
AT_SIGN_IN: Final = {
    "account_locked": "account_locked",
    "basic_auth_disabled": "basic_auth_disabled",
    "conditional_access": "criteria_not_met",
    "security_defaults": "security_defaults",
    "setup_problem": "unrecognized_mechanism",
    "smtp_disabled_mailbox": "mailbox_disabled",
    "smtp_disabled_tenant": "tenant_disabled",
}
WHILE_SUBMITTING: Final = {
    "mailbox_full": "mailbox_full",
    "sender_blocked": "bad_outbound_sender",
    "sender_throttled": "throttled_send_as_denied",
    "suspended": "suspended",
    "verification_required": "hip_notify",
}
WITH_SIGN_IN: Final = ("security_defaults",)
# Home Assistant itself raises an issue for a refused password.
RAISED: Final = tuple(key for key in HEALTH_ISSUES if key != "basic_auth_disabled")
WITH_ROUTE: Final = ("smtp_disabled_mailbox", "smtp_disabled_tenant")


@pytest.fixture
def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Repair:
    """Return a dialog that is not open yet."""
    return Repair(hass, hass_client)


async def refuse(
    hass: HomeAssistant, fake_server: FakeServer, entry: MockConfigEntry, key: str
) -> str:
    """Let the server refuse what raises an issue, and return its reply."""
    mailbox = fake_server.mailboxes[ADDRESS]
    if key in AT_SIGN_IN:
        mailbox.script = script_of(AT_SIGN_IN[key])
        await entry.runtime_data.coordinator.async_refresh()
    else:
        mailbox.script = script_of(WHILE_SUBMITTING[key])
        await defer(entry)
    await hass.async_block_till_done()
    reply: str = entry.runtime_data.coordinator.data.reply
    assert reply
    return reply


async def recover(hass: HomeAssistant, fake_server: FakeServer, entry: MockConfigEntry) -> None:
    """Let the account work again, if a failed case has left it otherwise."""
    fake_server.mailboxes[ADDRESS].script = Script()
    if raised(hass):
        await mailer_of(entry).worker.flush()
        await entry.runtime_data.coordinator.async_check_now()
        await until(lambda: not mailer_of(entry).queue.waiting)
    fake_server.received.clear()


# Raised, and cleared automatically


@pytest.mark.usefixtures("no_pace")
async def test_issue_is_raised_and_cleared_automatically(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
    subtests: pytest.Subtests,
) -> None:
    """It is there with the first refusal, for this account, and gone when mail works again."""
    for key in RAISED:
        with subtests.test(key):
            await recover(hass, fake_server, account)
            assert raised(hass) == []
            await refuse(hass, fake_server, account, key)
            assert raised(hass) == [key]
            issue = find_issue(hass, key, account)
            assert issue
            assert issue.is_fixable
            assert issue.severity is ir.IssueSeverity.ERROR
            fake_server.mailboxes[ADDRESS].script = Script()
            if key in WITH_SIGN_IN:  # Refused credentials are only tried if a user requests it.
                await account.runtime_data.coordinator.async_check_now()
            else:
                hours = 4 if key == "account_locked" else 1
                await pass_time(hass, freezer, hours=hours, seconds=1)
            await until(lambda: hass.states.is_state(CONNECTION, "on"))
            assert raised(hass) == []


async def test_refused_password_has_one_issue(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Home Assistant's own leads to the sign-in, which says why; there is none of ours beside."""
    await refuse(hass, fake_server, account, "basic_auth_disabled")
    assert raised(hass) == []
    (issue,) = ir.async_get(hass).issues.values()
    assert (issue.domain, issue.translation_key) == ("homeassistant", "config_entry_reauth")
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["step_id"] == "passwords_refused"


async def test_another_problem_replaces_the_first(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """An account has one problem at a time."""
    await refuse(hass, fake_server, account, "smtp_disabled_tenant")
    await refuse(hass, fake_server, account, "conditional_access")
    assert raised(hass) == ["conditional_access"]
    fake_server.mailboxes[ADDRESS].script = script_of("credentials_incorrect")
    await account.runtime_data.coordinator.async_refresh()
    assert raised(hass) == []  # Home Assistant itself starts a reauthentication.


async def test_temporary_fault_raises_and_clears_nothing(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An unreachable server needs no person, and proves nothing."""
    fake_server.stop()
    await pass_time(hass, freezer, minutes=31)
    await pass_time(hass, freezer, seconds=61)
    assert state_of(hass, CONNECTION).attributes["problem"] == "connection_refused"
    assert raised(hass) == []
    fake_server.start()
    await refuse(hass, fake_server, account, "smtp_disabled_mailbox")
    fake_server.stop()
    await account.runtime_data.coordinator.async_refresh()
    assert state_of(hass, CONNECTION).attributes["problem"] == "connection_refused"
    assert raised(hass) == ["smtp_disabled_mailbox"]


async def test_quota_raises_nothing(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It ends automatically."""
    fake_server.mailboxes[ADDRESS].script = script_of("daily_limit")
    await defer(account)
    assert state_of(hass, CONNECTION).state == "off"
    assert raised(hass) == []


async def test_issue_survives_a_reload_and_is_removed_with_the_account(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is neither duplicated nor left behind."""
    await refuse(hass, fake_server, account, "suspended")
    assert await hass.config_entries.async_reload(account.entry_id)
    assert raised(hass) == ["suspended"]
    await hass.async_block_till_done(wait_background_tasks=True)
    assert raised(hass) == ["suspended"]
    await hass.config_entries.async_remove(account.entry_id)
    assert raised(hass) == []


async def test_disabled_account_has_no_issues(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A disabled account is not checked; when it is enabled again, it is."""
    await refuse(hass, fake_server, account, "smtp_disabled_tenant")
    await hass.config_entries.async_set_disabled_by(account.entry_id, ConfigEntryDisabler.USER)
    assert raised(hass) == []
    await hass.config_entries.async_set_disabled_by(account.entry_id, None)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert raised(hass) == ["smtp_disabled_tenant"]


# The dialogs


@pytest.mark.usefixtures("no_pace")
async def test_dialog_explains_checks_and_ends(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    subtests: pytest.Subtests,
) -> None:
    """It has the problem, the time and the reply; it stays until the problem is over."""
    for key in RAISED:
        with subtests.test(key):
            await recover(hass, fake_server, account)
            reply = await refuse(hass, fake_server, account, key)
            since = dt_util.as_local(account.runtime_data.coordinator.data.since)
            await repair.open(key, account)
            assert ADDRESS in repair.text
            assert quote(reply) in repair.text
            what, when, remedy = repair.description.split("\n\n")
            assert what.startswith(f"{ADDRESS} cannot send email")
            assert when.startswith(f"This started on {since:%Y-%m-%d %H:%M}.")
            assert remedy
            await check_dialog(hass, fake_server, repair, key, reply)
            await until(lambda: not mailer_of(account).queue.waiting)
            assert titles(fake_server) == (["Door"] if key in WHILE_SUBMITTING else [])


async def check_dialog(
    hass: HomeAssistant, fake_server: FakeServer, repair: Repair, key: str, reply: str
) -> None:
    """Let a dialog check the account, first while it is still refused, then afterwards."""
    has_choice = key in WITH_SIGN_IN + WITH_ROUTE
    if has_choice:
        await repair.choose("check")
    else:
        assert repair.result["step_id"] == "check"
        await repair.submit()
    answer = quote(reply) if has_choice else reply
    assert "Still not working. " in repair.text
    assert repair.text.count(answer) >= 1
    assert raised(hass) == [key]

    fake_server.mailboxes[ADDRESS].script = Script()
    if has_choice:
        remedy = "sign_in" if key in WITH_SIGN_IN else "graph"
        assert repair.result["menu_options"] == [remedy, "check"]
        await repair.choose("check")
    else:
        assert repair.result["type"] == "form"
        await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert raised(hass) == []


async def test_dialog_quotes_the_current_problem(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """A server that is unreachable now is not blamed on the account."""
    await refuse(hass, fake_server, account, "suspended")
    await repair.open("suspended", account)
    fake_server.stop()
    await repair.submit()
    assert "Still not working. 127.0.0.1 refuses connections on port" in repair.text
    assert raised(hass) == ["suspended"]


async def test_dialog_does_not_wait_forever(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the fate of the message is open, the problem is, too."""
    await refuse(hass, fake_server, account, "suspended")
    await repair.open("suspended", account)
    monkeypatch.setattr(account_repair, "PATIENCE", 0.0)
    fake_server.mailboxes[ADDRESS].script = Script(stall=Step.MAIL)
    fake_server.script_next(Script())
    task = hass.async_create_task(repair.submit())
    await until(task.done)
    assert (await task)["errors"] == {"base": "still_there"}
    fake_server.hang_up()


async def test_new_message_does_not_end_the_dialog(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dialog waits for the fate of one."""
    await refuse(hass, fake_server, account, "suspended")
    await repair.open("suspended", account)
    fake_server.mailboxes[ADDRESS].script = Script(stall=Step.MAIL)
    mailer = mailer_of(account)
    before = len(fake_server.sessions)
    submitting = hass.async_create_task(repair.submit())
    await until(lambda: "MAIL" in str(fake_server.sessions[before:]))
    monkeypatch.setattr(mailer_module, "PATIENCE", 0.5)
    sending = hass.async_create_task(mailer.send(outgoing("Second")))
    await until(lambda: len(mailer.queue.waiting) == 2)
    assert not submitting.done()
    fake_server.hang_up()
    assert (await submitting)["errors"] == {"base": "still_there"}
    assert (await sending).status == "queued"


async def test_refused_message_shows_nothing_about_the_account(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """The waiting message may be refused for its own sake; then the next one must show it."""
    await refuse(hass, fake_server, account, "suspended")
    await repair.open("suspended", account)
    fake_server.mailboxes[ADDRESS].script = script_of("other_5xx")
    await repair.submit()
    await until(lambda: bool(mailer_of(account).queue.failed))
    assert "messages_failed" in raised(hass)


@pytest.mark.parametrize("key", WITH_SIGN_IN)
async def test_dialog_leads_to_the_sign_in(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair, key: str
) -> None:
    """There is one reauthentication dialog, and it begins with Microsoft's sign-in."""
    await refuse(hass, fake_server, account, key)
    for _ in range(2):
        await repair.open(key, account)
        await repair.choose("sign_in")
        assert repair.result["type"] == "abort"
        assert f"#config_entry={account.entry_id}" in repair.text
        (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["context"]["source"] == SOURCE_REAUTH
        assert flow["step_id"] == "passwords_refused"
        assert repair.result["next_flow"] == ["config_flow", flow["flow_id"]]
        assert raised(hass) == [key]


@pytest.mark.parametrize("key", ["suspended", "security_defaults"])
@pytest.mark.parametrize("what", ["unload", "remove"])
async def test_dialog_of_a_removed_account_ends(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    what: str,
    key: str,
) -> None:
    """It says so, without an error."""
    await refuse(hass, fake_server, account, key)
    await repair.open(key, account)
    if what == "unload":
        assert await hass.config_entries.async_unload(account.entry_id)
        reason = "account_not_loaded"
    else:
        await hass.config_entries.async_remove(account.entry_id)
        reason = "account_gone"
    await (repair.choose("sign_in") if key in WITH_SIGN_IN else repair.submit())
    assert repair.result["type"] == "abort"
    assert repair.result["reason"] == reason


# The texts


def test_every_issue_has_texts() -> None:
    """Code and texts have the same issues, and a reply raises each."""
    fixable = {key for key, texts in ISSUES.items() if "fix_flow" in texts}
    assert set(ISSUES) == {*ACCOUNT_ISSUES, BUILT_IN_SMTP}
    assert set(ISSUES) - fixable == {OUTBOX_NOT_WRITABLE}
    assert set(PROBLEMS) == {problem for _, kind, problem in REPLIES if kind is Kind.ACCOUNT}
    assert set(AT_SIGN_IN) | set(WHILE_SUBMITTING) == set(HEALTH_ISSUES)


def test_no_text_has_markup() -> None:
    """Home Assistant would not show it."""
    assert "<" not in str(ISSUES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("smtp_auth_disabled", "smtp_auth_disabled"),
        ("_so_ *it* [is](http://x) `<b>`", r"\_so\_ \*it\* \[is\](http\://x) \`\<b\>\`"),
        ("a & b &amp; &#60;", r"a & b \&amp; \&#60;"),
        ("back\\slash ~~gone~~", r"back\\slash \~\~gone\~\~"),
    ],
)
def test_text_of_foreign_files_is_shown_literally(text: str, shown: str) -> None:
    """They create neither links nor anything else."""
    assert quote(text) == shown
