"""What unauthorized users try: email through others' entities, to anyone, and read the outbox."""

import logging
from typing import Any

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.notify import DOMAIN as NOTIFY_DOMAIN
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized, UnknownUser
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.outlook_smtp.const import DOMAIN

from ..conftest import ADDRESS, until
from ..fake_microsoft import FakeServer, Script, Step
from ..helpers import ANNA, BERT, act, add_account, mailer_of, settle, state_of

ME, FAMILY = "notify.me_outlook_com", "notify.family"
DELIVERY = "event.me_outlook_com_delivery"
SECRET = "secret@example.com"
OUTBOX: tuple[tuple[str, dict[str, str]], ...] = (
    ("flush_outbox", {}),
    ("list_outbox", {}),
    ("cancel_message", {"id": "0"}),
    ("retry_failed", {}),
)


@pytest.fixture
def user(hass: HomeAssistant) -> MockUser:
    """Return a user who may see everything and control nothing."""
    user = MockUser(name="Visitor").add_to_hass(hass)
    allow(user)
    return user


def allow(user: MockUser, *entity_ids: str) -> None:
    """Let a user see everything, and control some entities."""
    control = {entity_id: {POLICY_CONTROL: True} for entity_id in entity_ids}
    user.mock_policy({"entities": {"entity_ids": control, "all": {"read": True}}})


async def send(hass: HomeAssistant, user: MockUser, **fields: Any) -> None:
    """Call the action as a user does."""
    await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"message": "Hello"} | fields,
        blocking=True,
        context=Context(user_id=user.id),
    )


async def test_user_without_control_is_rejected_as_by_the_entity_action(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, user: MockUser
) -> None:
    """Both actions name the same entity and permission, and nothing is sent or recorded."""
    refusals = []
    for domain in (NOTIFY_DOMAIN, DOMAIN):
        with pytest.raises(Unauthorized) as caught:
            await hass.services.async_call(
                domain,
                "send_message",
                {"entity_id": FAMILY, "message": "Hello"},
                blocking=True,
                context=Context(user_id=user.id),
            )
        error = caught.value
        refusals.append((type(error), error.user_id, error.entity_id, error.permission))
    assert refusals == [(Unauthorized, user.id, FAMILY, POLICY_CONTROL)] * 2
    assert fake_server.received == []
    assert state_of(hass, DELIVERY).state == "unknown"


REFUSED: tuple[tuple[tuple[str, ...], dict[str, Any], str], ...] = (
    ((), {}, ME),
    ((), {"to": ANNA}, ME),
    ((), {"entity_id": "all"}, ME),
    ((), {"entity_id": "light.unknown"}, "light.unknown"),
    ((), {"to": FAMILY}, FAMILY),
    ((), {"cc": [f"{FAMILY}, "]}, FAMILY),
    ((), {"bcc": FAMILY.upper()}, FAMILY),
    ((ME,), {"entity_id": FAMILY}, FAMILY),
    ((ME,), {"to": FAMILY}, FAMILY),
    ((ME,), {"entity_id": [ME, FAMILY]}, FAMILY),
    ((ME,), {"entity_id": "group.home"}, FAMILY),
    ((FAMILY,), {"entity_id": FAMILY, "to": ANNA}, ME),
    ((FAMILY,), {"entity_id": FAMILY, "cc": ANNA}, ME),
    ((FAMILY,), {"entity_id": FAMILY, "bcc": ANNA}, ME),
    ((FAMILY,), {"to": f"{FAMILY}, {ANNA}"}, ME),
    ((FAMILY,), {"to": f"{FAMILY} <{ANNA}>"}, ME),
    ((FAMILY,), {"entity_id": FAMILY, "attachments": {"path": "/etc/passwd"}}, ME),
    ((FAMILY,), {"entity_id": FAMILY, "to": "nonsense"}, ME),
)
ALLOWED: tuple[tuple[tuple[str, ...], dict[str, Any], tuple[str, ...]], ...] = (
    ((FAMILY,), {"entity_id": FAMILY}, (ANNA, BERT)),
    ((FAMILY,), {"to": FAMILY}, (ANNA, BERT)),
    ((FAMILY,), {"cc": f"{FAMILY};"}, (ANNA, BERT)),
    ((FAMILY,), {"entity_id": "all"}, (ANNA, BERT)),
    ((ME,), {"entity_id": "all"}, (ADDRESS,)),
    ((ME,), {"to": SECRET}, (SECRET,)),
    ((ME, FAMILY), {"entity_id": FAMILY, "bcc": SECRET}, (ANNA, BERT, SECRET)),
)


@pytest.mark.usefixtures("account")
async def test_user_needs_control_of(
    hass: HomeAssistant, fake_server: FakeServer, user: MockUser, subtests: pytest.Subtests
) -> None:
    """The entity of each recipient, and the account's own for other recipients and for files."""
    hass.states.async_set("group.home", "unknown", {"entity_id": [FAMILY]})
    for controlled, fields, refused in REFUSED:
        with subtests.test(str(fields), controlled=controlled):
            allow(user, *controlled)
            with pytest.raises(Unauthorized) as caught:
                await send(hass, user, **fields)
            assert (caught.value.entity_id, caught.value.permission) == (refused, POLICY_CONTROL)
            assert fake_server.received == []
            assert state_of(hass, DELIVERY).state == "unknown"


@pytest.mark.usefixtures("account", "no_pace")
async def test_user_may_send_with_control_of(
    hass: HomeAssistant, fake_server: FakeServer, user: MockUser, subtests: pytest.Subtests
) -> None:
    """All required permissions, and no others."""
    for controlled, fields, recipients in ALLOWED:
        with subtests.test(str(fields), controlled=controlled):
            fake_server.received.clear()
            allow(user, *controlled)
            await send(hass, user, **fields)
            [mail] = fake_server.received
            assert mail.recipients == recipients


async def test_user_needs_control_of_everything_in_an_area(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, user: MockUser
) -> None:
    """An area stands for each entity in it, as in Home Assistant's own actions."""
    area = ar.async_get(hass).async_create("Hall")
    registry = er.async_get(hass)
    family = registry.async_get(FAMILY)
    assert family
    assert family.device_id
    dr.async_get(hass).async_update_device(family.device_id, area_id=area.id)
    light = registry.async_get_or_create(
        "light", "other", "1", suggested_object_id="hall", original_name="Hall"
    )
    registry.async_update_entity(light.entity_id, area_id=area.id)
    allow(user, FAMILY)
    with pytest.raises(Unauthorized) as caught:
        await send(hass, user, area_id=area.id)
    assert caught.value.entity_id == "light.hall"
    await send(hass, user, area_id=area.id, exclude={"entity_id": "light.hall"})
    assert len(fake_server.received) == 1


async def test_control_of_a_recipient_does_not_extend_to_another_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    account_data: dict[str, Any],
    fake_server: FakeServer,
    user: MockUser,
) -> None:
    """Sending from another account needs control of that account's entity."""
    other = add_account(hass, fake_server, account_data, "other@outlook.com")
    await settle(hass, other)
    allow(user, FAMILY, ME)
    with pytest.raises(Unauthorized) as caught:
        await send(hass, user, entity_id=FAMILY, config_entry_id=other.entry_id)
    assert caught.value.entity_id == "notify.other_outlook_com"
    assert fake_server.received == []


async def test_disabled_entity_still_stands_for_its_account(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    user: MockUser,
    hass_admin_user: MockUser,
) -> None:
    """Without any entity, only administrators may email anyone."""
    registry = er.async_get(hass)
    own = registry.async_get_or_create(
        NOTIFY_DOMAIN,
        DOMAIN,
        f"{entry.entry_id}_mail",
        config_entry=entry,
        disabled_by=er.RegistryEntryDisabler.USER,
        object_id_base="me_outlook_com",
    )
    await settle(hass, entry)
    with pytest.raises(Unauthorized):
        await send(hass, user, to=ANNA)
    allow(user, own.entity_id)
    await send(hass, user, to=ANNA)
    registry.async_remove(own.entity_id)
    with pytest.raises(Unauthorized):
        await send(hass, user, to=ANNA)
    await send(hass, hass_admin_user, to=ANNA)
    assert len(fake_server.received) == 2


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("fields", [{"entity_id": FAMILY}, {"to": ANNA}])
async def test_unknown_user_is_rejected(
    hass: HomeAssistant, fake_server: FakeServer, fields: dict[str, str]
) -> None:
    """As in Home Assistant's own actions; no other user is assumed."""
    with pytest.raises(UnknownUser):
        await send(hass, MockUser(id="nobody"), **fields)
    assert fake_server.received == []


@pytest.mark.usefixtures("account")
async def test_automations_and_scripts_send_as_before(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """They have no user."""
    await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"message": "Hello", "entity_id": FAMILY, "to": SECRET},
        blocking=True,
        context=Context(),
    )
    [mail] = fake_server.received
    assert mail.recipients == (ANNA, BERT, SECRET)


@pytest.mark.usefixtures("account")
async def test_outbox_is_for_administrators(
    hass: HomeAssistant, user: MockUser, hass_admin_user: MockUser, subtests: pytest.Subtests
) -> None:
    """A user who controls everything but is no administrator is rejected."""
    user.mock_policy({"entities": True})

    async def call(action: str, fields: dict[str, str], user_id: str | None) -> None:
        """Call an action on behalf of a user."""
        await hass.services.async_call(
            DOMAIN,
            action,
            fields,
            blocking=True,
            context=Context(user_id=user_id),
            return_response=action == "list_outbox",
        )

    for action, fields in OUTBOX:
        with subtests.test(action):
            with pytest.raises(Unauthorized) as caught:
                await call(action, fields, user.id)
            assert not isinstance(caught.value, UnknownUser)
            with pytest.raises(UnknownUser):
                await call(action, fields, "nobody")
            for allowed in (hass_admin_user.id, None):
                if action == "cancel_message":
                    with pytest.raises(HomeAssistantError, match="no message 0"):
                        await call(action, fields, allowed)
                else:
                    await call(action, fields, allowed)


async def test_issues_reveal_no_messages_to_users(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """Every user may list issues; titles and recipients are in the administrators' dialog."""
    fake_server.mailboxes[ADDRESS].script = Script(replies={Step.FINAL: "554 5.6.0 No"})
    with pytest.raises(HomeAssistantError):
        await act(hass, "send_message", to=ANNA, bcc=SECRET, title="Test result", message="Hi")
    [issue] = [each for each in ir.async_get(hass).issues.values() if each.domain == DOMAIN]
    assert issue.translation_key == "messages_failed"
    for private in (ANNA, SECRET, "Test result"):
        assert private not in str(issue)


@pytest.mark.parametrize(
    "script",
    [
        Script(refuse_recipients={SECRET: f"550 5.1.1 <{SECRET}>: unknown"}),
        Script(replies={Step.RCPT: f"550 5.1.90 <{SECRET}>: you reached your daily limit"}),
        Script(replies={Step.RCPT: f"451 4.7.500 <{SECRET.upper()}>: server busy"}),
        Script(replies={Step.FINAL: f"554 5.6.0 Not for {SECRET}"}),
        Script(replies={Step.FINAL: f"451 4.3.0 Not now for {SECRET}"}),
    ],
)
async def test_blind_copies_are_in_no_event_attribute_or_log(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    script: Script,
) -> None:
    """Not even if the server echoes them, nor in the error that an automation logs."""
    caplog.set_level(logging.DEBUG)
    changes: list[str] = []
    hass.bus.async_listen("state_changed", lambda event: changes.append(str(event.data)))
    fake_server.mailboxes[ADDRESS].script = script
    errors = ""
    try:
        await act(hass, "send_message", to=ANNA, bcc=SECRET, message="Hello")
    except HomeAssistantError as error:
        errors = str(error)
    await until(lambda: not mailer_of(account).queue.under_way)
    await hass.async_block_till_done()
    assert any(DELIVERY in change for change in changes)
    ours = [line.getMessage() for line in caplog.records if DOMAIN in line.name]
    for text in (errors, *changes, *ours):
        assert SECRET not in text.lower()
