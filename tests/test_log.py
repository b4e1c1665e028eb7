"""The log has one line when something breaks, one when it heals, and one for each mail lost."""

from collections.abc import Iterator
import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.outlook_smtp import queues
from custom_components.outlook_smtp.outbox.delivery import Delivery, Event

from .conftest import ADDRESS, until
from .helpers import (
    ANNA,
    BERT,
    act,
    letter,
    mailer_of,
    pass_time,
    put_off,
    until_empty,
    waiting_files,
)
from .standin import Script, StandIn, Step

LIMIT = "550 5.1.90 Your message can't be sent because you've reached your daily limit"


@pytest.fixture
def lines(account: MockConfigEntry, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect what our own loggers say from level info on."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(f"{record.levelname} {record.getMessage()}")

    ours = logging.getLogger("custom_components.outlook_smtp")
    caplog.set_level(logging.INFO, ours.name)
    ear = Ear(logging.INFO)
    ours.addHandler(ear)
    yield said
    ours.removeHandler(ear)


async def test_one_line_when_sending_breaks_and_one_when_it_heals(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, lines: list[str]
) -> None:
    """However many mails meet the trouble, it is told once; so is its end."""
    standin.script = Script(replies={Step.FINAL: LIMIT})
    await put_off(account, letter("One"), letter("Two"))
    await act(hass, "flush_outbox")
    await until(lambda: len(account.runtime_data.contacts) > 2)
    await until(lambda: not mailer_of(account).queue.under_way)
    assert lines == [f"INFO {ADDRESS} cannot send mail: daily_limit ({LIMIT})"]
    standin.script = Script()
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert lines[1:] == [f"INFO {ADDRESS} can send mail again"]


async def test_one_line_when_checks_fail(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, lines: list[str]
) -> None:
    """Checks that fail again and again are no news."""
    reply = "535 5.7.139 Authentication unsuccessful"
    standin.mailboxes[ADDRESS].script = Script(replies={Step.AUTH: reply})
    for _ in range(3):
        await account.runtime_data.async_check_now()
    standin.mailboxes[ADDRESS].script = Script()
    for _ in range(3):
        await account.runtime_data.async_check_now()
    assert lines == [
        f"INFO {ADDRESS} cannot send mail: auth_refused ({reply})",
        f"INFO {ADDRESS} can send mail again",
    ]


async def test_a_refused_message_is_one_line(
    account: MockConfigEntry, standin: StandIn, lines: list[str]
) -> None:
    """It names the message and quotes the server, whether some get it or nobody does."""
    standin.script = Script(refuse_recipients={BERT: "550 5.1.1 User unknown"})
    await mailer_of(account).send(letter("Door", ANNA, BERT))
    reason = "recipient_refused (550 5.1.1 User unknown)"
    (kept,) = mailer_of(account).queue.failed
    assert lines == [
        f"WARNING The message {kept.failure.spooled.id} of {ADDRESS} has failed: {reason}"
    ]
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(letter("Door", BERT))
    assert len(lines) == 2
    assert lines[1].endswith(f"has failed: {reason}")


async def test_an_expired_message_is_one_line(
    hass: HomeAssistant,
    account: MockConfigEntry,
    standin: StandIn,
    lines: list[str],
    freezer: FrozenDateTimeFactory,
) -> None:
    """It says what stood in the way until the end."""
    standin.script = Script(replies={Step.GREETING: "451 4.7.500 Server busy"})
    (receipt,) = await put_off(account)
    await pass_time(hass, freezer, hours=48, minutes=1)
    await until(lambda: receipt.id in "".join(lines))
    told = [line for line in lines if receipt.id in line]
    reason = "server_busy (451 4.7.500 Server busy)"
    assert told == [f"WARNING The message {receipt.id} of {ADDRESS} has expired: {reason}"]


async def test_a_lost_message_is_one_line(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, lines: list[str]
) -> None:
    """What the outbox itself has said is not said again."""
    standin.stop()
    (receipt,) = await put_off(account)
    (file,) = waiting_files(hass, account)
    file.write_bytes(file.read_bytes()[:-1])
    await act(hass, "flush_outbox")
    await until_empty(account)
    assert [line.partition(" ")[0] for line in lines if receipt.id in line] == ["ERROR"]


async def test_a_renamed_account_has_its_new_name(
    hass: HomeAssistant, account: MockConfigEntry, standin: StandIn, lines: list[str]
) -> None:
    """From the moment that it is renamed."""
    hass.config_entries.async_update_entry(account, title="Alarms")
    await hass.async_block_till_done(wait_background_tasks=True)
    standin.script = Script(refuse_recipients={ANNA: "550 5.1.1 User unknown"})
    with pytest.raises(HomeAssistantError):
        await mailer_of(account).send(letter())
    [line] = lines
    assert " of Alarms has failed: " in line


def test_a_message_that_expired_without_a_try(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is known of the reason, that is said; numbers that change are no news."""
    entry = MockConfigEntry(title=ADDRESS)
    queues._warn_of_failure(entry, None)
    assert not caplog.messages
    queues._warn_of_failure(
        entry, Delivery(event=Event.EXPIRED, id="3f2a", message_id="<1@x>", recipients=(ANNA,))
    )
    (line,) = caplog.messages
    assert line == f"The message 3f2a of {ADDRESS} has expired: it could not be tried"
