"""The integration's texts as people read them, so that a better wording breaks no story."""

from functools import cache
import json
from pathlib import Path
import re
from typing import Any, Final

INTEGRATION: Final = Path(__file__).parents[2] / "custom_components" / "outlook_smtp"
TRANSLATIONS: Final = INTEGRATION / "translations"
NAME: Final[str] = json.loads((INTEGRATION / "manifest.json").read_text())["name"]
LANGUAGES: Final = tuple(sorted(path.stem for path in TRANSLATIONS.glob("*.json")))
# Placeholders, and the marks of Markdown that are not shown.
_GAP: Final = re.compile(r"\{\w+\}|\*\*|\n+|\[|\]\([^)]*\)")


def text(key: str, language: str = "en", **values: str) -> str:
    """Return a text, or the longest part of it that is shown in one piece whatever the values.

    Args:
        key: Where it is in the translations, like `config.step.user.title`.
        language: The translation's file name.
        values: What replaces placeholders.

    """
    node: Any = _read(language)
    for name in key.split("."):
        node = node[name]
    for name, value in values.items():
        node = node.replace(f"{{{name}}}", value)
    return max(_GAP.split(node), key=len).strip()


@cache
def _read(language: str) -> Any:
    """Return all texts of a language."""
    return json.loads((TRANSLATIONS / f"{language}.json").read_text(encoding="utf-8"))
