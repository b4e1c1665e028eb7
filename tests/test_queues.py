"""An outbox outlives reloads, restarts and changed options, and goes only with its account."""

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

from custom_components.outlook_smtp import queues
from custom_components.outlook_smtp.const import DOMAIN

from .conftest import ADDRESS, until
from .helpers import (
    add_account,
    folder_of,
    letter,
    mailer_of,
    pass_time,
    put_off,
    settle,
    shut_down,
    state_of,
    titles,
    until_empty,
    waiting_files,
)
from .standin import Script, StandIn, Step

CONNECTION = "binary_sensor.me_outlook_com_connection"
OVER_LIMIT = Script(replies={Step.RCPT: "550 5.1.90 You reached your daily limit"})
THREE = ("First", "Second", "Third")


@pytest.fixture
def other_standin(standin: StandIn) -> Iterator[StandIn]:
    """Run a second server."""
    with StandIn() as server:
        yield server


async def put_off_three(entry: MockConfigEntry, standin: StandIn) -> None:
    """Let three messages wait for a server that is away, and bring it back."""
    standin.stop()
    await put_off(entry, *map(letter, THREE))
    standin.start()


def notices(hass: HomeAssistant) -> list[Notification]:
    """Return the notifications that are shown."""
    return list(async_get_persistent_notifications(hass).values())


async def disable(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Disable an account."""
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)


# What goes on


async def test_folder_is_where_backups_find_it_and_nobody_else_reads_it(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """It is among Home Assistant's own files, and its owner's alone."""
    standin.stop()
    await put_off(account)
    folder = folder_of(hass, account)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert len(waiting_files(hass, account)) == 1


async def test_reload_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """What waits goes out in order, through the same outbox."""
    queue = mailer_of(account).queue
    await put_off_three(account, standin)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert mailer_of(account).queue is queue
    await until_empty(account)
    assert titles(standin) == list(THREE)


async def test_reload_in_the_middle_of_a_submission_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """A message that the server had not taken is taken to it again."""
    standin.script_next(Script(stall=Step.MAIL))
    connections = standin.connections
    sending = asyncio.create_task(mailer_of(account).send(letter()))
    await until(lambda: standin.connections > connections)
    reloading = asyncio.create_task(hass.config_entries.async_reload(account.entry_id))
    await until(lambda: account.state is not ConfigEntryState.LOADED)
    standin.hang_up()
    assert await reloading
    assert (await sending).status == "sent"  # The new courier answers the call.
    assert titles(standin) == ["Door"]


async def test_call_that_outlasts_a_reload_is_served_by_the_new_courier(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """Who began before the reload gets a receipt all the same."""
    mailer = mailer_of(account)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert mailer_of(account) is not mailer
    assert (await mailer.send(letter())).status == "sent"
    assert titles(standin) == ["Door"]


async def test_call_that_outlasts_its_account_is_safe_or_an_error(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """Into the outbox of an unloaded account a message goes, into that of a removed one none."""
    mailer = mailer_of(account)
    assert await hass.config_entries.async_unload(account.entry_id)
    assert (await mailer.send(letter())).status == "queued"
    await settle(hass, account)
    await until_empty(account)
    assert titles(standin) == ["Door"]
    await hass.config_entries.async_remove(account.entry_id)
    with pytest.raises(HomeAssistantError, match="was not sent"):
        await mailer.send(letter())
    assert not folder_of(hass, account).exists()


async def test_disabled_account_keeps_its_mail(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """It waits on disk for the account to be enabled again."""
    await put_off_three(account, standin)
    await disable(hass, account)
    assert len(waiting_files(hass, account)) == 3
    assert standin.received == []
    await hass.config_entries.async_set_disabled_by(account.entry_id, None)
    await until_empty(account)
    assert titles(standin) == list(THREE)


async def test_changed_settings_hold_for_what_waits(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, other_standin: StandIn
) -> None:
    """A new limit is in force at once, and the mail goes out through a new server."""
    standin.stop()
    await put_off(account, *map(letter, THREE))
    hass.config_entries.async_update_entry(account, options={"max_messages": 3, "max_size": 7})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(waiting_files(hass, account)) == 3
    with pytest.raises(HomeAssistantError, match="3 messages or 7 MB are the limit"):
        await mailer_of(account).send(letter())
    other_standin.add_mailbox(ADDRESS, account.data["password"])
    data = dict(account.data) | {"port": other_standin.port}
    hass.config_entries.async_update_entry(account, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    await until_empty(account)
    assert titles(other_standin) == list(THREE)


async def test_restart_loses_nothing(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """What is on disk goes out at the next start, in order and as the same message."""
    standin.stop()
    receipts = await put_off(account, *map(letter, THREE))
    await shut_down(hass, account)
    standin.start()
    await settle(hass, account)
    await until_empty(account)
    sent = [mail.message["Message-ID"] for mail in standin.received]
    assert sent == [receipt.message_id for receipt in receipts]
    assert waiting_files(hass, account) == []


async def test_quota_holds_beyond_a_restart(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    account: MockConfigEntry,
    standin: StandIn,
) -> None:
    """The sensor says so from the first second, and the mail goes out when the day is over."""
    standin.mailboxes[ADDRESS].script = OVER_LIMIT
    await put_off(account)
    await shut_down(hass, account)
    standin.mailboxes[ADDRESS].script = Script()
    assert await hass.config_entries.async_setup(account.entry_id)
    for _ in ("the first second", "after the first check"):
        assert state_of(hass, CONNECTION).state == "off"
        assert state_of(hass, CONNECTION).attributes["problem"] == "daily_limit"
        await hass.async_block_till_done(wait_background_tasks=True)
    receipt = await mailer_of(account).send(letter("Second"))
    assert receipt.status == "queued"
    assert receipt.problem == "daily_limit"
    await pass_time(hass, freezer, hours=23)
    assert standin.received == []
    await pass_time(hass, freezer, hours=1, seconds=1)
    await until(lambda: not mailer_of(account).queue.under_way)
    await pass_time(hass, freezer, minutes=1)
    await until_empty(account)
    assert titles(standin) == ["Door", "Second"]
    assert state_of(hass, CONNECTION).state == "on"


@pytest.mark.parametrize(
    "trouble", [Script(silent=True), Script(drop=Step.CONNECT)], ids=["silent", "away"]
)
async def test_accounts_do_not_wait_for_one_another(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    standin: StandIn,
    other_standin: StandIn,
    account_data: dict[str, Any],
    trouble: Script,
) -> None:
    """While one server is away or silent, the other account delivers."""
    other = add_account(hass, other_standin, account_data, "you@outlook.com")
    await settle(hass, other)
    standin.script_next(trouble)
    sending = asyncio.create_task(mailer_of(account).send(letter("Stuck")))
    await until(lambda: bool(mailer_of(account).queue.under_way or sending.done()))
    receipt = await mailer_of(other).send(letter("Free"))
    assert receipt.status == "sent"
    assert titles(other_standin) == ["Free"]
    assert [item.record.title for item in mailer_of(account).queue.items] == ["Stuck"]
    standin.hang_up()
    assert (await sending).status == "queued"
    assert folder_of(hass, account) != folder_of(hass, other)


# What is wrong with the folder


async def test_files_that_are_no_messages_are_set_aside(
    hass: HomeAssistant,
    account: MockConfigEntry,
    standin: StandIn,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Repairs names them and where they are; what is whole goes out."""
    await put_off_three(account, standin)
    await shut_down(hass, account)
    _, damaged, _ = waiting_files(hass, account)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (damaged.parent / "notes.txt").write_text("Not a message")
    await settle(hass, account)
    await until_empty(account)
    assert titles(standin) == ["First", "Third"]
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
    standin: StandIn,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The account says what is wrong, and comes to life when that is mended."""
    folder = folder_of(hass, entry)
    folder.write_text("In the way")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "outbox_not_readable"
    assert entry.reason
    assert "The folder of the outbox cannot be opened" in entry.reason
    assert str(folder) in entry.reason
    folder.unlink()
    await pass_time(hass, freezer, minutes=1)
    assert hass.config_entries.async_loaded_entries(DOMAIN) == [entry]
    await mailer_of(entry).send(letter())
    assert titles(standin) == ["Door"]


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
async def test_removed_account_tells_of_the_mail_that_went_with_it(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    standin: StandIn,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
    loaded: str,
) -> None:
    """Log and notification say how much is lost; until then nothing is deleted."""
    standin.script_next(Script(replies={Step.FINAL: "554 5.6.0 Not like this"}))
    with pytest.raises(HomeAssistantError, match="Not like this"):
        await mailer_of(account).send(letter())
    standin.stop()
    await put_off(account, *map(letter, THREE))
    if loaded != "loaded":
        await disable(hass, account)
    if loaded == "never loaded":
        hass.data.pop(queues._QUEUES)
    assert len(waiting_files(hass, account)) == 3
    caplog.clear()
    await hass.config_entries.async_remove(account.entry_id)
    assert not folder_of(hass, account).exists()
    [line] = [record for record in caplog.records if record.name == queues.__name__]
    assert line.levelname == "WARNING"
    assert line.getMessage().endswith("with the account: 3 waiting and 1 failed messages")
    [notice] = notices(hass)
    assert notice["title"] == "Mail was deleted with its account"
    assert f"The account {ADDRESS} was removed" in notice["message"]
    assert "- Waiting to be sent: 3\n- Failed: 1\n" in notice["message"]
    assert not issue_registry.issues  # There is nothing left to repair.


async def test_notice_is_in_the_language_of_home_assistant(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """What is in the title of the account is shown as it is."""
    hass.config.language = "de"
    hass.config_entries.async_update_entry(account, title="Mail *of* ours")
    await hass.async_block_till_done(wait_background_tasks=True)
    standin.stop()
    await put_off(account)
    await hass.config_entries.async_remove(account.entry_id)
    [notice] = notices(hass)
    assert notice["title"] == "E-Mails wurden mit ihrem Konto gelöscht"
    assert r"Das Konto Mail \*of\* ours wurde entfernt" in notice["message"]


async def test_account_without_mail_goes_without_a_word(
    hass: HomeAssistant,
    account: MockConfigEntry,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is lost, and nothing is left."""
    await mailer_of(account).send(letter())
    assert folder_of(hass, account).exists()
    await hass.config_entries.async_remove(account.entry_id)
    assert not folder_of(hass, account).exists()
    assert "was deleted" not in caplog.text
    assert notices(hass) == []
    assert not issue_registry.issues


async def test_ages_of_messages_are_kept_every_hour(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, freezer: FrozenDateTimeFactory
) -> None:
    """A process that is killed forgets one hour at most."""
    standin.stop()
    await put_off(account)
    ages = folder_of(hass, account) / "ages.json"
    await pass_time(hass, freezer, minutes=59)
    assert not ages.exists()
    await pass_time(hass, freezer, minutes=2)
    assert list(json.loads(ages.read_text()).values()) == [pytest.approx(3660, abs=10)]
    assert await hass.config_entries.async_unload(account.entry_id)
    saved = ages.read_text()
    await pass_time(hass, freezer, minutes=61)
    assert ages.read_text() == saved
