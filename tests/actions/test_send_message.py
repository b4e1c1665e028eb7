"""The action outlook_smtp.send_message: one email with any number of fields."""

from email.message import EmailMessage
from itertools import product
import json
from pathlib import Path
from typing import Any, Final

from homeassistant.components.notify import DATA_COMPONENT, NotifyEntity
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    selector,
)
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.outlook_smtp.actions.send_message import SEND_MESSAGE_FIELDS
from custom_components.outlook_smtp.const import CONF_RECIPIENTS, DOMAIN, SUBENTRY_RECIPIENT
from custom_components.outlook_smtp.mailer import PRODUCT

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import CATALOGUE, FakeServer, Script

ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"
ME, FAMILY = "notify.me_outlook_com", "notify.family"
[UNKNOWN_USER] = [row.reply for row in CATALOGUE if row.name == "recipient_unknown"]


async def send(hass: HomeAssistant, response: bool = False, **fields: Any) -> dict[str, Any]:
    """Call the action as an automation does, with a message unless that is None."""
    data = {"message": "Hello"} | fields
    answer = await hass.services.async_call(
        DOMAIN, "send_message", data, blocking=True, return_response=response
    )
    return answer or {}


async def sent(hass: HomeAssistant, fake_server: FakeServer, **data: Any) -> EmailMessage:
    """Call the action, and return the one sent message."""
    fake_server.received.clear()
    await send(hass, **data)
    [received] = fake_server.received
    return received.message


@pytest.fixture
async def second_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    account_data: dict[str, Any],
    fake_server: FakeServer,
) -> MockConfigEntry:
    """Return another loaded account, whose recipient is Carl."""
    fake_server.add_mailbox("other@outlook.com", PASSWORD)
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="other@outlook.com",
        unique_id="other@outlook.com",
        data=account_data | {"email": "other@outlook.com"},
        subentries_data=[
            {
                "data": {CONF_RECIPIENTS: [CARL]},
                "subentry_type": SUBENTRY_RECIPIENT,
                "title": "Carl",
                "unique_id": None,
            }
        ],
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


WAYS: Final[tuple[tuple[dict[str, Any], tuple[str, ...], str], ...]] = (
    ({"entity_id": FAMILY}, (ANNA, BERT), f"{ANNA}, Bert <{BERT}>"),
    ({"entity_id": ME}, (ADDRESS,), ADDRESS),
    ({"entity_id": [ME, FAMILY]}, (ANNA, BERT, ADDRESS), f"{ANNA}, Bert <{BERT}>, {ADDRESS}"),
    ({"entity_id": "all"}, (ANNA, BERT, ADDRESS), f"{ANNA}, Bert <{BERT}>, {ADDRESS}"),
    ({"entity_id": "group.home"}, (ANNA, BERT), f"{ANNA}, Bert <{BERT}>"),
    ({"to": CARL}, (CARL,), CARL),
    ({"to": [CARL, BERT]}, (CARL, BERT), f"{CARL}, {BERT}"),
    ({"to": f"{CARL}, Bert <{BERT}>"}, (CARL, BERT), f"{CARL}, Bert <{BERT}>"),
    ({"to": f'"Doe; Carl, jr." <{CARL}>'}, (CARL,), f'"Doe; Carl, jr." <{CARL}>'),
    ({"to": f"{CARL} <{CARL}>"}, (CARL,), f'"{CARL}" <{CARL}>'),
    ({"to": f'Dr. "Carl" Doe <{CARL}>'}, (CARL,), f'"Dr. Carl Doe" <{CARL}>'),
    ({"to": f"{CARL} (Carl)"}, (CARL,), f"Carl <{CARL}>"),
    ({"to": f"Doe:\n{CARL}, {BERT}; {ANNA}"}, (CARL, BERT, ANNA), f"{CARL}, {BERT}, {ANNA}"),
    ({"to": f"Does: {FAMILY}, {CARL};"}, (ANNA, BERT, CARL), f"{ANNA}, Bert <{BERT}>, {CARL}"),
    ({"to": FAMILY}, (ANNA, BERT), f"{ANNA}, Bert <{BERT}>"),
    ({"to": f"{CARL},Notify.Family ; "}, (ANNA, BERT, CARL), f"{ANNA}, Bert <{BERT}>, {CARL}"),
    (
        {"to": [ME, "notify.family,"]},
        (ADDRESS, ANNA, BERT),
        f"{ADDRESS}, {ANNA}, Bert <{BERT}>",
    ),
    ({"entity_id": FAMILY, "to": CARL}, (ANNA, BERT, CARL), f"{ANNA}, Bert <{BERT}>, {CARL}"),
    ({"entity_id": ME, "to": [ADDRESS, ME]}, (ADDRESS,), ADDRESS),
    (
        {"to": "Jürgen Groß <jg@bücher.example>"},
        ("jg@xn--bcher-kva.example",),
        "Jürgen Groß <jg@xn--bcher-kva.example>",
    ),
)


@pytest.mark.usefixtures("account", "no_pace")
async def test_recipients_can_be_given_in_many_ways(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """However recipients are given, one email is sent, and each gets it once."""
    groups = {"group": {"home": {"entities": [FAMILY]}}}
    assert await async_setup_component(hass, "group", groups)
    for data, recipients, to in WAYS:
        with subtests.test(str(data)):
            message = await sent(hass, fake_server, **data)
            assert fake_server.received[0].recipients == recipients
            assert message["To"] == to


@pytest.mark.usefixtures("account")
async def test_line_breaks_in_headers_become_spaces(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """Title and names are kept on one line, and cannot add recipients."""
    broken = "Hi\r\nBcc:\tx@y.example\0"
    message = await sent(
        hass,
        fake_server,
        to=f"Carl\n Doe <{CARL}>",
        reply_to=f'"Bert\r\nDoe" <{BERT}>',
        title=broken,
        sender_name=broken,
    )
    assert fake_server.received[0].recipients == (CARL,)
    assert message["To"] == f"Carl Doe <{CARL}>"
    assert message["Reply-To"] == f"Bert Doe <{BERT}>"
    assert message["Subject"] == "Hi Bcc: x@y.example"
    assert message["From"] == f'"Hi Bcc: x@y.example" <{ADDRESS}>'
    assert "Bcc" not in message


@pytest.mark.parametrize(
    ("device", "recipients"), [("Family", (ANNA, BERT)), (ADDRESS, (ADDRESS,))]
)
async def test_device_or_area_selects_its_recipients(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    device: str,
    recipients: tuple[str, ...],
) -> None:
    """Sensors and notifiers of other integrations in the area are ignored."""
    device_registry = dr.async_get(hass)
    [found] = [
        item
        for item in dr.async_entries_for_config_entry(device_registry, account.entry_id)
        if item.name == device
    ]
    await send(hass, device_id=found.id)
    area = ar.async_get(hass).async_create("Kitchen")
    device_registry.async_update_device(found.id, area_id=area.id)
    entity_registry = er.async_get(hass)
    phone = entity_registry.async_get_or_create("notify", "mobile_app", "phone")
    entity_registry.async_update_entity(phone.entity_id, area_id=area.id)
    await send(hass, area_id=[area.id, "of_yesterday"])
    assert [mail.recipients for mail in fake_server.received] == [recipients, recipients]


@pytest.mark.usefixtures("no_pace")
async def test_excluded_targets_get_no_email(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    subtests: pytest.Subtests,
) -> None:
    """Everything that `exclude` resolves to is removed from the targets."""
    groups = {"group": {"home": {"entities": [FAMILY]}}}
    assert await async_setup_component(hass, "group", groups)
    entity_registry, device_registry = er.async_get(hass), dr.async_get(hass)
    house = ar.async_get(hass).async_create("House")
    attic = ar.async_get(hass).async_create("Attic")
    entity_registry.async_update_entity(FAMILY, labels={"quiet"})
    devices = {}
    for entity_id, area in ((ME, house), (FAMILY, attic)):
        entity = entity_registry.async_get(entity_id)
        assert entity
        assert entity.device_id
        devices[entity_id] = entity.device_id
        device_registry.async_update_device(entity.device_id, area_id=area.id)
    excluded: tuple[dict[str, Any], ...] = (
        {"entity_id": FAMILY},
        {"entity_id": ["group.home"]},
        {"device_id": devices[FAMILY]},
        {"area_id": [attic.id]},
        {"label_id": "quiet"},
    )
    included: tuple[dict[str, Any], ...] = (
        {"entity_id": "all"},
        {"entity_id": [ME, FAMILY]},
        {"area_id": [house.id, attic.id]},
    )
    for target, exclude in product(included, excluded):
        with subtests.test(f"{target} without {exclude}"):
            await sent(hass, fake_server, **target, exclude=exclude)
            assert fake_server.received[0].recipients == (ADDRESS,)


async def test_bcc_is_in_no_header(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Everyone gets the email, but only to and cc are visible."""
    message = await sent(hass, fake_server, to=CARL, cc=f"Anna <{ANNA}>", bcc=[BERT, ME])
    assert message["To"] == CARL
    assert message["Cc"] == f"Anna <{ANNA}>"
    assert message["Bcc"] is None
    [received] = fake_server.received
    assert received.recipients == (CARL, ANNA, BERT, ADDRESS)
    assert BERT.encode() not in received.content


@pytest.mark.parametrize("field", ["cc", "bcc"])
async def test_copies_alone_are_enough(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, field: str
) -> None:
    """An email needs no other recipients than those of a copy."""
    message = await sent(hass, fake_server, **{field: ANNA})
    assert fake_server.received[0].recipients == (ANNA,)
    assert message["To"] == (None if field == "cc" else "undisclosed-recipients:;")


async def test_account_is_the_one_given_or_that_of_the_entities(
    hass: HomeAssistant,
    account: MockConfigEntry,
    second_account: MockConfigEntry,
    fake_server: FakeServer,
) -> None:
    """Accounts that are not loaded or do not exist raise their own errors."""
    await send(hass, config_entry_id=account.entry_id, to=CARL)
    await send(hass, config_entry_id=account.entry_id, entity_id="notify.carl")
    await send(hass, entity_id="notify.carl")
    await send(hass, bcc="notify.carl")
    await send(hass, entity_id=FAMILY, to=CARL)
    assert [mail.sender for mail in fake_server.received] == [
        ADDRESS,
        ADDRESS,
        "other@outlook.com",
        "other@outlook.com",
        ADDRESS,
    ]
    fake_server.received.clear()
    for data in ({"to": CARL}, {"entity_id": [FAMILY, "notify.carl"]}):
        with pytest.raises(ServiceValidationError, match="config_entry_id: more than one account"):
            await send(hass, **data)
    await hass.config_entries.async_set_disabled_by(account.entry_id, ConfigEntryDisabler.USER)
    with pytest.raises(ServiceValidationError, match=f"the account {ADDRESS} is not loaded"):
        await send(hass, config_entry_id=account.entry_id, to=CARL)
    assert fake_server.received == []
    await send(hass, to=CARL)
    assert fake_server.received[0].sender == "other@outlook.com"
    assert await hass.config_entries.async_unload(second_account.entry_id)
    with pytest.raises(ServiceValidationError, match="config_entry_id: no account is loaded"):
        await send(hass, to=CARL)


async def test_all_fields_arrive(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Subject, names, priority, reply address and the usual headers are as requested."""
    before = dt_util.utcnow().replace(microsecond=0)
    message = await sent(
        hass,
        fake_server,
        to=f"Zoë Ångström <{ANNA}>",
        title="Tür geöffnet 🚪",
        message="Jemand hat geläutet.\nZweite Zeile 🔔",
        html="<p>Jemand hat <b>geläutet</b>.</p>",
        priority="high",
        reply_to=f"Büro <{BERT}>, {CARL}",
        sender_name="Haus Müller",
    )
    assert message["Subject"] == "Tür geöffnet 🚪"
    assert message["From"] == f"Haus Müller <{ADDRESS}>"
    assert message["To"] == f"Zoë Ångström <{ANNA}>"
    assert message["Reply-To"] == f"Büro <{BERT}>, {CARL}"
    assert (message["X-Priority"], message["Importance"]) == ("2 (High)", "high")
    assert message["X-Mailer"] == PRODUCT
    assert before <= message["Date"].datetime <= dt_util.utcnow()
    text, html = message.iter_parts()
    assert text.get_content().split("\r\n") == ["Jemand hat geläutet.", "Zweite Zeile 🔔", ""]
    assert html.get_content().strip() == "<p>Jemand hat <b>geläutet</b>.</p>"
    assert fake_server.received[0].content.split(b"\r\n\r\n")[0].isascii()


async def test_html_alone_gets_a_text_alternative(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The text says what the HTML says; title, sender and priority have their defaults."""
    message = await sent(
        hass, fake_server, to=ANNA, message=None, html="<h1>Door</h1><p>It is <b>open</b>.</p>"
    )
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().split() == ["Door", "It", "is", "open."]
    assert message["Subject"] == "Home Assistant"
    assert message["From"] == ADDRESS
    assert message["X-Priority"] is None


async def test_response_reports_the_outcome(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """It has both Message-IDs, all accepted recipients and the server's reply."""
    response = await send(hass, response=True, entity_id=FAMILY)
    [received] = fake_server.received
    assert response.pop("reply").endswith(f"2.0.0 OK {received.message_id_given}")
    assert response.pop("id")
    assert response == {
        "status": "sent",
        "problem": None,
        "waiting": [],
        "message_id": received.message["Message-ID"],
        "server_message_id": received.message_id_given,
        "accepted": [ANNA, BERT],
        "refused": [],
        "missing_attachments": [],
    }


async def test_refused_recipient_does_not_affect_the_others(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The error names the refused recipient and quotes the server; a response does the same."""
    fake_server.script = Script(refuse_recipients={BERT: UNKNOWN_USER})
    with pytest.raises(HomeAssistantError) as caught:
        await send(hass, to=[ANNA, BERT, CARL])
    assert not isinstance(caught.value, ServiceValidationError)
    assert caught.value.translation_key == "some_recipients_refused"
    assert str(caught.value) == (
        f"The email was sent to {ANNA}, {CARL}, but the server refused: "
        f"{BERT} (550 5.1.1 User unknown)"
    )
    response = await send(hass, response=True, to=[ANNA, BERT, CARL])
    assert response["status"] == "partially_sent"
    assert response["accepted"] == [ANNA, CARL]
    assert response["refused"] == [{"recipient": BERT, "reply": "550 5.1.1 User unknown"}]
    assert json.loads(json.dumps(response)) == response
    assert [mail.recipients for mail in fake_server.received] == [(ANNA, CARL)] * 2


@pytest.mark.parametrize("response", [False, True])
async def test_email_without_any_accepted_recipient_is_an_error(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, response: bool
) -> None:
    """It lists every recipient with the server's reply, and no entity is updated."""
    fake_server.script = Script(refuse_recipients=dict.fromkeys((ANNA, BERT), UNKNOWN_USER))
    with pytest.raises(HomeAssistantError, match="no one received the email") as caught:
        await send(hass, response, entity_id=FAMILY)
    for address in (ANNA, BERT):
        assert f"{address} (550 5.1.1 User unknown)" in str(caught.value)
    assert fake_server.received == []
    assert hass.states.is_state(FAMILY, "unknown")


async def test_entities_show_when_they_were_last_used(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Targets and entities in a field are updated; one without an accepted recipient is not."""
    fake_server.script = Script(refuse_recipients={ADDRESS: UNKNOWN_USER})
    await send(hass, response=True, entity_id=ME, bcc=FAMILY)
    assert hass.states.is_state(ME, "unknown")
    state = hass.states.get(FAMILY)
    assert state is not None
    written = dt_util.parse_datetime(state.state)
    assert written is not None
    assert abs((dt_util.utcnow() - written).total_seconds()) < 5


BAD: Final[tuple[tuple[dict[str, Any], str, dict[str, str]], ...]] = (
    ({}, "no_recipient", {"field": "to", "value": ""}),
    ({"to": [" , ", ""]}, "no_recipient", {"field": "to"}),
    ({"entity_id": "none"}, "no_recipient", {"field": "to"}),
    ({"entity_id": ME, "exclude": {"entity_id": [ME]}}, "no_recipient", {"field": "to"}),
    ({"exclude": {"entity_id": [ME]}}, "no_recipient", {"field": "to"}),
    ({"to": "anna"}, "missing_at", {"field": "to", "value": "anna"}),
    ({"to": ANNA, "cc": "Bert <b@>"}, "nothing_after_at", {"field": "cc", "value": "b@"}),
    ({"to": ANNA, "bcc": "b@c@d.e"}, "several_at", {"field": "bcc", "value": "b@c@d.e"}),
    ({"to": ANNA, "reply_to": "b"}, "missing_at", {"field": "reply_to", "value": "b"}),
    ({"to": f"{ANNA}, b@x"}, "invalid_domain", {"field": "to", "value": "b@x"}),
    ({"to": f"{ANNA}\r\nBcc: {BERT}"}, "line_break", {"field": "to"}),
    (
        {"bcc": [f"user{number}@example.com" for number in range(101)]},
        "too_many_recipients",
        {"field": "bcc", "value": "101"},
    ),
    ({"to": ANNA, "message": None}, "no_content", {"field": "message"}),
    ({"to": ANNA, "message": "", "html": ""}, "no_content", {"field": "message"}),
    (
        {"to": ANNA, "config_entry_id": "01ABC"},
        "unknown_account",
        {"field": "config_entry_id", "value": "01ABC"},
    ),
    (
        {"entity_id": "notify.phone"},
        "not_a_recipient",
        {"field": "target", "value": "notify.phone"},
    ),
    ({"entity_id": "light.hall"}, "not_a_recipient", {"value": "light.hall"}),
    ({"cc": "notify.phone"}, "not_a_recipient", {"field": "cc", "value": "notify.phone"}),
    ({"to": "notify.nobody"}, "not_a_recipient", {"field": "to", "value": "notify.nobody"}),
)


@pytest.mark.usefixtures("account")
async def test_bad_input_is_rejected_before_anything_is_sent(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """The translated error names the field, and nothing reaches the server."""
    phone = NotifyEntity()
    phone.entity_id = "notify.phone"
    await hass.data[DATA_COMPONENT].async_add_entities([phone])
    connections = fake_server.connections
    for data, key, placeholders in BAD:
        with subtests.test(f"{key}: {data}"):
            with pytest.raises(ServiceValidationError) as caught:
                await send(hass, **data)
            error = caught.value
            assert (error.translation_domain, error.translation_key) == (DOMAIN, key)
            assert error.translation_placeholders
            assert error.translation_placeholders.items() >= placeholders.items()
            assert str(error).startswith(f"{error.translation_placeholders['field']}: ")
            assert fake_server.received == []
            assert fake_server.connections == connections


@pytest.mark.usefixtures("no_pace")
async def test_empty_values_count_as_absent(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    subtests: pytest.Subtests,
) -> None:
    """Templates yield several kinds of empty values; the rest of the email is sent."""
    file = Path(hass.config.path("log.txt"))
    hass.config.allowlist_external_dirs = {hass.config.config_dir}
    await hass.async_add_executor_job(file.write_text, "log")
    for nothing in (None, "", [], (), [None, ""]):
        with subtests.test(repr(nothing)):
            absent = dict.fromkeys(("filename", "content_id", "media_source"), nothing)
            attachments = [{"path": str(file), **absent}, {"path": nothing}, {}]
            fields: dict[str, Any] = dict.fromkeys(map(str, SEND_MESSAGE_FIELDS), nothing)
            given = {"message": "!", "bcc": ANNA, "attachments": attachments}
            first = await sent(hass, fake_server, **fields | given)
            assert fake_server.received[0].recipients == (ANNA,)
            assert [part.get_filename() for part in first.iter_attachments()] == ["log.txt"]
            second = await sent(hass, fake_server, **fields | {"to": ANNA, "html": "<b>!</b>"})
            assert fake_server.received[0].recipients == (ANNA,)
            assert second.get_content_type() == "multipart/alternative"
            for message in (first, second):
                assert (message["Subject"], message["From"]) == ("Home Assistant", ADDRESS)
                for field in ("Cc", "Reply-To", "X-Priority"):
                    assert message[field] is None


async def test_any_sequence_is_accepted_as_a_list(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A tuple from a template gives the same recipients as a list."""
    for several in ((ANNA, BERT), {ANNA: 1, BERT: 2}.keys(), iter((ANNA, BERT))):
        await sent(hass, fake_server, to=several)
        assert fake_server.received[0].recipients == (ANNA, BERT), type(several)


async def test_title_alone_is_enough(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A message that renders empty does not stop an alert."""
    message = await sent(hass, fake_server, to=ANNA, title="Leak in the basement", message="")
    assert message["Subject"] == "Leak in the basement"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"color": "red"}, "color"),
        ({"priority": "urgent"}, "priority"),
        ({"attachments": [{"filename": "a.txt"}]}, "at least one of"),
        ({"attachments": [{"path": "a", "media_source": "b"}]}, "not both"),
        ({"attachments": [{"media_source": {"media_content_type": "image/png"}}]}, "required key"),
    ],
)
async def test_invalid_fields_are_rejected(
    hass: HomeAssistant, data: dict[str, Any], words: str
) -> None:
    """Home Assistant's own validation names the field, even if no account is loaded."""
    assert await async_setup_component(hass, DOMAIN, {})
    with pytest.raises(vol.Invalid, match=words):
        await send(hass, to=ANNA, **data)


async def test_maximum_number_of_recipients_is_accepted(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """A hundred recipients get one email."""
    await send(hass, to=[f"user{number}@example.com" for number in range(100)])
    assert len(fake_server.received[0].recipients) == 100


async def test_description_of_the_action_is_complete(hass: HomeAssistant) -> None:
    """Every field has a valid selector and texts, and there are no extra ones."""
    assert await async_setup_component(hass, DOMAIN, {})
    integration = await async_get_integration(hass, DOMAIN)

    def read() -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the description of the action and its texts."""
        strings = json.loads((integration.file_path / "strings.json").read_text("utf-8"))
        description = load_yaml_dict(str(integration.file_path / "services.yaml"))
        return description["send_message"], strings["services"]["send_message"]

    description, texts = await hass.async_add_executor_job(read)
    selector.TargetSelector(description["target"])
    known = set(map(str, SEND_MESSAGE_FIELDS))
    targets = {"entity_id", "device_id", "area_id", "floor_id", "label_id", "exclude"}
    fields: dict[str, Any] = {}
    for name, field in description["fields"].items():
        fields |= field.get("fields", {name: field})
    assert fields.keys() == known - targets == texts["fields"].keys()
    for field in fields.values():
        selector.validate_selector(field["selector"])
    for field in texts["fields"].values():
        assert field["name"]
        assert field["description"]
