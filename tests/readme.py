"""Read the README and the guide in docs/ for the tests: examples and tables."""

from pathlib import Path
import re
from textwrap import dedent
from typing import Any, Final

from homeassistant.util.yaml import parse_yaml

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text("utf-8")
# The pages for users; the others are for developers.
PAGES: Final = ("sign-in", "sending", "outbox", "problems", "automations", "moving")
GUIDE: Final = "\n".join(
    [README, *((ROOT / "docs" / f"{page}.md").read_text("utf-8") for page in PAGES)]
)
EXAMPLES: Final = [
    dedent(text)
    for _, text in re.findall(r"^( *)```yaml\n(.*?)^\1```$", GUIDE, re.MULTILINE | re.DOTALL)
]


def example(words: str) -> str:
    """Return the one example that contains a text, which may be on several pages."""
    [text] = {text for text in EXAMPLES if words in text}
    return str(text)


def actions(words: str) -> list[dict[str, Any]]:
    """Return the actions of the one example that contains a text."""
    parsed: Any = parse_yaml(example(words))
    return parsed if isinstance(parsed, list) else [parsed]


def column(heading: str) -> list[str]:
    """Return the code in the first column of the tables under a heading."""
    under = [part.partition("\n#")[0] for part in GUIDE.split(f"\n{heading}\n")[1:]]
    lines = "\n".join(under).splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    return [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
