"""The log has one line when something breaks, one when it recovers, and one per lost email."""

from collections.abc import Iterator
import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import outboxes
from custom_components.outlook_smtp.outbox.events import Delivery, Event

from .conftest import ADDRESS, until
from .fake_microsoft import FakeServer, Script, Step
from .helpers import (
    ANNA,
    BERT,
    act,
    defer,
    mailer_of,
    outgoing,
    pass_time,
    until_empty,
    waiting_files,
)

LIMIT = "550 5.1.90 Your message can't be sent because you've reached your daily limit"


@pytest.fixture
def lines(account: MockConfigEntry, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect the log records of our own loggers from level info on."""
    said: list[str] = []

    class LogRecorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(f"{record.levelname} {record.getMessage()}")

    ours = logging.getLogger("custom_components.outlook_smtp")
    caplog.set_level(logging.INFO, ours.name)
    ear = LogRecorder(logging.INFO)
    ours.addHandler(ear)
    yield said
    ours.removeHandler(ear)


async def test_one_line_when_sending_breaks_and_one_when_it_recovers(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, lines: list[str]
) -> None:
    """However many emails are affected, it is logged once; so is its end."""
    fake_server.script = Script(replies={Step.FINAL: LIMIT})
    await defer(account, outgoing("One"), outgoing("Two"))
    await act(hass, "flush_outbox")
    await until(lambda: len(account.runtime_data.coordinator.attempts) > 2)
    await until(lambda: not mailer_of(account).queue.under_way)
    assert lines == [f"INFO {ADDRESS} cannot send mail: daily_limit ({LIMIT})"]
    fake_server.script = Script()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert lines[1:] == [f"INFO {ADDRESS} can send mail again"]


async def test_one_line_when_checks_fail(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, lines: list[str]
) -> None:
    """Repeated failures of checks are not logged again."""
    reply = "535 5.7.139 Authentication unsuccessful"
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
    for _ in range(3):
        await account.runtime_data.coordinator.async_check_now()
    fake_server.mailboxes[ADDRESS].script = Script()
    for _ in range(3):
        await account.runtime_data.coordinator.async_check_now()
    assert lines == [
        f"INFO {ADDRESS} cannot send mail: auth_refused ({reply})",
        f"INFO {ADDRESS} can send mail again",
    ]


async def test_refused_message_is_one_line(
    account: MockConfigEntry, fake_server: FakeServer, lines: list[str]
) -> None:
    """It names the message and quotes the server, whether some recipients or none were accepted."""
    fake_server.script = Script(refuse_recipients={BERT: "550 5.1.1 User unknown"})
    await mailer_of(account).send(outgoing("Door", ANNA, BERT))
    reason = "recipient_refused (550 5.1.1 User unknown)"
    (kept,) = mailer_of(account).queue.failed
    assert lines == [f"WARNING Message {kept.failure.spooled.id} of {ADDRESS} has failed: {reason}"]
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing("Door", BERT))
    assert len(lines) == 2
    assert lines[1].endswith(f"has failed: {reason}")


async def test_expired_message_is_one_line(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    lines: list[str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """It has the last fault."""
    fake_server.script = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
    (receipt,) = await defer(account)
    await pass_time(hass, freezer, hours=48, minutes=1)
    await until(lambda: receipt.id in "".join(lines))
    told = [line for line in lines if receipt.id in line]
    reason = "server_busy (451 4.7.500 Server busy)"
    assert told == [f"WARNING Message {receipt.id} of {ADDRESS} has expired: {reason}"]


async def test_lost_message_is_one_line(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, lines: list[str]
) -> None:
    """What the outbox itself has logged is not logged again."""
    fake_server.stop()
    (receipt,) = await defer(account)
    (file,) = waiting_files(hass, account)
    file.write_bytes(file.read_bytes()[:-1])
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert [line.partition(" ")[0] for line in lines if receipt.id in line] == ["ERROR"]


async def test_renamed_account_has_its_new_name(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, lines: list[str]
) -> None:
    """From the moment that it is renamed."""
    hass.config_entries.async_update_entry(account, title="Alarms")
    await hass.async_block_till_done(wait_background_tasks=True)
    fake_server.script = Script(refuse_recipients={ANNA: "550 5.1.1 User unknown"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(outgoing())
    [line] = lines
    assert " of Alarms has failed: " in line


def test_message_that_expired_untried_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown reason is logged as such; changing numbers are not logged."""
    entry = MockConfigEntry(title=ADDRESS)
    outboxes._warn_of_failure(entry, None)
    assert not caplog.messages
    outboxes._warn_of_failure(
        entry, Delivery(event=Event.EXPIRED, id="3f2a", message_id="<1@x>", recipients=(ANNA,))
    )
    (line,) = caplog.messages
    assert line == f"Message 3f2a of {ADDRESS} has expired: it could not be tried"
