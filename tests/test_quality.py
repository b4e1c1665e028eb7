"""The quality scale: every rule is done or rightly exempt, with evidence."""

import ast
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.util.yaml import load_yaml_dict
import pytest

from .test_repository import INTEGRATION, ROOT

DOCS: Final = ROOT / "docs"
RULES: Final[dict[str, Any]] = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))["rules"]
PAGE: Final = "https://developers.home-assistant.io/docs/core/integration-quality-scale/rules/"
ROW: Final = re.compile(
    rf"^\| \[`([a-z-]+)`\]\({re.escape(PAGE)}([a-z-]+)\) \| (.+) \|$", re.MULTILINE
)
DONE, EXEMPT = (DOCS / "quality.md").read_text("utf-8").split("\n## Exempt\n")
WHERE: Final = {rule: where for rule, _, where in ROW.findall(DONE)}
# Those of Home Assistant's developer pages and its own smtp integration, in the fall of 2026.
COUNT: Final = 54


def names(path: Path) -> set[str]:
    """Return the names that a module's code uses."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def headings(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text).lower().replace(" ", "-") for text in found}


def test_every_config_entry_of_ours_is_typed() -> None:
    """Only entries of the built-in integration, and arbitrary ones, lack our runtime data."""
    bare = {path.stem for path in INTEGRATION.rglob("*.py") if "ConfigEntry" in names(path)}
    assert bare == {"coordinator", "repairs", "smtp_import"}


def test_every_rule_is_done_or_exempt_for_a_reason() -> None:
    """No rule is left to do, and a comment is a sentence."""
    assert len(RULES) == COUNT
    for rule, status in RULES.items():
        if status != "done":
            assert status["status"] in ("done", "exempt"), rule
            assert status["comment"].endswith("."), rule


def test_done_rules_are_in_the_table() -> None:
    """Each rule links its own page; an exemption has the same reason in both places."""
    links = ROW.findall(DONE + EXEMPT)
    assert [rule for rule, _, _ in links] == [page for _, page, _ in links]
    exempt = {
        rule: status["comment"]
        for rule, status in RULES.items()
        if status != "done" and status["status"] == "exempt"
    }
    assert {rule: reason for rule, _, reason in ROW.findall(EXEMPT)} == exempt
    assert [*WHERE] == [rule for rule in RULES if rule not in exempt]


@pytest.mark.parametrize(("rule", "where"), WHERE.items(), ids=WHERE)
def test_done_rules_have_evidence(rule: str, where: str) -> None:
    """Each place in the table exists, and has what the table says."""
    places = re.findall(r"\]\((?!https:)([^)#]+)(?:#([^)]+))?\)", where)
    assert places, rule
    for place, heading in places:
        assert (DOCS / place).exists(), place
        assert not heading or heading in headings(DOCS / place), heading
    for name, place in re.findall(r"`(\w+)` in \[[^]]+\]\(([^)]+)\)", where):
        assert re.search(rf"\b{name}\b", (DOCS / place).read_text("utf-8")), name
