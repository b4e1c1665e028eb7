"""Facts in several files of the repository are consistent."""

import json
from pathlib import Path
import re
import struct
from typing import Any, Final

from awesomeversion import AwesomeVersion
import homeassistant
from homeassistant.const import __version__
import pytest

from tests.github import FOLDER, read_yaml

ROOT: Final = Path(__file__).parent.parent
INTEGRATION: Final = ROOT / "custom_components" / "outlook_smtp"
OWNER: Final = "outlook-smtp"
NAME: Final = "home-assistant-outlook-smtp"
REPOSITORY: Final = f"https://github.com/{OWNER}/{NAME}"
BRAND_HEIGHTS: Final = {"": 256, "@2x": 512}


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def texts() -> dict[Path, str]:
    """Read every file that contains the repository's URL."""
    suffixes = {".json", ".md", ".py", ".yaml", ".yml"}
    folders = (".github", "blueprints", "custom_components", "docs")
    inside = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return {
        path: path.read_text("utf-8")
        for path in (*ROOT.glob("*"), *inside)
        if path.suffix in suffixes
    }


@pytest.fixture(name="manifest")
def manifest_fixture() -> dict[str, Any]:
    """Return the manifest of the integration."""
    return read_json(INTEGRATION / "manifest.json")


@pytest.fixture(name="hacs")
def hacs_fixture() -> dict[str, Any]:
    """Return the repository's metadata for HACS."""
    return read_json(ROOT / "hacs.json")


def test_every_mention_of_the_repository_is_the_same(manifest: dict[str, Any]) -> None:
    """Every URL, badge or link of the repository has the right one."""
    mention = re.compile(rf"(?P<host>\S*)(?<![\w-]){OWNER}(?:/|&repository=)(?P<name>[\w-]+)")
    mentions = [
        (path.relative_to(ROOT), match)
        for path, text in texts().items()
        for word in text.split()
        if OWNER in word
        for match in mention.finditer(word)
    ]
    wrong = [
        f"{path}: {match[0]}"
        for path, match in mentions
        if match["name"] != NAME
        or ("github.com" in match["host"] and not match[0].endswith(REPOSITORY))
    ]

    assert mentions
    assert wrong == []
    assert manifest["documentation"].startswith(REPOSITORY)
    assert manifest["issue_tracker"] == f"{REPOSITORY}/issues"


def test_manifest_has_the_required_keys(manifest: dict[str, Any]) -> None:
    """All keys are present, in hassfest's order, with the right values."""
    keys = list(manifest)

    assert keys[:2] == ["domain", "name"]
    assert keys[2:] == sorted(keys[2:])
    assert {"codeowners", "config_flow", "loggers", "requirements"} <= manifest.keys()
    assert manifest["domain"] == INTEGRATION.name
    assert manifest["integration_type"] == "service"
    assert manifest["iot_class"] == "cloud_polling"
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", manifest["version"])


@pytest.mark.parametrize("environment", ["test", "demo"])
def test_tests_use_the_requirements_of_the_manifest(
    manifest: dict[str, Any], environment: str
) -> None:
    """The tests run with the requirements that Home Assistant will install."""
    wanted = (ROOT / "requirements" / f"{environment}.in").read_text("utf-8").splitlines()

    assert set(manifest["requirements"]) <= set(wanted)


def test_supported_releases_are_tested(hacs: dict[str, Any]) -> None:
    """The tests run on the oldest supported month of Home Assistant, the demo on a newer one."""
    pinned = re.compile(r"^homeassistant==([\d.]+) ", re.MULTILINE)
    [tested], [shown] = (
        pinned.findall((ROOT / "requirements" / f"{name}.txt").read_text("utf-8"))
        for name in ("test", "demo")
    )

    assert hacs["homeassistant"] == "2026.10.0"
    assert tested.startswith("2026.10.")
    assert AwesomeVersion(shown) > AwesomeVersion(tested)


def test_release_zip_is_the_one_that_hacs_downloads(
    hacs: dict[str, Any], manifest: dict[str, Any]
) -> None:
    """The release workflow uploads the file that HACS downloads."""
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")

    assert hacs["name"] == manifest["name"]
    assert hacs["zip_release"] is True
    assert set(re.findall(r"[\w.-]+\.zip", release)) == {hacs["filename"]}


@pytest.mark.parametrize("suffix", BRAND_HEIGHTS)
@pytest.mark.parametrize("theme", ["", "dark_"])
@pytest.mark.parametrize("kind", ["icon", "logo"])
def test_brand_images_have_the_right_size(kind: str, theme: str, suffix: str) -> None:
    """Home Assistant finds each image under its name, icons square and logos of the same height."""
    image = (INTEGRATION / "brand" / f"{theme}{kind}{suffix}.png").read_bytes()
    width, height = struct.unpack(">II", image[16:24])

    assert image.startswith(b"\x89PNG")
    assert height == BRAND_HEIGHTS[suffix]
    assert width == height if kind == "icon" else width > height


def test_hacs_only_offers_releases(hacs: dict[str, Any]) -> None:
    """All keys are valid (https://hacs.xyz/docs/publish/start), and branches are not offered."""
    known = {"content_in_root", "country", "filename", "hacs", "hide_default_branch"}
    known |= {"homeassistant", "name", "persistent_directory", "zip_release"}

    assert hacs.keys() <= known
    assert hacs["hide_default_branch"] is True


def test_parts_of_workflows_exist() -> None:
    """Files that a workflow uses exist, which actionlint does not check."""
    used = {
        path: re.findall(r"uses: \$/(\S+)", path.read_text("utf-8"))
        for path in (FOLDER / "workflows").iterdir()
    }
    missing = [part for parts in used.values() for part in parts if not (ROOT / part).exists()]

    assert any(used.values())
    assert missing == []


def test_code_owners_are_those_of_the_manifest(manifest: dict[str, Any]) -> None:
    """GitHub requests reviews from the owners in the manifest."""
    lines = (FOLDER / "CODEOWNERS").read_text("utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]

    assert rules == [["*", *manifest["codeowners"]]]


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_fields_of_an_issue_form_are_unique(form: str) -> None:
    """GitHub rejects a form in which two fields share an ID or a label; no schema checks that."""
    fields = read_yaml(f"ISSUE_TEMPLATE/{form}.yml")["body"]
    labels = [field["attributes"].get("label") for field in fields]
    ids = [field.get("id") for field in fields]

    assert len(set(labels)) == len(labels)
    assert len(set(ids)) == len(ids)


def test_chooser_has_a_link_for_questions() -> None:
    """A question does not have to be filed as a bug."""
    links = read_yaml("ISSUE_TEMPLATE/config.yml")["contact_links"]

    assert f"{REPOSITORY}/discussions/categories/q-a" in [link["url"] for link in links]


def pins(path: Path) -> dict[str, str]:
    """Parse a requirements file: each package with its pinned version, or none."""
    lines = re.findall(r"^([A-Za-z][\w.-]*)(?:==([^\s;]+))?", path.read_text("utf-8"), re.MULTILINE)
    return {name.lower(): version for name, version in lines}


def test_every_requirement_is_updated() -> None:
    """Dependabot updates each package except the pinned ones, which are updated with the plugin."""
    (update,) = (
        update
        for update in read_yaml("dependabot.yml")["updates"]
        if update["directory"] == "/requirements"
    )
    allowed = {rule["dependency-name"] for rule in update["allow"]}
    named = [item for path in (ROOT / "requirements").glob("*.in") for item in pins(path).items()]
    free = {name for name, version in named if not version}

    assert allowed == free | {"pytest-homeassistant-custom-component"}


def test_home_assistants_own_requirements_are_those_of_its_release() -> None:
    """The versions in test.in are those that the plugin's release was built with."""
    made_with = (ROOT / "requirements" / "test.txt").read_text("utf-8")
    if f"\nhomeassistant=={__version__} " not in made_with:
        pytest.skip("These tests run on another release than that of test.txt")
    own = pins(Path(homeassistant.__file__).parent / "package_constraints.txt")
    pinned = pins(ROOT / "requirements" / "test.in")
    moving = {name: version for name, version in pinned.items() if name in own and version}

    assert "home-assistant-frontend" in moving
    assert moving == {name: own[name] for name in moving}
