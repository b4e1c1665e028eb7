"""The outbox actions: what they return, and which errors they raise."""

import asyncio
from datetime import datetime, timedelta
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.json import json_dumps
from homeassistant.util import dt as dt_util
from homeassistant.util.json import json_loads
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from ..conftest import until
from ..fake_microsoft import FakeServer, Script, Step
from ..helpers import (
    ANNA,
    BERT,
    act,
    add_account,
    ask,
    defer,
    folder_of,
    mailer_of,
    outgoing,
    settle,
    titles,
    until_empty,
    waiting_files,
)

BUSY = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
REFUSED = Script(replies={Step.FINAL: "554 5.6.0 Not like this"})
OVER_LIMIT = Script(replies={Step.RCPT: "550 5.1.90 You reached your daily limit"})

CALLS: tuple[tuple[str, dict[str, str]], ...] = (
    ("flush_outbox", {}),
    ("list_outbox", {}),
    ("cancel_message", {"id": "0"}),
    ("retry_failed", {}),
)


async def call(hass: HomeAssistant, action: str, **fields: str) -> None:
    """Call an action, requesting a response if it returns nothing else."""
    await (ask if action == "list_outbox" else act)(hass, action, **fields)


async def refuse(entry: MockConfigEntry, fake_server: FakeServer, *names: str) -> list[str]:
    """Let messages be refused, and return their IDs in the outbox."""
    fake_server.script = REFUSED
    for name in names:
        with pytest.raises(HomeAssistantError, match="Not like this"):
            await mailer_of(entry).send(outgoing(name))
    fake_server.script = Script()
    failed = mailer_of(entry).queue.failed[-len(names) :]
    return [item.failure.spooled.id for item in failed]


async def test_flush_sends_immediately(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """All waiting messages are sent in order, without waiting for the next retry."""
    fake_server.stop()
    await defer(account, outgoing("First"), outgoing("Second"))
    fake_server.start()
    await act(hass, "flush_outbox", config_entry_id=account.entry_id)
    await until_empty(account)
    assert titles(fake_server) == ["First", "Second"]
    assert waiting_files(hass, account) == []


async def test_flush_ignores_a_hold(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A user who knows that the limit was lifted need not wait for a day."""
    fake_server.mailboxes[account.data["email"]].script = OVER_LIMIT
    await defer(account)
    fake_server.mailboxes[account.data["email"]].script = Script()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert (await ask(hass, "list_outbox"))["hold"] is None
    assert titles(fake_server) == ["Door"]


async def test_waiting_messages_are_listed(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It lists recipients, waiting time, number of attempts and the next attempt."""
    assert await ask(hass, "list_outbox") == {
        "waiting": [],
        "waiting_count": 0,
        "failed": [],
        "failed_count": 0,
        "hold": None,
    }
    fake_server.script = BUSY
    (receipt,) = await defer(account, outgoing("Door", ANNA, f"Bert <{BERT}>", text="The code"))
    response = await ask(hass, "list_outbox", config_entry_id=account.entry_id)
    (waiting,) = response["waiting"]
    next_try = datetime.fromisoformat(waiting.pop("next_try"))
    assert timedelta(seconds=12) <= next_try - dt_util.utcnow() <= timedelta(seconds=18)
    (item,) = mailer_of(account).queue.waiting
    assert waiting == {
        "id": receipt.id,
        "created": dt_util.utcnow().isoformat(),
        "to": [ANNA, f"Bert <{BERT}>"],
        "title": "Door",
        "waiting": [ANNA, BERT],
        "size": item.entry.size,
        "attempts": 1,
        "last_reply": "451 4.7.500 Server busy",
        "problem": "server_busy",
    }
    assert response["hold"] is None
    assert "The code" not in str(response)


async def test_titles_and_names_in_the_list_are_json(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Lone surrogates would break every page that shows the list; they are replaced."""
    fake_server.script = BUSY
    await defer(account, outgoing("Cut \ud83d\n", f"An\udfe0na\t <{ANNA}>"))
    response = await ask(hass, "list_outbox")
    assert json_loads(json_dumps(response)) == response
    [waiting] = response["waiting"]
    assert (waiting["title"], waiting["to"]) == ("Cut \ufffd", [f"An\ufffdna <{ANNA}>"])


async def test_held_messages_are_listed(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A hold is listed with its reason and its end, which is the time of the next attempt."""
    fake_server.script = OVER_LIMIT
    await defer(account)
    response = await ask(hass, "list_outbox")
    until_then = (dt_util.utcnow() + timedelta(days=1)).isoformat()
    assert response["hold"] == {
        "problem": "daily_limit",
        "reply": "550 5.1.90 You reached your daily limit",
        "until": until_then,
    }
    assert [item["next_try"] for item in response["waiting"]] == [until_then]


async def test_messages_held_until_a_person_acts_are_listed(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A hold without an end has neither an end nor a next attempt."""
    fake_server.mailboxes[account.data["email"]].password = "changed"
    await defer(account)
    response = await ask(hass, "list_outbox")
    assert response["hold"]["problem"] == "invalid_credentials"
    assert response["hold"]["until"] is None
    assert [item["next_try"] for item in response["waiting"]] == [None]


async def test_failed_messages_are_listed(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """It lists the recipients, the time and the reason of the failure."""
    fake_server.script = Script(refuse_recipients={BERT: "550 5.1.1 Unknown"})
    await mailer_of(account).send(outgoing("Door", ANNA, BERT, text="The code"))
    response = await ask(hass, "list_outbox")
    (item,) = mailer_of(account).queue.failed
    assert response["waiting"] == []
    assert response["failed"] == [
        {
            "id": item.failure.spooled.id,
            "created": dt_util.utcnow().isoformat(),
            "to": [ANNA, BERT],
            "title": "Door",
            "recipients": [BERT],
            "size": item.failure.spooled.entry.size,
            "failed": dt_util.utcnow().isoformat(),
            "outcome": "refused",
            "problem": "recipient_refused",
            "last_reply": "550 5.1.1 Unknown",
        }
    ]
    assert "The code" not in str(response)


async def test_waiting_messages_are_listed_after_a_restart(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The server's earlier reply is not known after a restart, and is not made up."""
    fake_server.stop()
    await defer(account)
    mailer_of(account).queue.waiting[0].fault = None
    (waiting,) = (await ask(hass, "list_outbox"))["waiting"]
    assert (waiting["last_reply"], waiting["problem"]) == (None, None)


async def test_canceled_message_is_not_sent(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It is gone from the list and from the disk; the others are sent."""
    fake_server.stop()
    first, _ = await defer(account, outgoing("First"), outgoing("Second"))
    await act(hass, "cancel_message", config_entry_id=account.entry_id, id=first.id)
    (file,) = waiting_files(hass, account)
    assert first.id not in file.name
    fake_server.start()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert titles(fake_server) == ["Second"]


async def test_canceled_failed_message_is_deleted(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A failed message need not stay for a week."""
    (failed,) = await refuse(account, fake_server, "Door")
    await act(hass, "cancel_message", id=failed)
    assert (await ask(hass, "list_outbox"))["failed"] == []
    assert list((folder_of(hass, account) / "failed").iterdir()) == []


async def test_message_in_progress_cannot_be_canceled(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The server may already have it; a list requested meanwhile has no next attempt."""
    fake_server.script_next(Script(stall=Step.FINAL))
    task = asyncio.create_task(mailer_of(account).send(outgoing()))
    queue = mailer_of(account).queue
    await until(lambda: bool(queue.under_way))
    (waiting,) = (await ask(hass, "list_outbox"))["waiting"]
    assert waiting["next_try"] is None
    with pytest.raises(ServiceValidationError, match="is being sent right now") as caught:
        await act(hass, "cancel_message", id=waiting["id"])
    assert caught.value.translation_placeholders == {"field": "id", "value": waiting["id"]}
    await until(lambda: any("content" in line for _, line in fake_server.sessions[-1]))
    fake_server.hang_up()
    assert (await task).problem == "answer_lost"
    await act(hass, "cancel_message", id=waiting["id"])
    assert fake_server.received == []


async def test_failed_message_is_retried(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The response counts the one message that was named."""
    first, second = await refuse(account, fake_server, "First", "Second")
    response = await ask(hass, "retry_failed", config_entry_id=account.entry_id, id=second)
    assert response == {"count": 1}
    await until_empty(account)
    assert titles(fake_server) == ["Second"]
    await act(hass, "retry_failed", id=first)
    await until_empty(account)
    assert titles(fake_server) == ["Second", "First"]


async def test_all_failed_messages_are_retried(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Without an ID, all are retried in the order of their failure; none is not an error."""
    await refuse(account, fake_server, "First", "Second")
    assert await ask(hass, "retry_failed") == {"count": 2}
    await until_empty(account)
    assert titles(fake_server) == ["First", "Second"]
    assert await ask(hass, "retry_failed") == {"count": 0}


async def test_empty_id_does_not_select_all_messages(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A template that renders to nothing does not retry all messages."""
    await refuse(account, fake_server, "First", "Second")
    with pytest.raises(vol.Invalid, match="id"):
        await act(hass, "retry_failed", id="")
    assert len((await ask(hass, "list_outbox"))["failed"]) == 2


async def test_retry_without_room_keeps_the_failed_messages(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The error says which limit is reached and what to do; nothing is lost."""
    await refuse(account, fake_server, "First", "Second")
    hass.config_entries.async_update_entry(account, options={"max_messages": 2})
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.stop()
    await defer(account)
    with pytest.raises(HomeAssistantError, match="The outbox is full") as caught:
        await act(hass, "retry_failed")
    assert caught.value.translation_key == "outbox_full"
    response = await ask(hass, "list_outbox")
    assert [item["title"] for item in response["waiting"]] == ["Door", "First"]
    assert [item["title"] for item in response["failed"]] == ["Second"]


async def test_retry_reports_a_disk_error(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The error names the folder and the reason."""
    (failed,) = await refuse(account, fake_server, "Door")
    shutil.rmtree(folder_of(hass, account) / "waiting")
    with pytest.raises(HomeAssistantError, match="cannot be written to") as caught:
        await act(hass, "retry_failed", id=failed)
    assert caught.value.translation_key == "outbox_not_writable"
    assert [item["id"] for item in (await ask(hass, "list_outbox"))["failed"]] == [failed]


@pytest.mark.parametrize("action", ["cancel_message", "retry_failed"])
@pytest.mark.usefixtures("account")
async def test_unknown_message(hass: HomeAssistant, action: str) -> None:
    """The error names the field, and says where to find IDs."""
    with pytest.raises(ServiceValidationError, match="list_outbox") as caught:
        await act(hass, action, id="nobody")
    assert caught.value.translation_key == "unknown_message"
    assert caught.value.translation_placeholders == {"field": "id", "value": "nobody"}


async def test_account_must_exist(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    account_data: dict[str, Any],
) -> None:
    """With several accounts, one must be given, and it must exist."""

    async def check(key: str, **account: str) -> None:
        """Check the error of each action for an account."""
        for action, fields in CALLS:
            with pytest.raises(ServiceValidationError, match="config_entry_id") as caught:
                await call(hass, action, **fields, **account)
            assert caught.value.translation_key == key, action

    await check("unknown_account", config_entry_id="nobody")
    await settle(hass, add_account(hass, fake_server, account_data, "you@outlook.com"))
    await check("several_accounts")
    assert await hass.config_entries.async_unload(account.entry_id)
    await check("account_not_loaded", config_entry_id=account.entry_id)


async def test_action_only_affects_the_given_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    account_data: dict[str, Any],
) -> None:
    """Another account's outbox is neither listed nor changed."""
    other = add_account(hass, fake_server, account_data, "you@outlook.com")
    await settle(hass, other)
    fake_server.stop()
    (receipt,) = await defer(account)
    mine, yours = [
        await ask(hass, "list_outbox", config_entry_id=entry.entry_id) for entry in (account, other)
    ]
    assert [item["id"] for item in mine["waiting"]] == [receipt.id]
    assert yours["waiting"] == []
    with pytest.raises(ServiceValidationError):
        await act(hass, "cancel_message", config_entry_id=other.entry_id, id=receipt.id)
