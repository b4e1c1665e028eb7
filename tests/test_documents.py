"""The documents: complete tables, working links and consistent facts."""

from functools import reduce
import json
from operator import getitem
from pathlib import Path
import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
import voluptuous as vol

from custom_components.outlook_smtp.actions.send_message import MESSAGE_FIELDS
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Problem

from .readme import README, ROOT, column

TEXTS: Final = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*", "blueprints/**/*.yaml", "custom_components/*/strings.json")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
BUTTON: Final = re.compile(
    r"\[!\[[^]]+\]\(https://my\.home-assistant\.io/badges/(\w+)\.svg\)\]"
    r"\((https://my\.home-assistant\.io/[^)]+)\)"
)


@pytest.mark.usefixtures("account")
async def test_every_entity_is_listed(entity_registry: er.EntityRegistry) -> None:
    """The table has all entities of an account, and no others."""
    listed = re.findall(r"^\| `(\w+)\.<account>_(\w+)`", README, re.MULTILINE)
    there = {
        (entity.domain, entity.entity_id.partition("me_outlook_com_")[2])
        for entity in entity_registry.entities.values()
        if entity.domain != "notify"
    }
    assert sorted(listed) == sorted(there)
    for name in ("account", "recipient"):
        assert f"\n| `notify.<{name}>` |" in README


@pytest.mark.usefixtures("account")
async def test_every_action_is_listed(hass: HomeAssistant) -> None:
    """The README mentions every action."""
    for action in hass.services.async_services_for_domain(DOMAIN):
        assert f"`{DOMAIN}.{action}`" in README


def test_every_problem_is_explained() -> None:
    """The table of problems has every key once, and no others."""
    assert sorted(column("### Problems")) == sorted(Problem)


def test_every_field_is_explained() -> None:
    """The table of fields has all of the action's fields, and no others."""
    keys = column("### Fields of `outlook_smtp.send_message`")

    assert sorted(keys) == sorted(
        {"target", "config_entry_id", "title", "message", *map(str, MESSAGE_FIELDS)}
    )


@pytest.mark.parametrize(
    "action", ["list_outbox", "flush_outbox", "cancel_message", "retry_failed"]
)
@pytest.mark.usefixtures("account")
async def test_every_field_of_the_outbox_actions_is_explained(
    hass: HomeAssistant, action: str
) -> None:
    """The table has each field, and says whether it is required."""
    table = README.partition("\n### Fields of the outbox actions\n")[2].partition("\n#")[0]
    rows = table.partition(f"| `{DOMAIN}.{action}` ")[2].partition(f"| `{DOMAIN}.")[0]
    told = dict(re.findall(r"\| `(\w+)` \| ([^|]+) \|", rows))
    schema = hass.services.async_services_for_domain(DOMAIN)[action].schema

    assert isinstance(schema, vol.Schema)
    assert set(told) == {str(field) for field in schema.schema}
    for field in schema.schema:
        assert (told[str(field)] == "yes") is isinstance(field, vol.Required), field


@pytest.mark.parametrize(
    ("heading", "forms"),
    [
        ("**Password or app password**", ["config.step.password"]),
        ("**Server**", ["config.step.server"]),
        (
            "**Sign in with Microsoft**",
            [
                "config.step.code",
                "config.step.code.sections.advanced",
                "config.step.browser",
                "config.step.pick_implementation",
            ],
        ),
        ("**Recipient**", ["config_subentries.recipient.step.user"]),
        ("**Options**", ["options.step.init"]),
    ],
)
def test_every_field_of_a_form_is_listed_with_its_name(heading: str, forms: list[str]) -> None:
    """The tables of fields and options use the names in the dialog."""
    english = ROOT / f"custom_components/{DOMAIN}/translations/en.json"
    texts: dict[str, Any] = json.loads(english.read_text("utf-8"))
    fields = [reduce(getitem, [*form.split("."), "data"], texts) for form in forms]
    table = README.partition(f"\n{heading}")[2].partition("|---|")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)) == {
        name for form in fields for name in form.values()
    }


def test_oldest_home_assistant_is_enforced() -> None:
    """The badge and the text have the minimum version that is enforced."""
    oldest = json.loads((ROOT / "hacs.json").read_text("utf-8"))["homeassistant"]
    named = re.findall(r"(20\d\d\.\d+)(?:%20| )or(?:%20| )newer", README)

    assert len(named) >= 3
    assert {f"{version}.0" for version in named} == {oldest}


def test_marketplace_comes_before_hacs_and_the_folder() -> None:
    """The option that most readers need comes first."""
    install = README.partition("\n## Install\n")[2].partition("\n## ")[0]

    assert re.findall(r"^### (.+)$", install, re.MULTILINE) == [
        "From the Marketplace",
        "With HACS",
        "By hand",
    ]


def test_every_button_opens_this_integration() -> None:
    """A button's image matches its link, and the link has the required parameters."""
    # Without the category, the Marketplace opens without adding anything.
    repository = {
        "owner": "outlook-smtp",
        "repository": "home-assistant-outlook-smtp",
        "category": "integration",
    }
    wanted = {
        "marketplace_repository": repository,
        "hacs_repository": repository,
        "config_flow_start": {"domain": DOMAIN},
    }
    links = [(badge, urlsplit(link)) for badge, link in BUTTON.findall(README)]

    assert README.count("my.home-assistant.io/badges/") == len(links)
    assert {badge: dict(parse_qsl(link.query)) for badge, link in links} == wanted
    assert [link.path for _, link in links] == [f"/redirect/{badge}/" for badge, _ in links]


@pytest.mark.parametrize("document", TEXTS)
def test_repairs_are_found_under_system(document: str) -> None:
    """They are a page under Settings > System, not Settings."""
    text = (ROOT / document).read_text("utf-8")

    assert re.findall(r"Settings\W+Repairs", text) == []


@pytest.mark.parametrize("document", [text for text in TEXTS if text.endswith(".md")])
def test_every_link_inside_the_repository_works(document: str) -> None:
    """Linked images, pages and headings exist."""
    text = (ROOT / document).read_text("utf-8")
    targets = re.findall(r'(?:\]\(|src=")(?!https?:|cid:)([^)"]+)', text)

    assert [target for target in targets if not is_there(ROOT / document, target)] == []


def is_there(document: Path, target: str) -> bool:
    """Return whether a document's link target exists: a file, a folder or a heading."""
    name, _, anchor = target.partition("#")
    file = document.parent / name if name else document
    if not anchor:
        return file.exists()
    if not file.is_file():
        return False
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return anchor in {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
