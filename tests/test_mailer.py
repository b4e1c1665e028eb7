"""The mailer: one connection at a time, whatever callers do, and every caller gets a result."""

import asyncio
from dataclasses import replace
import threading

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import mailer as room
from custom_components.outlook_smtp.errors import raise_for_refused
from custom_components.outlook_smtp.mailer import Mailer
from custom_components.outlook_smtp.message.compose import Composed, compose
from custom_components.outlook_smtp.message.mailbox import Mailbox
from custom_components.outlook_smtp.message.outgoing import OutgoingMessage
from custom_components.outlook_smtp.outbox.events import Attempt
from custom_components.outlook_smtp.outbox.queued import Limits

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .outbox.helpers import no_file_larger_than
from .promises import PATIENCE

MESSAGE = OutgoingMessage(to=(Mailbox("anna@example.com"),), title="Door", text="Open")


@pytest.fixture
def mailer(account: MockConfigEntry) -> Mailer:
    """Return the mailer of a loaded account."""
    found: Mailer = account.runtime_data.mailer
    return found


async def test_messages_share_one_connection(mailer: Mailer, fake_server: FakeServer) -> None:
    """Messages sent at once all arrive, and the server never sees two connections."""
    fake_server.script = Script(limit_connections=1)
    connections = fake_server.connections
    tasks = [asyncio.create_task(mailer.send(MESSAGE)) for _ in range(4)]
    seen: set[int] = set()
    while not all(task.done() for task in tasks):
        seen.add(fake_server.open_connections)
        await asyncio.sleep(0)
    receipts = [task.result() for task in tasks]
    assert seen <= {0, 1}
    assert fake_server.connections == connections + 1
    sent = {mail.message["Message-ID"] for mail in fake_server.received}
    assert sent == {receipt.message_id for receipt in receipts}
    assert len(sent) == 4


async def test_message_of_a_canceled_caller_is_sent(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """An automation that restarts in the middle of a send cancels nothing."""
    tasks = [asyncio.create_task(mailer.send(MESSAGE)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    await until(lambda: len(fake_server.received) == 3)
    await until(lambda: not mailer.queue.waiting)


async def test_messages_are_sent_in_the_order_of_the_calls(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """A large one is not overtaken by a small one that was sent a moment later."""
    large = OutgoingMessage(to=MESSAGE.to, title="1", text="x" * 5_000_000)
    small = OutgoingMessage(to=MESSAGE.to, title="2", text="x")
    await asyncio.gather(mailer.send(large), mailer.send(small))
    assert [mail.message["Subject"] for mail in fake_server.received] == ["1", "2"]


async def test_caller_waits_at_most_ten_seconds(
    hass: HomeAssistant, mailer: Mailer, fake_server: FakeServer, freezer: FrozenDateTimeFactory
) -> None:
    """With a silent server, the caller only learns that the message is safe."""
    # The frozen clock is a different one: what was scheduled for later happens now.
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.script_next(Script(stall=Step.GREETING))
    task = asyncio.create_task(mailer.send(MESSAGE))
    await until(lambda: bool(mailer.queue.waiting) and fake_server.open_connections == 1)
    freezer.tick(PATIENCE - 0.1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    freezer.tick(0.2)
    receipt = await task
    assert (receipt.status, receipt.waiting) == ("queued", ("anna@example.com",))
    assert (receipt.problem, receipt.reply) == (None, "")
    freezer.tick(60)
    await until(lambda: mailer.queue.waiting[0].fault is not None)
    freezer.tick(60)
    await until(lambda: len(fake_server.received) == 1)


async def test_refused_and_deferred_recipients_are_distinguished(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """One recipient gets the message, one is refused, and one is deferred."""
    anna, bert, carl = "anna@example.com", "bert@example.com", "carl@example.com"
    fake_server.script = Script(
        refuse_recipients={bert: "550 5.1.1 User unknown", carl: "450 4.2.0 Greylisted"}
    )
    outgoing = OutgoingMessage(
        to=tuple(map(Mailbox, (anna, bert, carl))), title="Door", text="Open"
    )
    receipt = await mailer.send(outgoing)
    assert receipt.status == "partially_sent"
    assert receipt.accepted == (anna,)
    assert list(receipt.refused) == [bert]
    assert receipt.waiting == (carl,)
    assert (receipt.problem, receipt.reply) == ("try_again_later", "450 4.2.0 Greylisted")
    with pytest.raises(HomeAssistantError, match="User unknown") as caught:
        raise_for_refused(receipt)
    assert caught.value.translation_placeholders
    assert caught.value.translation_placeholders["accepted"] == f"{anna}, {carl}"
    response = receipt.as_response()
    assert (response["waiting"], response["problem"]) == ([carl], "try_again_later")


async def test_message_canceled_while_its_caller_waits_is_an_error(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """The caller does not assume that it was sent."""
    fake_server.script_next(Script(stall=Step.GREETING))
    first = asyncio.create_task(mailer.send(MESSAGE))
    second = asyncio.create_task(mailer.send(MESSAGE))
    await until(lambda: len(mailer.queue.waiting) == 2 and fake_server.open_connections == 1)
    await mailer.queue.cancel(mailer.queue.waiting[1].spooled.id)
    with pytest.raises(HomeAssistantError) as caught:
        await second
    assert caught.value.translation_key == "message_cancelled"
    fake_server.hang_up()
    assert (await first).status == "queued"


async def test_message_that_expires_while_its_caller_waits_is_an_error(
    mailer: Mailer, fake_server: FakeServer, freezer: FrozenDateTimeFactory
) -> None:
    """The caller learns that it was not sent, and why."""
    fake_server.script_next(Script(stall=Step.GREETING))
    first = asyncio.create_task(mailer.send(MESSAGE))
    second = asyncio.create_task(mailer.send(replace(MESSAGE, expires_after=2.0)))
    await until(lambda: len(mailer.queue.waiting) == 2 and fake_server.open_connections == 1)
    freezer.tick(3)
    fake_server.hang_up()
    with pytest.raises(HomeAssistantError) as caught:
        await second
    assert caught.value.translation_key == "message_expired"
    assert (await first).status in ("queued", "sent")


async def test_full_outbox_and_full_disk_are_errors(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """The error says how much waits, or quotes the disk's error, and nothing is kept."""
    fake_server.stop()
    mailer.queue.limits = Limits(1, 1_000_000)
    await mailer.send(MESSAGE)
    with pytest.raises(HomeAssistantError, match=r"limit: 1 \(1 MB\)") as full:
        await mailer.send(MESSAGE)
    assert full.value.translation_key == "outbox_full"
    mailer.queue.limits = Limits(10, 1_000_000)
    with (
        no_file_larger_than(10),
        pytest.raises(HomeAssistantError, match="File too large") as unwritable,
    ):
        await mailer.send(MESSAGE)
    assert unwritable.value.translation_key == "outbox_not_writable"
    assert len(mailer.queue.waiting) == 1
    assert len(list((mailer.queue.spool.folder / "waiting").iterdir())) == 1


async def test_composing_does_not_block_the_event_loop(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message of many megabytes does not block Home Assistant while it is built."""
    threads: list[int] = []

    def watched(outgoing: OutgoingMessage, sender: Mailbox, **kwargs: object) -> Composed:
        """Record the thread, then compose."""
        threads.append(threading.get_ident())
        return compose(outgoing, sender, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "compose", watched)
    await mailer.send(MESSAGE)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_size_limit_is_the_servers(
    hass: HomeAssistant, mailer: Mailer, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is Microsoft's until the server announces another, and the server decides."""
    assert mailer.size_limit == fake_server.size
    outgoing = OutgoingMessage(to=MESSAGE.to, title="Log", text="x" * 20_000)
    with monkeypatch.context() as patch:
        patch.setattr(mailer._route, "server_info", None)
        assert mailer.size_limit == 157_286_400
    fake_server.size = 10_000
    connections = fake_server.connections
    with pytest.raises(HomeAssistantError) as caught:
        await mailer.send(outgoing)
    assert caught.value.translation_key == "message_too_large"
    assert fake_server.received == []
    assert mailer.size_limit == 10_000
    with pytest.raises(ServiceValidationError) as refused:
        await mailer.send(outgoing)
    assert refused.value.translation_key == "message_over_limit"
    assert fake_server.connections == connections + 1


async def test_listeners_receive_every_contact_with_the_server(
    mailer: Mailer, fake_server: FakeServer
) -> None:
    """They get its result and its duration, without the time spent waiting for a turn."""
    heard: list[Attempt] = []
    unsubscribe = mailer.worker.subscribe(heard.append)
    await mailer.send(MESSAGE)
    # The session that is kept, and the one that replaces it.
    fake_server.script = Script(drop=Step.MAIL, times=2)
    assert (await mailer.send(MESSAGE)).status == "queued"
    unsubscribe()
    await mailer.send(MESSAGE)
    good, bad = heard
    assert good.fault is None
    assert bad.fault is not None
    assert bad.fault.problem == "connection_lost"
    assert 0 < good.latency < 5


async def test_account_provides_missing_fields(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Its sender name and Reply-To are used if the message has none."""
    hass.config_entries.async_update_entry(
        account, options={"sender_name": "House", "reply_to": "desk@example.com"}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    mailer: Mailer = account.runtime_data.mailer
    await mailer.send(MESSAGE)
    own = OutgoingMessage(
        to=MESSAGE.to,
        title="Door",
        text="!",
        sender_name="Door",
        reply_to=(Mailbox("a@b.example"),),
    )
    await mailer.send(own)
    headers = [(mail.message["From"], mail.message["Reply-To"]) for mail in fake_server.received]
    assert headers == [
        (f"House <{ADDRESS}>", "desk@example.com"),
        (f"Door <{ADDRESS}>", "a@b.example"),
    ]


async def test_content_of_a_message_is_not_logged(
    mailer: Mailer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither content, title nor password is logged, at any level."""
    caplog.set_level("DEBUG")
    receipt = await mailer.send(
        OutgoingMessage(to=MESSAGE.to, title="Top secret", text="The word is sesame")
    )
    for secret in ("Top secret", "sesame", "right-password"):
        assert secret not in caplog.text
        assert secret not in repr(receipt)
