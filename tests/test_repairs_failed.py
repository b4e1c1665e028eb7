"""Repairs shows what could not be sent, to retry or to delete it."""

import asyncio
import errno
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.issue_texts import describe_failed
from custom_components.outlook_smtp.outbox.queued import UnknownMessageError

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import ANNA, act, mailer_of, outgoing, pass_time, titles, until_empty
from .promises import PER_MINUTE
from .repair_helpers import Repair, fill_outbox, find_issue, placeholders, raised

REPLY = "554 5.6.0 Not *like* this"
REFUSING = Script(replies={Step.FINAL: REPLY})


@pytest.fixture
def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Repair:
    """Return a dialog that is not open yet."""
    return Repair(hass, hass_client)


async def fail(entry: MockConfigEntry, fake_server: FakeServer, *names: str) -> None:
    """Let the server refuse messages."""
    fake_server.mailboxes[ADDRESS].script = REFUSING
    for name in names:
        with pytest.raises(HomeAssistantError, match=re.escape("Not *like* this")):
            await mailer_of(entry).send(outgoing(name))
    fake_server.mailboxes[ADDRESS].script = Script()


async def test_failed_messages_are_shown_and_retried(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """Each with its title, recipients, time and the server's reply."""
    await fail(account, fake_server, "Door", "[Click](http://evil)")
    assert raised(hass) == ["messages_failed"]
    issue = find_issue(hass, "messages_failed", account)
    assert issue
    assert issue.severity is ir.IssueSeverity.WARNING
    assert placeholders(issue)["count"] == "2"
    await repair.open("messages_failed", account)
    lines = [line for line in repair.text.splitlines() if line.startswith("- ")]
    assert lines[0].startswith(rf"- **\[Click\](http\://evil)** → {ANNA} · 20")
    assert lines[1].startswith(f"- **Door** → {ANNA} · 20")
    assert lines[1].endswith(r" · 554 5.6.0 Not \*like\* this")
    await repair.choose("send_again")
    assert repair.result["type"] == "create_entry"
    await until_empty(account)
    assert titles(fake_server) == ["Door", "[Click](http://evil)"]
    assert raised(hass) == []


async def test_failed_messages_are_deleted(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """What has failed since is kept, and shown."""
    await fail(account, fake_server, "First")
    await repair.open("messages_failed", account)
    await fail(account, fake_server, "Second")
    await repair.choose("drop")
    assert repair.result["type"] == "menu"
    assert "Second" in repair.text
    assert "First" not in repair.text
    await repair.choose("drop")
    assert repair.result["type"] == "create_entry"
    assert raised(hass) == []
    assert mailer_of(account).queue.failed == []
    assert titles(fake_server) == []


async def test_many_failed_messages_are_counted(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The latest ten are shown, with the number of others; the choice applies to all."""
    for number in range(12):
        freezer.tick(60 / PER_MINUTE + 1)  # The rate limit lets the next one out at once.
        await fail(account, fake_server, f"No. {number}")
    await repair.open("messages_failed", account)
    lines = [line for line in repair.text.splitlines() if line.startswith("- ")]
    assert [line[4:].partition("*")[0] for line in lines] == [
        f"No. {number}" for number in range(11, 1, -1)
    ]
    assert "Others: 2." in repair.text
    assert "Unsent emails from me@outlook.com: 12." in repair.text
    await repair.choose("drop")
    assert repair.result["type"] == "create_entry"


async def test_long_titles_and_lists_are_shortened(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """A message takes one line, not a page."""
    fake_server.mailboxes[ADDRESS].script = REFUSING
    recipients = [f"r{number}@example.com" for number in range(9)]
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("x" * 300, *recipients))
    await repair.open("messages_failed", account)
    assert f"**{'x' * 100}** → {', '.join(recipients[:5])}, +4 · " in repair.text


async def test_issue_follows_the_actions_and_time(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It counts what is left, and ends when that is sent, canceled or a week old."""
    await fail(account, fake_server, "First", "Second", "Third")
    queue = mailer_of(account).queue
    await act(hass, "cancel_message", id=queue.failed[0].failure.spooled.id)
    assert placeholders(find_issue(hass, "messages_failed", account))["count"] == "2"
    await act(hass, "retry_failed", id=queue.failed[0].failure.spooled.id)
    await until_empty(account)
    assert placeholders(find_issue(hass, "messages_failed", account))["count"] == "1"
    assert await hass.config_entries.async_reload(account.entry_id)
    assert raised(hass) == ["messages_failed"]
    await hass.async_block_till_done(wait_background_tasks=True)
    await pass_time(hass, freezer, days=7, seconds=1)
    await act(hass, "flush_outbox")
    await until(lambda: raised(hass) == [])


async def test_untried_expired_message_is_shown(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A message that was never tried has no reply."""
    mailer = mailer_of(account)
    await hass.config_entries.async_unload(account.entry_id)
    await mailer.send(outgoing("Old"))
    freezer.tick(49 * 3600)
    assert await hass.config_entries.async_setup(account.entry_id)
    await until(lambda: raised(hass) == ["messages_failed"])
    text = describe_failed(account)["messages"]
    assert text.startswith(f"- **Old** → {ANNA} · 20")
    assert text.endswith(" · Expired")


async def test_message_that_fails_again_is_shown_again(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """Retrying never loses one."""
    await fail(account, fake_server, "Door")
    await repair.open("messages_failed", account)
    fake_server.mailboxes[ADDRESS].script = REFUSING
    await repair.choose("send_again")
    await until(lambda: raised(hass) == ["messages_failed"])
    assert titles(fake_server) == []


async def test_messages_gone_meanwhile_are_skipped(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Someone else may have settled them while the dialog was open."""
    await fail(account, fake_server, "First", "Second")
    queue = mailer_of(account).queue
    ids = [item.failure.spooled.id for item in queue.failed]
    await repair.open("messages_failed", account)
    await queue.cancel(ids[0])
    await repair.choose("send_again")
    assert repair.result["type"] == "create_entry"
    await until_empty(account)
    assert titles(fake_server) == ["Second"]

    await fail(account, fake_server, "Third")
    await repair.open("messages_failed", account)

    async def late(message_id: str) -> None:
        await asyncio.sleep(0)
        raise UnknownMessageError

    monkeypatch.setattr(queue, "cancel", late)
    await repair.choose("drop")
    assert repair.result["type"] == "menu"


async def test_full_outbox_keeps_failed_messages_where_they_are(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """The dialog says why they cannot be retried."""
    await fail(account, fake_server, "Door")
    await fill_outbox(hass, account, fake_server)
    await repair.open("messages_failed", account)
    await repair.choose("send_again")
    assert repair.result["reason"] == "no_room"
    assert "Messages waiting: 2 (0.0 MB); limit: 2 (1 MB)" in repair.text
    assert raised(hass) == ["messages_failed", "outbox_full"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), OSError("Broken")])
async def test_disk_error_is_shown(
    hass: HomeAssistant,
    *,
    account: MockConfigEntry,
    fake_server: FakeServer,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
) -> None:
    """The message stays where it is."""
    await fail(account, fake_server, "Door")
    await repair.open("messages_failed", account)

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(mailer_of(account).queue.spool, "requeue", broken)
    await repair.choose("send_again")
    assert repair.result["reason"] == "not_writable"
    assert (error.strerror or "Broken") in repair.text
    assert len(mailer_of(account).queue.failed) == 1


async def test_restart_raises_current_issues(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Failed messages are on disk, and so is their issue."""
    await fail(account, fake_server, "Door")
    issue = find_issue(hass, "messages_failed", account)
    assert issue
    ir.async_delete_issue(hass, issue.domain, issue.issue_id)
    assert await hass.config_entries.async_reload(account.entry_id)
    assert raised(hass) == ["messages_failed"]


async def test_dialog_of_a_removed_account_ends(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """It says so, without an error."""
    await fail(account, fake_server, "Door")
    await repair.open("messages_failed", account)
    await hass.config_entries.async_unload(account.entry_id)
    await repair.choose("drop")
    assert repair.result["reason"] == "account_not_loaded"
