"""Repairs shows an outbox that is full or has unreadable files, and the remedy."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from .conftest import ADDRESS
from .fake_microsoft import FakeServer
from .helpers import (
    act,
    defer,
    folder_of,
    mailer_of,
    outgoing,
    settle,
    shut_down,
    titles,
    until_empty,
    waiting_files,
)
from .repair_helpers import Repair, fill_outbox, find_issue, placeholders, raised, script_of


@pytest.fixture
def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Repair:
    """Return a dialog that is not open yet."""
    return Repair(hass, hass_client)


async def fill_up(hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer) -> None:
    """Let two messages wait for an unreachable server, and a third one find no room."""
    await fill_outbox(hass, entry, fake_server)
    assert raised(hass) == []
    with pytest.raises(HomeAssistantError, match="outbox is full"):
        await mailer_of(entry).send(outgoing("Third"))


async def test_full_outbox_is_an_issue_until_there_is_room(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """The dialog has the numbers, retries, and ends when mail is sent."""
    await fill_up(hass, account, fake_server)
    assert raised(hass) == ["outbox_full"]
    since = placeholders(find_issue(hass, "outbox_full", account))["since"]
    await repair.open("outbox_full", account)
    assert "Messages waiting: 2 (0.0 MB)" in repair.text
    assert "limit: 2 (1 MB)" in repair.text
    assert f"Since {since}" in repair.text
    assert "127.0.0.1 refuses connections on port" in repair.text
    await repair.choose("check")
    assert repair.result["errors"] == {"base": "still_full"}
    assert f"Since {since}" in repair.text
    fake_server.start()
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert raised(hass) == []
    await until_empty(account)
    assert titles(fake_server) == ["First", "Second"]


async def test_hold_of_a_full_outbox_is_quoted(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """The server's last reply is the reason."""
    options = {"max_messages": 1, "max_size": 1}
    hass.config_entries.async_update_entry(account, options=options)
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.mailboxes[ADDRESS].script = script_of("mailbox_full")
    await defer(account, outgoing("First"))
    with pytest.raises(HomeAssistantError, match="outbox is full"):
        await mailer_of(account).send(outgoing("Second"))
    assert raised(hass) == ["mailbox_full", "outbox_full"]
    await repair.open("outbox_full", account)
    assert "554 5.2.2 mailbox full" in repair.text
    await repair.choose("check")
    assert repair.result["errors"] == {"base": "still_full"}
    assert "554 5.2.2 mailbox full" in repair.text


async def test_issue_ends_with_the_first_freed_place(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Canceling a message makes room; so does a higher limit."""
    await fill_up(hass, account, fake_server)
    queue = mailer_of(account).queue
    await queue.cancel(queue.waiting[0].spooled.id)
    assert raised(hass) == []
    await defer(account, outgoing("Fourth"))
    with pytest.raises(HomeAssistantError, match="outbox is full"):
        await mailer_of(account).send(outgoing("Fifth"))
    assert raised(hass) == ["outbox_full"]
    hass.config_entries.async_update_entry(account, options={"max_messages": 3, "max_size": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert raised(hass) == []


async def test_oversized_message_raises_no_issue(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Its sender gets an error; there is nothing to fix."""
    hass.config_entries.async_update_entry(account, options={"max_messages": 2, "max_size": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    with pytest.raises(HomeAssistantError, match="outbox is full"):
        await mailer_of(account).send(outgoing("Large", text="x" * 1_100_000))
    assert raised(hass) == []


async def test_dialog_leads_to_the_options(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """The issue stays until there is room."""
    await fill_up(hass, account, fake_server)
    await repair.open("outbox_full", account)
    await repair.choose("options")
    assert repair.result["type"] == "abort"
    assert f"#config_entry={account.entry_id}" in repair.text
    (flow,) = hass.config_entries.options.async_progress_by_handler(account.entry_id)
    assert repair.result["next_flow"] == ["options_flow", flow["flow_id"]]
    assert raised(hass) == ["outbox_full"]


async def test_dialog_of_a_removed_account_ends(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """It says so, without an error."""
    await fill_up(hass, account, fake_server)
    await repair.open("outbox_full", account)
    await hass.config_entries.async_unload(account.entry_id)
    await repair.choose("check")
    assert repair.result["reason"] == "account_not_loaded"


async def test_quarantined_files_are_shown_until_confirmed(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """Submitting deletes nothing, and later damage is reported again."""
    await shut_down(hass, account)
    (folder_of(hass, account) / "waiting" / "*notes*.txt").write_text("Not a message")
    await settle(hass, account)
    assert raised(hass) == ["set_aside"]
    issue = find_issue(hass, "set_aside", account)
    assert issue
    assert issue.is_fixable
    assert issue.severity is ir.IssueSeverity.WARNING
    await repair.open("set_aside", account)
    folder = folder_of(hass, account) / "set_aside"
    assert r"(1): \*notes\*.txt" in repair.text
    assert f"Since {placeholders(issue)['since']}, they have been in {folder}." in repair.text
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert [path.name for path in folder.iterdir()] == ["*notes*.txt"]
    await mailer_of(account).send(outgoing("First"))
    assert raised(hass) == []

    fake_server.stop()
    await defer(account)
    (file,) = waiting_files(hass, account)
    file.write_bytes(file.read_bytes()[:-1])
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert raised(hass) == ["set_aside"]
    assert placeholders(find_issue(hass, "set_aside", account))["files"] == file.name


async def test_latest_ten_files_are_listed(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """However many there are, the text stays short."""
    queue = mailer_of(account).queue
    queue.quarantined = [f"{number}.txt" for number in range(12)]
    await mailer_of(account).send(outgoing())
    told = placeholders(find_issue(hass, "set_aside", account))
    assert told["count"] == "12"
    assert told["files"] == ", ".join(f"{number}.txt" for number in range(11, 1, -1))
