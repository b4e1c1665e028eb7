"""The notify entities: one for the account, and one for each recipient."""

from homeassistant.components.notify import ATTR_TITLE_DEFAULT
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .conftest import ADDRESS
from .fake_microsoft import CATALOGUE, FakeServer, Script

ANNA, BERT = "anna@example.com", "bert@example.com"
[UNKNOWN_USER] = [row.reply for row in CATALOGUE if row.name == "recipient_unknown"]


async def notify(hass: HomeAssistant, entity_id: str, **data: str) -> None:
    """Call notify.send_message as an automation does."""
    await hass.services.async_call(
        "notify", "send_message", {"entity_id": entity_id, **data}, blocking=True
    )


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("entity_id", "recipients", "to"),
    [
        ("notify.me_outlook_com", (ADDRESS,), ADDRESS),
        ("notify.family", (ANNA, BERT), f"{ANNA}, Bert <{BERT}>"),
    ],
)
async def test_entity_sends_one_email_to_its_recipients(
    hass: HomeAssistant,
    fake_server: FakeServer,
    entity_id: str,
    recipients: tuple[str, ...],
    to: str,
) -> None:
    """The account's entity emails the account itself; the state shows when that was."""
    await notify(hass, entity_id, message="Wasser läuft aus")
    await notify(hass, entity_id, message="Wasser läuft aus", title="Tür 🚪")
    for received, title in zip(fake_server.received, (ATTR_TITLE_DEFAULT, "Tür 🚪"), strict=True):
        assert (received.sender, received.recipients) == (ADDRESS, recipients)
        assert (received.message["To"], received.message["Subject"]) == (to, title)
        assert received.message.get_content().strip() == "Wasser läuft aus"
    state = hass.states.get(entity_id)
    assert state is not None
    written = dt_util.parse_datetime(state.state, raise_on_error=True)
    assert abs((dt_util.utcnow() - written).total_seconds()) < 5


async def test_entity_names_a_refused_recipient(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The others get the email, so the entity shows it; if no one gets it, it does not."""
    fake_server.script = Script(refuse_recipients=dict.fromkeys((ANNA, BERT), UNKNOWN_USER))
    with pytest.raises(HomeAssistantError, match=rf"no one received .*: {ANNA} \(550 5\.1\.1"):
        await notify(hass, "notify.family", message="Hello")
    assert hass.states.is_state("notify.family", "unknown")
    fake_server.script = Script(refuse_recipients={ANNA: UNKNOWN_USER})
    with pytest.raises(HomeAssistantError, match=rf"sent to {BERT}, but .*: {ANNA} \(550 5\.1\.1"):
        await notify(hass, "notify.family", message="Hello")
    assert fake_server.received[0].recipients == (BERT,)
    assert not hass.states.is_state("notify.family", "unknown")


async def test_title_of_two_lines_becomes_one(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A title cannot start a header."""
    await notify(hass, "notify.family", message="Hello", title="Hi\r\nBcc: x@y.example")
    [mail] = fake_server.received
    assert mail.message["Subject"] == "Hi Bcc: x@y.example"
    assert mail.message["Bcc"] is None
    assert mail.recipients == ("anna@example.com", "bert@example.com")
