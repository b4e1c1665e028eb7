"""Read the README for the tests: its examples, its tables, and how to run an example."""

from pathlib import Path
import re
from textwrap import dedent
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script as Sequence
from homeassistant.util.yaml import parse_yaml

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text("utf-8")
EXAMPLES: Final = [
    dedent(text)
    for _, text in re.findall(r"^( *)```yaml\n(.*?)^\1```$", README, re.MULTILINE | re.DOTALL)
]


def example(words: str) -> str:
    """Return the one example that contains a text."""
    [text] = [text for text in EXAMPLES if words in text]
    return str(text)


def actions(words: str) -> list[dict[str, Any]]:
    """Return the actions of the one example that contains a text."""
    parsed: Any = parse_yaml(example(words))
    return parsed if isinstance(parsed, list) else [parsed]


def column(heading: str) -> list[str]:
    """Return the code in the first column of the table under a heading."""
    table = README.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [key for row in rows for key in re.findall(r"`([^`]+)`", row)]


async def run(hass: HomeAssistant, text: str) -> dict[str, Any]:
    """Run an example as the sequence of a script, and return its variables."""
    sequence = cv.SCRIPT_SCHEMA(cv.ensure_list(parse_yaml(text)))
    script = Sequence(hass, sequence, "README", "test")
    result = await script.async_run(context=Context())
    assert result
    return dict(result.variables)
