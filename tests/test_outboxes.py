"""An outbox outlives reloads, restarts and changed options, and is deleted with its account."""

import asyncio
from collections.abc import Iterator
import json
import stat
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.persistent_notification import Notification
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_get_persistent_notifications,
)

from custom_components.outlook_smtp import outboxes
from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import (
    add_account,
    defer,
    folder_of,
    mailer_of,
    outgoing,
    pass_time,
    settle,
    shut_down,
    state_of,
    titles,
    until_empty,
    waiting_files,
)

CONNECTION = "binary_sensor.me_outlook_com_connection"
OVER_LIMIT = Script(replies={Step.RCPT: "550 5.1.90 You reached your daily limit"})
THREE = ("First", "Second", "Third")


@pytest.fixture
def other_fake_server(fake_server: FakeServer) -> Iterator[FakeServer]:
    """Run a second server."""
    with FakeServer() as server:
        yield server


async def defer_three(entry: MockConfigEntry, fake_server: FakeServer) -> None:
    """Let three messages wait for an unreachable server, and bring it back."""
    fake_server.stop()
    await defer(entry, *map(outgoing, THREE))
    fake_server.start()


def notices(hass: HomeAssistant) -> list[Notification]:
    """Return the visible notifications."""
    return list(async_get_persistent_notifications(hass).values())


async def disable(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Disable an account."""
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)


# What goes on


async def test_folder_is_backed_up_and_private(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is among Home Assistant's own files, and readable by its owner only."""
    fake_server.stop()
    await defer(account)
    folder = folder_of(hass, account)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert len(waiting_files(hass, account)) == 1


async def test_reload_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Waiting messages are sent in order, through the same outbox."""
    queue = mailer_of(account).queue
    await defer_three(account, fake_server)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert mailer_of(account).queue is queue
    await until_empty(account)
    assert titles(fake_server) == list(THREE)


async def test_reload_during_a_submission_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A message that the server had not accepted is sent again."""
    fake_server.script_next(Script(stall=Step.MAIL))
    connections = fake_server.connections
    sending = asyncio.create_task(mailer_of(account).send(outgoing()))
    await until(lambda: fake_server.connections > connections)
    reloading = asyncio.create_task(hass.config_entries.async_reload(account.entry_id))
    await until(lambda: account.state is not ConfigEntryState.LOADED)
    fake_server.hang_up()
    assert await reloading
    assert (await sending).status == "sent"  # The new delivery worker completes the call.
    assert titles(fake_server) == ["Door"]


async def test_call_that_outlasts_a_reload_is_served_by_the_new_worker(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A call from before the reload still gets a receipt."""
    mailer = mailer_of(account)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert mailer_of(account) is not mailer
    assert (await mailer.send(outgoing())).status == "sent"
    assert titles(fake_server) == ["Door"]


async def test_call_that_outlasts_its_account_is_safe_or_an_error(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The outbox of an unloaded account accepts a message, that of a removed one does not."""
    mailer = mailer_of(account)
    assert await hass.config_entries.async_unload(account.entry_id)
    assert (await mailer.send(outgoing())).status == "queued"
    await settle(hass, account)
    await until_empty(account)
    assert titles(fake_server) == ["Door"]
    await hass.config_entries.async_remove(account.entry_id)
    with pytest.raises(HomeAssistantError, match="was not sent"):
        await mailer.send(outgoing())
    assert not folder_of(hass, account).exists()


async def test_disabled_account_keeps_its_mail(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It waits on disk until the account is enabled again."""
    await defer_three(account, fake_server)
    await disable(hass, account)
    assert len(waiting_files(hass, account)) == 3
    assert fake_server.received == []
    await hass.config_entries.async_set_disabled_by(account.entry_id, None)
    await until_empty(account)
    assert titles(fake_server) == list(THREE)


async def test_changed_settings_apply_to_waiting_mail(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    other_fake_server: FakeServer,
) -> None:
    """A new limit applies at once, and the mail is sent through a new server."""
    fake_server.stop()
    await defer(account, *map(outgoing, THREE))
    hass.config_entries.async_update_entry(account, options={"max_messages": 3, "max_size": 7})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(waiting_files(hass, account)) == 3
    with pytest.raises(HomeAssistantError, match=r"limit: 3 \(7 MB\)"):
        await mailer_of(account).send(outgoing())
    other_fake_server.add_mailbox(ADDRESS, account.data["password"])
    data = dict(account.data) | {"port": other_fake_server.port}
    hass.config_entries.async_update_entry(account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    await until_empty(account)
    assert titles(other_fake_server) == list(THREE)


async def test_restart_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Messages on disk are sent at the next start, in order and unchanged."""
    fake_server.stop()
    receipts = await defer(account, *map(outgoing, THREE))
    await shut_down(hass, account)
    fake_server.start()
    await settle(hass, account)
    await until_empty(account)
    sent = [mail.message["Message-ID"] for mail in fake_server.received]
    assert sent == [receipt.message_id for receipt in receipts]
    assert waiting_files(hass, account) == []


async def test_quota_survives_a_restart(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    fake_server: FakeServer,
) -> None:
    """The sensor shows it from the first second, and the mail is sent when the day is over."""
    fake_server.mailboxes[ADDRESS].script = OVER_LIMIT
    await defer(account)
    await shut_down(hass, account)
    fake_server.mailboxes[ADDRESS].script = Script()
    assert await hass.config_entries.async_setup(account.entry_id)
    for _ in ("the first second", "after the first check"):
        assert state_of(hass, CONNECTION).state == "off"
        assert state_of(hass, CONNECTION).attributes["problem"] == "daily_limit"
        await hass.async_block_till_done(wait_background_tasks=True)
    receipt = await mailer_of(account).send(outgoing("Second"))
    assert receipt.status == "queued"
    assert receipt.problem == "daily_limit"
    await pass_time(hass, freezer, hours=23)
    assert fake_server.received == []
    await pass_time(hass, freezer, hours=1, seconds=1)
    await until(lambda: not mailer_of(account).queue.under_way)
    await pass_time(hass, freezer, minutes=1)
    await until_empty(account)
    assert titles(fake_server) == ["Door", "Second"]
    assert state_of(hass, CONNECTION).state == "on"


@pytest.mark.parametrize(
    "trouble", [Script(silent=True), Script(drop=Step.CONNECT)], ids=["silent", "away"]
)
async def test_accounts_do_not_wait_for_one_another(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    other_fake_server: FakeServer,
    account_data: dict[str, Any],
    trouble: Script,
) -> None:
    """While one server is down or silent, the other account delivers."""
    other = add_account(hass, other_fake_server, account_data, "you@outlook.com")
    await settle(hass, other)
    fake_server.script_next(trouble, connections=2)  # One is opened ahead.
    sending = asyncio.create_task(mailer_of(account).send(outgoing("Stuck")))
    await until(lambda: bool(mailer_of(account).queue.under_way or sending.done()))
    receipt = await mailer_of(other).send(outgoing("Free"))
    assert receipt.status == "sent"
    assert titles(other_fake_server) == ["Free"]
    assert [item.entry.title for item in mailer_of(account).queue.waiting] == ["Stuck"]
    fake_server.hang_up()
    assert (await sending).status == "queued"
    assert folder_of(hass, account) != folder_of(hass, other)


# What is wrong with the folder


async def test_foreign_files_are_quarantined(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Repairs lists them and their location; valid messages are sent."""
    await defer_three(account, fake_server)
    await shut_down(hass, account)
    _, damaged, _ = waiting_files(hass, account)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (damaged.parent / "notes.txt").write_text("Not a message")
    await settle(hass, account)
    await until_empty(account)
    assert titles(fake_server) == ["First", "Third"]
    issue = issue_registry.async_get_issue(DOMAIN, f"set_aside_{account.entry_id}")
    assert issue
    placeholders = issue.translation_placeholders
    assert placeholders
    assert set(placeholders.pop("files").split(", ")) == {damaged.name, "notes.txt"}
    folder = folder_of(hass, account) / "set_aside"
    assert placeholders["count"] == "2"
    assert placeholders["folder"] == str(folder)
    assert {path.name for path in folder.iterdir()} == {damaged.name, "notes.txt"}
    await hass.config_entries.async_remove(account.entry_id)
    assert not issue_registry.issues


async def test_folder_that_cannot_be_opened_is_tried_again(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The account reports the problem, and recovers once that is fixed."""
    folder = folder_of(hass, entry)
    folder.write_text("In the way")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "outbox_not_readable"
    assert entry.reason
    assert "The outbox folder cannot be opened" in entry.reason
    assert str(folder) in entry.reason
    folder.unlink()
    await pass_time(hass, freezer, minutes=1)
    assert hass.config_entries.async_loaded_entries(DOMAIN) == [entry]
    await mailer_of(entry).send(outgoing())
    assert titles(fake_server) == ["Door"]


async def test_account_whose_folder_cannot_be_opened_can_be_removed(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names what is left behind."""
    folder = folder_of(hass, entry)
    folder.write_text("In the way")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []
    (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert str(folder) in error.getMessage()


# What ends with the account


@pytest.mark.parametrize("loaded", ["loaded", "disabled", "never loaded"])
async def test_removed_account_reports_its_deleted_mail(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
    loaded: str,
) -> None:
    """Log and notification say how much is lost; until then, nothing is deleted."""
    fake_server.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await mailer_of(account).send(outgoing())
    fake_server.stop()
    await defer(account, *map(outgoing, THREE))
    if loaded != "loaded":
        await disable(hass, account)
    if loaded == "never loaded":
        hass.data.pop(outboxes._OUTBOXES)
    assert len(waiting_files(hass, account)) == 3
    caplog.clear()
    await hass.config_entries.async_remove(account.entry_id)
    assert not folder_of(hass, account).exists()
    [line] = [record for record in caplog.records if record.name == outboxes.__name__]
    assert line.levelname == "WARNING"
    assert line.getMessage().endswith("with the account: 3 waiting and 1 failed messages")
    [notice] = notices(hass)
    assert notice["title"] == "Email was deleted with its account"
    assert f"The account {ADDRESS} was removed" in notice["message"]
    assert "- Waiting to be sent: 3\n- Failed: 1\n" in notice["message"]
    deleted = [f"- **{title}** → anna@example.com" for title in (*THREE, "Door")]
    assert "\n".join(deleted) in notice["message"]
    assert not issue_registry.issues  # There is nothing left to repair.


async def test_notice_is_in_the_language_of_home_assistant(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The account's title is shown literally."""
    hass.config.language = "de"
    hass.config_entries.async_update_entry(account, title="Mail *of* ours")
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.stop()
    await defer(account)
    await hass.config_entries.async_remove(account.entry_id)
    [notice] = notices(hass)
    assert notice["title"] == "E-Mails wurden mit ihrem Konto gelöscht"
    assert r"Das Konto Mail \*of\* ours wurde entfernt" in notice["message"]


async def test_account_without_mail_is_removed_silently(
    hass: HomeAssistant,
    account: MockConfigEntry,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is lost, and nothing is left."""
    await mailer_of(account).send(outgoing())
    assert folder_of(hass, account).exists()
    await hass.config_entries.async_remove(account.entry_id)
    assert not folder_of(hass, account).exists()
    assert "was deleted" not in caplog.text
    assert notices(hass) == []
    assert not issue_registry.issues


async def test_ages_of_messages_are_kept_every_hour(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A killed process loses one hour at most."""
    # Otherwise, they are kept when the message is reported as delayed, too.
    hass.config_entries.async_update_entry(account, options={"delayed_after": 1440})
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.stop()
    await defer(account)
    ages = folder_of(hass, account) / "ages.json"
    await pass_time(hass, freezer, minutes=59)
    assert not ages.exists()
    await pass_time(hass, freezer, minutes=2)
    assert list(json.loads(ages.read_text()).values()) == [pytest.approx(3660, abs=10)]
    assert await hass.config_entries.async_unload(account.entry_id)
    saved = ages.read_text()
    await pass_time(hass, freezer, minutes=61)
    assert ages.read_text() == saved
