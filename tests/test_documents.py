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
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.outlook_smtp.actions.send_message import MESSAGE_FIELDS
from custom_components.outlook_smtp.const import DOMAIN
from custom_components.outlook_smtp.delivery.faults import Problem

from .readme import GUIDE, PAGES, README, ROOT, column

HOME: Final = "https://github.com/outlook-smtp/home-assistant-outlook-smtp"
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
    listed = re.findall(r"^\| `(\w+)\.<account>_(\w+)`", GUIDE, re.MULTILINE)
    there = {
        (entity.domain, entity.entity_id.partition("me_outlook_com_")[2])
        for entity in entity_registry.entities.values()
        if entity.domain != "notify"
    }
    assert sorted(listed) == sorted(there)
    for name in ("account", "recipient"):
        assert f"\n| `notify.<{name}>` |" in GUIDE


async def test_entity_ids_are_in_the_language_of_the_system(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Those in the German column, and in the README, exist on a German system."""
    hass.config.language = "de"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    table = GUIDE.partition("| English | German |")[2].partition("\n\n")[0]
    english, german = zip(
        *re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", table, re.MULTILINE), strict=True
    )

    assert [entity for entity in german if hass.states.get(entity) is None] == []
    assert [entity for entity in english if hass.states.get(entity)] == []
    assert f"`{english[0]}` is `{german[0]}` on a German one" in README


@pytest.mark.usefixtures("account")
async def test_every_action_is_listed(hass: HomeAssistant) -> None:
    """The guide mentions every action."""
    for action in hass.services.async_services_for_domain(DOMAIN):
        assert f"`{DOMAIN}.{action}`" in GUIDE


def test_every_trigger_and_condition_is_listed() -> None:
    """The guide has those of the integration, and no others."""
    folder = ROOT / "custom_components" / DOMAIN
    files = [*folder.glob("triggers.yaml"), *folder.glob("conditions.yaml")]
    parts: list[Any] = [parse_yaml(path.read_text("utf-8")) for path in files]
    keys = {key for part in parts for key in part if not key.startswith(".")}
    listed = re.findall(rf"`{DOMAIN}\.(\w+)`[:,] \*", GUIDE)

    assert sorted(listed) == sorted(keys)


def test_every_problem_is_explained() -> None:
    """The table of problems has every key once, and no others."""
    assert sorted(column("# Problems")) == sorted(Problem)


def test_every_field_is_explained() -> None:
    """The table of fields has all of the action's fields, and no others."""
    keys = column("## Fields of `outlook_smtp.send_message`")

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
    table = GUIDE.partition("\n### Fields of the outbox actions\n")[2].partition("\n#")[0]
    rows = table.partition(f"| `{DOMAIN}.{action}` ")[2].partition(f"| `{DOMAIN}.")[0]
    told = dict(re.findall(r"\| `(\w+)` \| ([^|]+) \|", rows))
    schema = hass.services.async_services_for_domain(DOMAIN)[action].schema

    assert isinstance(schema, vol.Schema)
    assert set(told) == {str(field) for field in schema.schema}
    for field in schema.schema:
        assert (told[str(field)] == "yes") is isinstance(field, vol.Required), field


def test_every_field_of_a_form_is_explained() -> None:
    """Tables, which scripts/lint keeps up to date, have each field that any dialog asks for."""
    english = ROOT / f"custom_components/{DOMAIN}/translations/en.json"
    texts: dict[str, Any] = json.loads(english.read_text("utf-8"))
    tables = re.findall(r"<!-- Table (\S+\.\S+), written by scripts/lint --fix -->", GUIDE)
    explained = [reduce(getitem, path.split("."), texts) for path in tables]
    steps = [
        *texts["config"]["step"].values(),
        *texts["options"]["step"].values(),
        *texts["config_subentries"]["recipient"]["step"].values(),
    ]

    assert fields(*explained) == fields(*steps) - {"qr_code"}


def fields(*forms: dict[str, Any]) -> set[str]:
    """Return the keys of the fields of forms and of their sections."""
    sections = [section for form in forms for section in form.get("sections", {}).values()]
    return {key for part in (*forms, *sections) for key in part.get("data", {})}


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
    text = without_code((ROOT / document).read_text("utf-8"))
    targets = re.findall(r'(?:\]\(|(?:src|srcset|href)=")(?!https?:|cid:)([^)"]+)', text)

    assert [target for target in targets if not is_there(ROOT / document, target)] == []


def test_pictures_have_one_size_and_suit_light_and_dark() -> None:
    """Each is 800 pixels wide on a page, at twice the resolution, and has a dark variant."""
    shown = re.findall(
        r'srcset="(?:docs/)?pictures/([\w-]+)-dark\.png"><img '
        r'src="(?:docs/)?pictures/([\w-]+)\.png" alt="[^"]{20,}" width="(\d+)">',
        GUIDE,
    )
    files = {path.stem: path.read_bytes() for path in (ROOT / "docs" / "pictures").glob("*.png")}

    assert shown == [(name, name, "800") for _, name, _ in shown]
    assert {name + suffix for _, name, _ in shown for suffix in ("", "-dark")} == files.keys()
    assert {int.from_bytes(png[16:20]) for png in files.values()} == {1600}  # The PNG's header.


def test_every_link_into_the_repository_works() -> None:
    """So do the pages and headings that the integration and other texts link on GitHub."""
    links = {
        link
        for text in (
            *TEXTS,
            f"custom_components/{DOMAIN}/const.py",
            ".github/ISSUE_TEMPLATE/bug.yml",
        )
        for link in re.findall(rf"{HOME}/blob/main/([\w./#-]+)", (ROOT / text).read_text("utf-8"))
    }

    assert "docs/sign-in.md" in links
    assert [link for link in links if not is_there(ROOT / "README.md", link)] == []


def test_readme_is_short_and_lists_every_page() -> None:
    """It takes minutes to read, and its contents lead to each section and page of the guide."""
    contents = README.partition("\n## Contents\n")[2].partition("\n## ")[0]
    linked = set(re.findall(r"\]\(([^)]+)\)", contents))
    sections = anchors(ROOT / "README.md", "## ") - {"#contents", "#license"}

    assert len(README.splitlines()) <= 250
    assert re.findall(r"^(scripts/\w+) ", README, re.MULTILINE) == ["scripts/demo", "scripts/test"]
    assert sections | {f"docs/{page}.md" for page in PAGES} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_contents_of_a_page_are_complete(page: str) -> None:
    """A page's list of contents has every one of its sections, in order."""
    text = (ROOT / f"docs/{page}.md").read_text("utf-8")
    listed = re.findall(r"^- \[.+\]\((#[^)]+)\)", text.partition("\n## ")[0], re.MULTILINE)

    assert not listed or listed == [
        anchor(heading) for heading in re.findall(r"^## (.+)$", without_code(text), re.MULTILINE)
    ]


def without_code(text: str) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """Return the link that GitHub makes for a heading."""
    return "#" + re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def anchors(document: Path, level: str = "#+ ") -> set[str]:
    """Return the links to the headings of a document."""
    text = without_code(document.read_text("utf-8"))
    return {anchor(heading) for heading in re.findall(rf"^{level}(.+)$", text, re.MULTILINE)}


def is_there(document: Path, target: str) -> bool:
    """Return whether a document's link target exists: a file, a folder or a heading."""
    name, _, heading = target.partition("#")
    file = document.parent / name if name else document
    if not heading:
        return file.exists()
    return file.is_file() and f"#{heading}" in anchors(file)
