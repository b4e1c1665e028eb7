"""Actions, their fields and repairs are described where Home Assistant expects it."""

from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.outlook_smtp.actions.send_message import SEND_MESSAGE_FIELDS
from custom_components.outlook_smtp.const import DOMAIN

from .test_repository import INTEGRATION, read_json
from .test_translations import LANGUAGES

ACTIONS: Final = ("cancel_message", "flush_outbox", "list_outbox", "retry_failed", "send_message")
ONE_LINE: Final = 60  # Characters.
# The target of a call is not a field.
TARGETS: Final = {"area_id", "device_id", "entity_id", "exclude", "floor_id", "label_id"}


def texts(part: str) -> dict[str, Any]:
    """Return a part of strings.json."""
    found: dict[str, Any] = read_json(INTEGRATION / "strings.json")[part]
    return found


@pytest.fixture(autouse=True)
async def _actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    assert await async_setup_component(hass, DOMAIN, {})


def test_every_action_is_described(hass: HomeAssistant) -> None:
    """The code, the descriptions, the texts and the icons have the same actions."""
    registered = sorted(hass.services.async_services_for_domain(DOMAIN))
    assert registered == list(ACTIONS)
    assert sorted(load_yaml_dict(str(INTEGRATION / "services.yaml"))) == registered
    assert sorted(texts("services")) == registered
    assert sorted(read_json(INTEGRATION / "icons.json")["services"]) == registered


def described_fields(action: str) -> dict[str, Any]:
    """Return the fields of an action in the dialog, in its order, whatever section they are in."""
    fields = load_yaml_dict(str(INTEGRATION / "services.yaml"))[action]["fields"]
    flat: dict[str, Any] = {}
    for name, field in fields.items():
        flat |= field.get("fields", {name: field})
    return flat


@pytest.mark.parametrize("action", ACTIONS)
def test_every_field_is_described(hass: HomeAssistant, action: str) -> None:
    """The dialog offers every field of the schema, with a name and a description."""
    described = described_fields(action)
    schema = hass.services.async_services_for_domain(DOMAIN)[action].schema
    assert isinstance(schema, vol.Schema)
    fields = SEND_MESSAGE_FIELDS if action == "send_message" else schema.schema
    taken = {str(key): key for key in fields if str(key) not in TARGETS}
    named = texts("services")[action]["fields"]
    assert set(described) == set(named) == set(taken)
    for field, description in described.items():
        assert named[field]["name"]
        assert named[field]["description"]
        assert description.get("required", False) is isinstance(taken[field], vol.Required)


def test_message_comes_first_and_the_rest_is_collapsed() -> None:
    """Most emails need only a target, a title and a message."""
    fields = load_yaml_dict(str(INTEGRATION / "services.yaml"))["send_message"]["fields"]
    assert list(fields)[:2] == ["title", "message"]
    sections = {name: field for name, field in fields.items() if "fields" in field}
    named = texts("services")["send_message"]["sections"]
    assert list(fields) == ["title", "message", *sections]
    assert list(sections) == list(named)
    assert all(section["collapsed"] for section in sections.values())
    assert [section["name"] for section in named.values()] == [
        "Recipients",
        "Content",
        "Attachments",
        "Sender and priority",
        "Timing",
        "Account",
    ]


def test_nothing_is_ticked_that_the_action_does_not_need() -> None:
    """A field with a default is ticked in the editor: only the title is."""
    fields = described_fields("send_message")
    assert [name for name, field in fields.items() if "default" in field] == ["title"]


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_descriptions_fit_one_line(language: str) -> None:
    """The editor shows about this many characters next to a field."""
    translated = read_json(INTEGRATION / "translations" / f"{language}.json")["services"]
    action = translated["send_message"]
    described = [
        action["description"],
        *(each["description"] for each in action["fields"].values()),
    ]
    assert [text for text in described if len(text) > ONE_LINE or "\n" in text] == []


async def test_every_entity_has_an_icon(
    account: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """It is one of ours or that of the device class, and no icon is unused."""
    icons = read_json(INTEGRATION / "icons.json")["entity"]
    ours = {(domain, key) for domain, keys in icons.items() for key in keys}
    entities = er.async_entries_for_config_entry(entity_registry, account.entry_id)
    shown = {(entity.domain, str(entity.translation_key)) for entity in entities}
    assert ours <= shown
    for entity in entities:
        known = (entity.domain, str(entity.translation_key)) in ours
        assert known or entity.original_device_class, entity.entity_id


def test_icons_tell_entities_apart() -> None:
    """No two entities of an account share an icon, whatever their state."""
    icons: dict[str, tuple[str, str]] = {}
    for domain, keys in read_json(INTEGRATION / "icons.json")["entity"].items():
        for key, shown in keys.items():
            others = (*shown.get("state", {}).values(), *shown.get("range", {}).values())
            for icon in {shown["default"], *others}:
                assert icons.setdefault(icon, (domain, key)) == (domain, key), icon


def test_every_issue_is_described() -> None:
    """Repairs shows a title and a description of each."""
    issues = texts("issues")
    for issue in issues.values():
        assert issue["title"]
        assert issue.get("description") or issue.get("fix_flow")
