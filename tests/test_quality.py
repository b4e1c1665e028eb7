"""The quality scale: every rule is done or rightly exempt, and what is done can be pointed at."""

import ast
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.util.yaml import load_yaml_dict

from .test_repository import INTEGRATION, ROOT

RULES: Final[dict[str, Any]] = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))["rules"]
TABLE: Final = (ROOT / "docs" / "quality.md").read_text("utf-8")
ROWS: Final = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", TABLE, re.MULTILINE))
README: Final = (ROOT / "README.md").read_text("utf-8")
# Of Home Assistant's developer pages, in the autumn of 2026.
COUNT: Final = 54


def names(path: Path) -> set[str]:
    """Return the names that the code of a module uses."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def test_every_config_entry_of_ours_is_typed() -> None:
    """Only entries of the built-in integration, and of any, are without our runtime data."""
    bare = {path.stem for path in INTEGRATION.glob("*.py") if "ConfigEntry" in names(path)}
    assert bare == {"coordinator", "repairs", "smtp_import"}


def test_every_rule_is_done_or_exempt_for_a_reason() -> None:
    """None is left to do, and no exemption is without its sentence."""
    assert len(RULES) == COUNT
    for rule, status in RULES.items():
        if status != "done":
            assert status["status"] == "exempt", rule
            assert status["comment"].endswith("."), rule


def test_what_is_done_can_be_pointed_at() -> None:
    """The table has exactly the rules that are done, and each place that it names exists."""
    assert sorted(ROWS) == sorted(rule for rule, status in RULES.items() if status == "done")
    for rule, where in ROWS.items():
        places = [place for place in re.findall(r"`([^`]+)`", where) if re.search(r"[./]", place)]
        assert places, rule
        for place in places:
            assert (ROOT / place).exists(), place
        for heading in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", where):
            assert heading in README, (rule, heading)
