"""The action notify.<account>: for alerts, notify groups and automations written for `smtp`."""

from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from custom_components.outlook_smtp.actions.legacy_notify import (
    CHECKS,
    async_register_legacy_notify,
)
from custom_components.outlook_smtp.actions.send_message import MESSAGE_FIELDS
from custom_components.outlook_smtp.const import DOMAIN

from ..conftest import ADDRESS, PASSWORD
from ..fake_microsoft import CATALOGUE, FakeServer, Script

ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"
PICTURE = b"\x89PNG\r\n\x1a\n picture"
OTHER_PICTURE = b"\x89PNG\r\n\x1a\n another"
[UNKNOWN_USER] = [row.reply for row in CATALOGUE if row.name == "recipient_unknown"]


async def notify(hass: HomeAssistant, action: str = "me_outlook_com", **data: Any) -> None:
    """Call the action as an automation does."""
    data = {"message": "Hello"} | data
    await hass.services.async_call("notify", action, data, blocking=True)


@pytest.fixture
def images(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return an allowed folder with images, two of which have the same name."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    (tmp_path / "more").mkdir()
    for name in ("door.png", "my house & cat.png", "my house", "tür.png"):
        (tmp_path / name).write_bytes(PICTURE)
    (tmp_path / "more" / "door.png").write_bytes(OTHER_PICTURE)
    return tmp_path


TARGETS: Final[tuple[tuple[dict[str, Any], tuple[str, ...]], ...]] = (
    ({}, (ANNA, BERT)),
    ({"target": []}, (ANNA, BERT)),
    ({"target": CARL}, (CARL,)),
    ({"target": [CARL, f"Anna <{ANNA}>"]}, (CARL, ANNA)),
    ({"target": f"{CARL}, {ANNA}"}, (CARL, ANNA)),
    ({"target": "notify.me_outlook_com"}, (ADDRESS,)),
    (
        {"target": CARL, "data": {"to": ANNA, "cc": BERT, "bcc": ADDRESS}},
        (CARL, ANNA, BERT, ADDRESS),
    ),
    ({"data": {"to": CARL}}, (CARL,)),
    ({"data": {"cc": CARL}}, (ANNA, BERT, CARL)),
    ({"data": {"bcc": CARL}}, (CARL,)),
    ({"data": {"bcc": [CARL, ADDRESS], "cc": BERT}}, (BERT, CARL, ADDRESS)),
    ({"data": {"bcc": ""}}, (ANNA, BERT)),
)


@pytest.mark.usefixtures("account", "no_pace")
async def test_target_is_optional(
    hass: HomeAssistant, fake_server: FakeServer, subtests: pytest.Subtests
) -> None:
    """Without one, the email goes to all recipients of the account."""
    for data, recipients in TARGETS:
        with subtests.test(str(data)):
            fake_server.received.clear()
            await notify(hass, **data)
            [received] = fake_server.received
            assert received.recipients == recipients
            assert received.message["Subject"] == "Home Assistant"


async def test_account_without_recipients_emails_itself(
    hass: HomeAssistant, account_data: dict[str, Any], fake_server: FakeServer
) -> None:
    """New users get an email before they have added a recipient."""
    entry = MockConfigEntry(domain=DOMAIN, title=ADDRESS, unique_id=ADDRESS, data=account_data)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await notify(hass, title="Tür", message="offen")
    [received] = fake_server.received
    assert received.recipients == (ADDRESS,)
    assert received.message["Subject"] == "Tür"
    assert received.message.get_content().strip() == "offen"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("with_html", [False, True])
async def test_images_are_shown_in_html_or_else_attached(
    hass: HomeAssistant, fake_server: FakeServer, images: Path, with_html: bool
) -> None:
    """HTML shows an image by its file name, including spaces; a duplicate name is attached."""
    names = ("door.png", "more/door.png", "my house & cat.png", "my house", "tür.png")
    html = (
        '<img src="cid:door.png"><img src="cid:my house &amp; cat.png"><img src="cid:my house">'
        "<img src='CID:my%20house%20%26%20cat.png'><img src=cid:tür.png>"
    )
    data = {"images": [str(images / name) for name in names]} | (
        {"html": html} if with_html else {}
    )
    await notify(hass, data=data)
    message = fake_server.received[0].message
    attached = [part.get_filename() for part in message.iter_attachments()]
    if not with_html:
        assert attached == [Path(name).name for name in names]
        return
    assert attached == ["door.png"]
    [second] = message.iter_attachments()
    assert second.get_content() == OTHER_PICTURE
    page = message.get_body(("html",))
    related = message.get_body(("related",))
    assert page is not None
    assert related is not None
    shown = {part["Content-ID"][1:-1]: part for part in related.iter_parts() if part["Content-ID"]}
    assert {part.get_filename() for part in shown.values()} == {"door.png", *names[2:]}
    for part in shown.values():
        assert part.get_content() == PICTURE
        assert part.get_content_type() == "image/png"
    mentioned = page.get_content().replace("CID:", "cid:").replace("'", '"').replace(">", '"')
    assert {piece.partition('"')[0] for piece in mentioned.split("cid:")[1:]} == shown.keys()


async def test_images_do_not_replace_attachments(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, images: Path
) -> None:
    """An attachment with the content ID of an image is the one that is shown."""
    path = str(images / "door.png")
    attachments = [{"path": str(images / "more" / "door.png"), "content_id": "door.png"}]
    await notify(hass, data={"html": "<b>!</b>", "attachments": attachments, "images": path})
    message = fake_server.received[0].message
    assert [part.get_content() for part in message.iter_attachments()] == [PICTURE]


async def test_all_fields_are_accepted_in_data(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer, images: Path
) -> None:
    """Legacy automations can use everything that outlook_smtp.send_message accepts."""
    assert {*map(str, MESSAGE_FIELDS), "images"} == CHECKS.keys()
    await notify(
        hass,
        title="Door",
        target=ANNA,
        data={
            "cc": f"Bert <{BERT}>",
            "bcc": CARL,
            "attachments": {"path": str(images / "door.png"), "filename": "front.png"},
            "priority": "highest",
            "reply_to": "desk@example.com",
            "sender_name": "House",
        },
    )
    [received] = fake_server.received
    message = received.message
    assert received.recipients == (ANNA, BERT, CARL)
    assert (message["To"], message["Cc"], message["Bcc"]) == (ANNA, f"Bert <{BERT}>", None)
    assert (message["From"], message["Reply-To"]) == (f"House <{ADDRESS}>", "desk@example.com")
    assert message["X-Priority"] == "1 (Highest)"
    [attachment] = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("front.png", PICTURE)


def ignored(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the keys in each warning about ignored data."""
    start = "notify.me_outlook_com: ignoring unsupported data keys: "
    return [text.removeprefix(start) for text in caplog.messages if text.startswith(start)]


FOREIGN: Final[tuple[tuple[dict[Any, Any], str], ...]] = (
    ({"tag": "door", "push": {"badge": 1}, 5: "five"}, "5, push, tag"),
    ({"priority": 1}, "priority"),
    ({"priority": "max"}, "priority"),
    ({"priority": ["high"]}, "priority"),
    ({"html": 1}, "html"),
    ({"html": True}, "html"),
    ({"html": {"body": "<b>!</b>"}}, "html"),
    ({"markdown": "v2"}, "markdown"),
    ({"markdown": True, "html": "<b>!</b>"}, "markdown"),
    ({"sender_name": {"name": "x"}}, "sender_name"),
    ({"images": [{"url": "https://example.com/x.jpg"}]}, "images"),
    ({"images": "https://example.com/x.jpg"}, "images"),
    ({"attachments": {"url": "https://example.com/x.jpg"}}, "attachments"),
    ({"attachments": [{"filename": "a"}, 7, "https://example.com/x.jpg"]}, "attachments"),
    (
        {"to": 4915112345678, "cc": {"x": 1}, "bcc": [1], "reply_to": 17},
        "bcc, cc, reply_to, to",
    ),
)


@pytest.mark.usefixtures("no_pace")
async def test_data_for_other_notifiers_is_ignored(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    subtests: pytest.Subtests,
) -> None:
    """Unknown keys, and known keys with values for other notifiers, do not stop the email."""
    for data, keys in FOREIGN:
        with subtests.test(str(data)):
            fake_server.received.clear()
            caplog.clear()
            # One that is new to the account has not warned of any key yet.
            hass.services.async_remove("notify", "me_outlook_com")
            await async_register_legacy_notify(hass, account)
            await notify(hass, data=data)
            [received] = fake_server.received
            assert received.recipients == (ANNA, BERT)
            assert received.message["X-Priority"] is None
            assert received.message["From"] == ADDRESS
            shown = "multipart/alternative" if isinstance(data.get("html"), str) else "text/plain"
            assert received.message.get_content_type() == shown
            assert ignored(caplog) == [keys]


async def test_keys_are_warned_of_once(
    hass: HomeAssistant, account: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert repeats for hours; the log only names new keys."""
    for data in ({"tag": "door"}, {"tag": "window", "priority": 1}, {"priority": 2}):
        await notify(hass, data=data)
    assert ignored(caplog) == ["tag", "priority"]


async def test_usable_parts_of_foreign_data_are_used(
    hass: HomeAssistant,
    account: MockConfigEntry,
    fake_server: FakeServer,
    images: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Attachments may be bare paths or media sources; invalid items in a list are skipped."""
    path, more = str(images / "door.png"), str(images / "more" / "door.png")
    hass.config.media_dirs = {"local": str(images)}
    assert await async_setup_component(hass, "media_source", {})
    attachments = [path, {"path": more, "url": "/x", "filename": "more.png"}, {"url": "/x"}]
    await notify(
        hass,
        data={
            "attachments": [*attachments, "media-source://media_source/local/tür.png"],
            "images": [{"url": "/x"}, path],
            "cc": [5, CARL],
        },
    )
    [received] = fake_server.received
    assert received.recipients == (ANNA, BERT, CARL)
    assert [part.get_filename() for part in received.message.iter_attachments()] == [
        *("door.png", "more.png", "tür.png", "door.png")
    ]
    assert ignored(caplog) == ["attachments, cc, images"]


async def test_group_of_notifiers_can_share_data(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer, images: Path
) -> None:
    """A notify group passes the same data to a phone and to a mailbox, and both can use it."""
    phone = async_mock_service(hass, "notify", "phone")
    group = {"name": "everybody", "platform": "group"} | {
        "services": [{"action": "phone"}, {"action": "me_outlook_com"}]
    }
    assert await async_setup_component(hass, "notify", {"notify": [group]})
    await hass.async_block_till_done()
    assert await hass.config_entries.async_setup(entry.entry_id)
    data = {"priority": 1, "attachments": [str(images / "door.png")], "images": [{"url": "/x"}]}
    await notify(hass, "everybody", data=data)
    assert [dict(call.data["data"]) for call in phone] == [data]
    [received] = fake_server.received
    assert [part.get_filename() for part in received.message.iter_attachments()] == ["door.png"]


@pytest.mark.usefixtures("account", "no_pace")
async def test_empty_values_count_as_absent(
    hass: HomeAssistant,
    fake_server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    subtests: pytest.Subtests,
) -> None:
    """Templates yield several kinds of empty values, which are not worth a warning."""
    keys = ("to", "cc", "bcc", "reply_to", "sender_name", "html", "markdown", "priority")
    nothings: tuple[object, ...] = (None, "", [], (), {})
    for nothing in nothings:
        with subtests.test(repr(nothing)):
            fake_server.received.clear()
            data = dict.fromkeys((*keys, "attachments", "images", "tag"), nothing)
            await notify(hass, title=nothing, target=nothing, data=data)
            await notify(hass, data=nothing)
            assert len(fake_server.received) == 2
            for received in fake_server.received:
                assert received.recipients == (ANNA, BERT)
                assert received.message.get_content_type() == "text/plain"
                assert received.message["Subject"] == "Home Assistant"
                assert received.message["From"] == ADDRESS
    assert ignored(caplog) == []


@pytest.mark.usefixtures("account")
async def test_message_may_be_empty_and_sequences_are_lists(
    hass: HomeAssistant, fake_server: FakeServer
) -> None:
    """The subject alone may say everything."""
    await notify(hass, title="Leak", message=None, target=(CARL,), data={"cc": (ANNA, BERT)})
    [received] = fake_server.received
    assert received.recipients == (CARL, ANNA, BERT)
    assert received.message["Subject"] == "Leak"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            {"images": "/nowhere/door.png"},
            'path_not_allowed: attachments: Home Assistant may not read "/nowhere/door.png"',
        ),
        ({"images": "{images}/", "html": "<b>!</b>"}, "file_not_readable: attachments: the file "),
        ({"bcc": "nobody"}, 'missing_at: bcc: "nobody" has no @.'),
    ],
)
async def test_unusable_email_data_is_an_error(
    hass: HomeAssistant, fake_server: FakeServer, images: Path, data: dict[Any, Any], error: str
) -> None:
    """Invalid email data always raises an error."""
    if "images" in data:
        data = data | {"images": data["images"].format(images=images)}
    with pytest.raises(ServiceValidationError) as caught:
        await notify(hass, data=data)
    assert f"{caught.value.translation_key}: {caught.value}".startswith(error)
    assert caught.value.translation_domain == DOMAIN
    assert fake_server.received == []


async def test_refused_recipient_is_named(
    hass: HomeAssistant, account: MockConfigEntry, fake_server: FakeServer
) -> None:
    """The other recipients get the email."""
    fake_server.script = Script(refuse_recipients={ANNA: UNKNOWN_USER})
    with pytest.raises(HomeAssistantError, match=rf"sent to {BERT}, but .*: {ANNA} \(550 5\.1\.1"):
        await notify(hass)
    assert fake_server.received[0].recipients == (BERT,)


async def test_alert_notify_group_and_script_can_call_it(
    hass: HomeAssistant, entry: MockConfigEntry, fake_server: FakeServer, images: Path
) -> None:
    """Integrations that only know notify actions can send email, with templates rendered."""
    notifier = {"name": "everybody", "platform": "group"} | {
        "services": [{"action": "me_outlook_com", "data": {"target": CARL, "data": {"cc": BERT}}}]
    }
    assert await async_setup_component(hass, "notify", {"notify": [notifier]})
    await hass.async_block_till_done()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await notify(hass, "everybody", title="Group", data={"priority": "low"})
    alert = {"name": "Door", "entity_id": "cover.door", "state": "open", "repeat": 30} | {
        "notifiers": ["me_outlook_com"],
        "message": "{{ 1 + 1 }} doors",
        "title": "Alert",
        "data": {"html": "<b>Door</b>"},
    }
    assert await async_setup_component(hass, "alert", {"alert": {"door": alert}})
    hass.states.async_set("cover.door", "open")
    await fake_server.async_wait_for_mail(2)
    hass.states.async_set("cover.door", "closed")
    step = {"action": "notify.me_outlook_com"} | {
        "data": {
            "title": "{{ 'Script' }}",
            "message": "{{ 2 * 21 }}",
            "target": "{{ [who] }}",
            "data": {"images": "{{ [picture] }}"},
        }
    }
    assert await async_setup_component(hass, "script", {"script": {"mail": {"sequence": [step]}}})
    variables = {"who": ANNA, "picture": str(images / "door.png")}
    await hass.services.async_call("script", "mail", variables, blocking=True)
    group, door, script = (mail.message for mail in fake_server.received)
    assert (group["Subject"], group["To"], group["Cc"]) == ("Group", CARL, BERT)
    assert group["X-Priority"] == "4 (Low)"
    assert (door["Subject"], door["To"]) == ("Alert", f"{ANNA}, Bert <{BERT}>")
    text, html = door.iter_parts()
    assert text.get_content().strip() == "2 doors"
    assert html.get_content().strip() == "<b>Door</b>"
    assert (script["Subject"], script["To"]) == ("Script", ANNA)
    body = script.get_body()
    assert body is not None
    assert body.get_content().strip() == "42"
    assert [part.get_filename() for part in script.iter_attachments()] == ["door.png"]


async def test_action_is_added_and_removed_with_its_account(
    hass: HomeAssistant,
    account: MockConfigEntry,
    account_data: dict[str, Any],
    fake_server: FakeServer,
) -> None:
    """Every account has its own action, even if two addresses give the same name."""
    fake_server.add_mailbox("me.outlook@com.example", PASSWORD)
    fake_server.add_mailbox("me@outlook-com.example", PASSWORD)
    others = [
        MockConfigEntry(domain=DOMAIN, title=name, data=account_data | {"email": name})
        for name in ("me.outlook@com.example", "me@outlook-com.example")
    ]
    for other in others:
        other.add_to_hass(hass)
    # The later one first: names do not depend on which is faster.
    for other in reversed(others):
        assert await hass.config_entries.async_setup(other.entry_id)
    for action in ("me_outlook_com", "me_outlook_com_example", "me_outlook_com_example_2"):
        await notify(hass, action, target=CARL)
    assert [mail.sender for mail in fake_server.received] == [
        ADDRESS,
        *(other.title for other in others),
    ]
    assert await hass.config_entries.async_unload(others[1].entry_id)
    assert not hass.services.has_service("notify", "me_outlook_com_example_2")
    await notify(hass, "me_outlook_com_example", target=CARL)
    assert await hass.config_entries.async_unload(account.entry_id)
    assert not hass.services.has_service("notify", "me_outlook_com")
    assert await hass.config_entries.async_setup(account.entry_id)
    await notify(hass, target=CARL)
    assert len(fake_server.received) == 5


async def test_action_of_another_integration_is_left_alone(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    fake_server: FakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Users who are migrating may still have the old notifier with the same name."""
    calls = async_mock_service(hass, "notify", "me_outlook_com")
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert "me@outlook.com has no action notify.me_outlook_com: another" in caplog.text
    await notify(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await notify(hass)
    assert len(calls) == 2
    assert fake_server.received == []
