"""The mailer: one connection at a time, whatever callers do, and nobody waits in vain."""

import asyncio
import threading

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import mailer as room
from custom_components.outlook_smtp.mailer import Contact, Mailer
from custom_components.outlook_smtp.message.compose import Composed, compose
from custom_components.outlook_smtp.message.letter import Letter
from custom_components.outlook_smtp.message.mailbox import Mailbox

from .conftest import ADDRESS, until
from .standin import Script, StandIn, Step

LETTER = Letter(to=(Mailbox("anna@example.com"),), title="Door", text="Open")


@pytest.fixture
def mailer(account: MockConfigEntry) -> Mailer:
    """Return the mailer of an account that is set up."""
    found: Mailer = account.runtime_data.mailer
    return found


async def test_letters_take_turns_at_one_connection(mailer: Mailer, standin: StandIn) -> None:
    """Letters sent at once all arrive, and the server never sees two connections."""
    standin.script = Script(limit_connections=1)
    connections = standin.connections
    tasks = [asyncio.create_task(mailer.send(LETTER)) for _ in range(4)]
    seen: set[int] = set()
    while not all(task.done() for task in tasks):
        seen.add(standin.open_connections)
        await asyncio.sleep(0)
    receipts = [task.result() for task in tasks]
    assert seen <= {0, 1}
    assert standin.connections == connections + 4
    sent = {mail.message["Message-ID"] for mail in standin.received}
    assert sent == {receipt.message_id for receipt in receipts}
    assert len(sent) == 4


@pytest.mark.parametrize("step", [Step.GREETING, Step.AUTH, Step.FINAL])
async def test_cancelled_caller_leaves_the_mailer_usable(
    mailer: Mailer, standin: StandIn, step: Step
) -> None:
    """Whatever the server was asked, its connection is closed and the next letter goes out."""
    standin.script_next(Script(stall=step))
    connections = standin.connections
    task = asyncio.create_task(mailer.send(LETTER))
    await until(lambda: standin.connections == connections + 1)
    waiting = asyncio.create_task(mailer.send(LETTER))
    if step is Step.FINAL:
        await until(lambda: any("content" in line for _, line in standin.sessions[-1]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await waiting).accepted == ("anna@example.com",)
    await until(lambda: standin.open_connections == 0)
    assert len(standin.received) == 1


async def test_cancelled_caller_in_the_queue_is_forgotten(mailer: Mailer, standin: StandIn) -> None:
    """Only the letters of those who still wait are sent."""
    tasks = [asyncio.create_task(mailer.send(LETTER)) for _ in range(3)]
    await until(lambda: standin.open_connections == 1)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [
        False,
        True,
        False,
    ]
    assert len(standin.received) == 2


async def test_composing_keeps_off_the_event_loop(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message of many megabytes does not stop Home Assistant while it is built."""
    threads: list[int] = []

    def watched(letter: Letter, sender: Mailbox, **kwargs: object) -> Composed:
        """Note the thread, then compose."""
        threads.append(threading.get_ident())
        return compose(letter, sender, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "compose", watched)
    await mailer.send(LETTER)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_size_limit_is_the_servers(
    hass: HomeAssistant, mailer: Mailer, standin: StandIn
) -> None:
    """It is Microsoft's until the server says another, and the server itself has the last word."""
    assert mailer.size_limit == standin.size
    letter = Letter(to=LETTER.to, title="Log", text="x" * 20_000)
    mailer.server_info = None
    assert mailer.size_limit == room.DEFAULT_SIZE_LIMIT
    standin.size = 10_000
    connections = standin.connections
    with pytest.raises(HomeAssistantError) as caught:
        await mailer.send(letter)
    assert caught.value.translation_key == "message_too_large"
    assert not any(line.startswith("DATA") for _, line in standin.sessions[-1])
    assert mailer.size_limit == 10_000
    with pytest.raises(ServiceValidationError) as refused:
        await mailer.send(letter)
    assert refused.value.translation_key == "message_over_limit"
    assert standin.connections == connections + 1


async def test_listeners_hear_of_every_meeting_with_the_server(
    mailer: Mailer, standin: StandIn
) -> None:
    """They hear how it went and how long it took, without the wait for one's turn."""
    heard: list[Contact] = []
    unsubscribe = mailer.async_subscribe(heard.append)
    await mailer.send(LETTER)
    standin.script_next(Script(drop=Step.MAIL))
    with pytest.raises(HomeAssistantError):
        await mailer.send(LETTER)
    unsubscribe()
    await mailer.send(LETTER)
    good, bad = heard
    assert good.fault is None
    assert bad.fault is not None
    assert bad.fault.problem == "connection_lost"
    assert 0 < good.latency < 5


async def test_account_fills_in_what_a_letter_leaves_open(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn
) -> None:
    """Its sender name and Reply-To stand where the letter has none of its own."""
    hass.config_entries.async_update_entry(
        account, options={"sender_name": "House", "reply_to": "desk@example.com"}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    mailer: Mailer = account.runtime_data.mailer
    await mailer.send(LETTER)
    own = Letter(
        to=LETTER.to, title="Door", text="!", sender_name="Door", reply_to=(Mailbox("a@b.example"),)
    )
    await mailer.send(own)
    headers = [(mail.message["From"], mail.message["Reply-To"]) for mail in standin.received]
    assert headers == [
        (f"House <{ADDRESS}>", "desk@example.com"),
        (f"Door <{ADDRESS}>", "a@b.example"),
    ]


async def test_nothing_of_a_message_is_logged(
    mailer: Mailer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither content nor title nor password is, even where everything is logged."""
    caplog.set_level("DEBUG")
    receipt = await mailer.send(Letter(to=LETTER.to, title="Top secret", text="The code is 0815"))
    for secret in ("Top secret", "0815", "right-password"):
        assert secret not in caplog.text
        assert secret not in repr(receipt)
