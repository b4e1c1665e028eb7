"""The built-in integration's data for a mailbox is copied; nothing is changed there."""

from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.flows.smtp_import import BUILT_IN_SMTP

from .conftest import ADDRESS
from .fake_microsoft import FakeServer
from .helpers import add_account
from .repair_helpers import CARL, DORA, Repair, add_built_in, built_in, raised


@pytest.fixture
def repair(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Repair:
    """Return a dialog that is not open yet."""
    return Repair(hass, hass_client)


def recipients(entry: MockConfigEntry) -> dict[str, list[str]]:
    """Return the recipients of this integration's account."""
    return {each.title: each.data["recipients"] for each in entry.subentries.values()}


async def test_recipients_and_names_are_copied(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, repair: Repair
) -> None:
    """They become notify entities; the built-in entry stays unchanged, and the issue is over."""
    smtp = built_in(
        CARL,
        DORA,
        ("Again", "carl@example.com"),
        ("Pair", "Anna <anna@example.com>; bert@example.com"),
        ("Broken", "nobody"),
        sender_name="Our house",
        options={"reply_to": "house@example.com", "reply_to_name": "The house", "timeout": 9},
    )
    await add_built_in(hass, smtp)
    before = smtp.as_dict()
    checks = fake_server.connections
    await repair.open(BUILT_IN_SMTP, smtp)
    assert repair.result["step_id"] == "copy"
    assert "does not have here (2)" in repair.text
    assert "Carl, Dora" in repair.text
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert "Carl, Dora" in repair.text
    await hass.async_block_till_done(wait_background_tasks=True)
    assert recipients(account) == {
        "Family": ["anna@example.com", "Bert <bert@example.com>"],
        "Carl": ["carl@example.com"],
        "Dora": ["dora@example.com"],
    }
    assert account.options == {
        "sender_name": "Our house",
        "reply_to": "The house <house@example.com>",
    }
    assert account.state is ConfigEntryState.LOADED
    assert {"notify.carl", "notify.dora"} <= set(hass.states.async_entity_ids("notify"))
    assert fake_server.connections == checks + 1
    assert smtp.as_dict() == before
    assert raised(hass) == []


async def test_names_that_are_taken_or_missing_are_completed(
    hass: HomeAssistant, account: MockConfigEntry, repair: Repair
) -> None:
    """No two recipients of an account have the same name, and existing settings stay."""
    hass.config_entries.async_update_entry(account, options={"sender_name": "Mine"})
    await hass.async_block_till_done(wait_background_tasks=True)
    smtp = built_in(
        ("family", "carl@example.com"),
        ("", "dora@example.com"),
        sender_name="Not mine",
        options={"reply_to": "no address"},
    )
    await add_built_in(hass, smtp)
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert list(recipients(account)) == [
        "Family",
        "family (carl@example.com)",
        "dora@example.com",
    ]
    assert account.options == {"sender_name": "Mine"}


async def test_unloaded_account_gets_the_recipients(
    hass: HomeAssistant, account: MockConfigEntry, repair: Repair
) -> None:
    """It stays unloaded, and has them when it is loaded."""
    smtp = built_in(CARL, sender_name=" \n")
    await add_built_in(hass, smtp)
    assert await hass.config_entries.async_unload(account.entry_id)
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    assert repair.result["type"] == "create_entry"
    assert account.state is ConfigEntryState.NOT_LOADED
    assert "Carl" in recipients(account)
    assert account.options == {}


async def test_account_that_cannot_be_unloaded_is_unchanged(
    hass: HomeAssistant,
    account: MockConfigEntry,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dialog says so, and the issue stays."""
    smtp = built_in(CARL)
    await add_built_in(hass, smtp)

    async def refuse(*_: Any) -> bool:
        return False

    monkeypatch.setattr(hass.config_entries, "async_unload", refuse)
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    monkeypatch.undo()
    assert repair.result["reason"] == "account_not_loaded"
    assert raised(hass) == [BUILT_IN_SMTP]
    assert "Carl" not in recipients(account)


async def test_account_reloaded_by_someone_else_is_not_set_up_twice(
    hass: HomeAssistant,
    account: MockConfigEntry,
    repair: Repair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not set up twice."""
    smtp = built_in(CARL)
    await add_built_in(hass, smtp)
    unload = hass.config_entries.async_unload

    async def bring_back(entry_id: str) -> bool:
        monkeypatch.undo()
        await unload(entry_id)
        return await hass.config_entries.async_setup(entry_id)

    monkeypatch.setattr(hass.config_entries, "async_unload", bring_back)
    await repair.open(BUILT_IN_SMTP, smtp)
    await repair.submit()
    assert repair.result["type"] == "create_entry", account.reason
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account.state is ConfigEntryState.LOADED
    assert "Carl" in recipients(account)


# Without an account of ours


async def test_dialog_leads_to_a_new_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    account_data: dict[str, Any],
    repair: Repair,
) -> None:
    """Once it exists, copying the recipients is offered."""
    smtp = built_in(CARL, username="You@Outlook.com")
    await add_built_in(hass, smtp)
    await repair.open(BUILT_IN_SMTP, smtp)
    assert repair.result["step_id"] == "add_account"
    assert "you@outlook.com" in repair.text
    assert "smtp-mail.outlook.com" in repair.text
    await repair.submit()
    assert repair.result["type"] == "abort"
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_USER
    assert repair.result["next_flow"] == ["config_flow", flow["flow_id"]]
    assert raised(hass) == [BUILT_IN_SMTP]

    add_account(hass, fake_server, account_data, "you@outlook.com")
    await repair.open(BUILT_IN_SMTP, smtp)
    assert repair.result["step_id"] == "copy"
    assert "Carl" in repair.text


async def test_sender_replaces_a_user_name_that_is_no_address(
    hass: HomeAssistant, account: MockConfigEntry, repair: Repair
) -> None:
    """Then the mailbox is the sender's address."""
    smtp = built_in(CARL, username="DOMAIN\\me", sender=ADDRESS.upper())
    await add_built_in(hass, smtp)
    await repair.open(BUILT_IN_SMTP, smtp)
    assert repair.result["step_id"] == "copy"


@pytest.mark.parametrize("what", ["gone", "account gone"])
async def test_dialog_follows_what_happens_meanwhile(
    hass: HomeAssistant, account: MockConfigEntry, repair: Repair, what: str
) -> None:
    """It ends without the old entry, and starts again without the new one."""
    smtp = built_in(CARL)
    await add_built_in(hass, smtp)
    await repair.open(BUILT_IN_SMTP, smtp)
    gone = smtp if what == "gone" else account
    await hass.config_entries.async_remove(gone.entry_id)
    await repair.submit()
    if what == "gone":
        assert repair.result["reason"] == "entry_gone"
    else:
        assert repair.result["step_id"] == "add_account"
