"""Write the files in custom_components/outlook_smtp/translations, which Home Assistant reads.

strings.json is the English source; a text in it may refer to another one. Home Assistant resolves
such references for its own integrations when it is released; a custom integration must ship the
result. Each other language has its own file: texts in strings.json are translated there, and
references are filled in, so that no text is translated twice.

With `--check`, nothing is written, and a difference or a missing text gives exit code 1.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import sys
from typing import Any, Final

INTEGRATION: Final = Path(__file__).parent.parent / "custom_components" / "outlook_smtp"
STRINGS: Final = INTEGRATION / "strings.json"
TRANSLATIONS: Final = INTEGRATION / "translations"
ENGLISH: Final = TRANSLATIONS / "en.json"

_REFERENCE: Final = re.compile(r"\[%key:component::outlook_smtp::(?P<path>[^%]+)%\]")


def leaves(
    node: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a tree with its path."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(tree: dict[str, Any], path: tuple[str, ...]) -> str | None:
    """Return the text at a path of a tree."""
    node: Any = tree
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, str) else None


def source(strings: dict[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path of the actual text behind a path, following references."""
    while match := _REFERENCE.fullmatch(at(strings, path) or ""):
        path = tuple(match["path"].split("::"))
    return path


def build(strings: dict[str, Any], texts: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the file of a language, structured like strings.json.

    Also returns the keys without a text.
    """
    result: dict[str, Any] = {}
    missing: list[str] = []
    for path, _ in leaves(strings):
        origin = source(strings, path)
        text = at(texts, origin)
        if text is None:
            missing.append("::".join(origin))
            continue
        node = result
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = text
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n", sorted(set(missing))


def main() -> int:
    """Write the files, or check them; return the exit code."""
    strings = json.loads(STRINGS.read_text(encoding="utf-8"))
    complaints: list[str] = []
    TRANSLATIONS.mkdir(exist_ok=True)
    for file in sorted({ENGLISH, *TRANSLATIONS.glob("*.json")}):
        now = file.read_text(encoding="utf-8") if file.exists() else "{}"
        wanted, missing = build(strings, strings if file == ENGLISH else json.loads(now))
        complaints += [f"{file.name} has no text for {key}" for key in missing]
        if now == wanted:
            continue
        if "--check" in sys.argv:
            complaints.append(f"{file.name} is not what strings.json says: run scripts/lint --fix")
        else:
            file.write_text(wanted, encoding="utf-8")
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
