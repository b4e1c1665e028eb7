"""Resolves the references of strings.json into translations/en.json, which Home Assistant reads.

Home Assistant does this for its own integrations when it is released; a custom integration has
to bring the result. With `--check` nothing is written, and a difference ends in exit code 1.
"""

import json
from pathlib import Path
import re
import sys
from typing import Any, Final

INTEGRATION: Final = Path(__file__).parent.parent / "custom_components" / "outlook_smtp"
STRINGS: Final = INTEGRATION / "strings.json"
ENGLISH: Final = INTEGRATION / "translations" / "en.json"

_REFERENCE: Final = re.compile(r"\[%key:component::outlook_smtp::(?P<path>[^%]+)%\]")


def resolve(node: Any, strings: dict[str, Any]) -> Any:
    """Return a node of the strings with every reference replaced by the text that it names."""
    if isinstance(node, dict):
        return {key: resolve(value, strings) for key, value in node.items()}
    if match := _REFERENCE.fullmatch(node):
        target: Any = strings
        for key in match["path"].split("::"):
            target = target[key]
        return resolve(target, strings)
    return node


def english() -> str:
    """Return what translations/en.json has to hold."""
    strings = json.loads(STRINGS.read_text(encoding="utf-8"))
    return json.dumps(resolve(strings, strings), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or check it; return the exit code."""
    if "--check" not in sys.argv:
        ENGLISH.parent.mkdir(exist_ok=True)
        ENGLISH.write_text(english(), encoding="utf-8")
        return 0
    if ENGLISH.read_text(encoding="utf-8") == english():
        return 0
    print("translations/en.json is not what strings.json says: run scripts/lint --fix")
    return 1


if __name__ == "__main__":
    sys.exit(main())
