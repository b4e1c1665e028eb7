"""Write the tables of README.md and docs/ that repeat what the integration itself says.

A table stands between two comments, of which the first names it: `problems`, `codes`, or the path
of a form in strings.json. The texts are those of strings.json, and what Microsoft says comes from
the catalogs with which the integration recognizes a problem, so nothing is written twice. Run in
the environment of scripts/test: `.venv/bin/python -m scripts._tables`. With `--check`, nothing is
written, and a difference gives exit code 1.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
import json
import logging
from pathlib import Path
import re
import sys
from typing import Any, Final

from ._translations import STRINGS, at, source

ROOT: Final = Path(__file__).parent.parent
_TABLE: Final = re.compile(
    r"(<!-- Table (\S+), written by scripts/lint --fix -->\n).*?(<!-- End of the table -->\n)",
    re.DOTALL,
)

_CODES_MODULE: Final = "custom_components.outlook_smtp.auth.error_codes"

# The quotation at the end of a text, which the last column stands for.
_QUOTATION: Final = re.compile(r"(?<=[.)])\s+(?:\(\{reply\}\)|[^.:()]+: \{reply\})$|: \{reply\}$")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def sayings() -> dict[str, list[str]]:
    """Return all problems, each with what Microsoft or a server says when it means it."""
    # With the integration comes Home Assistant, which logs what this machine lacks.
    from custom_components.outlook_smtp.delivery.faults import Problem  # noqa: PLC0415
    from custom_components.outlook_smtp.graph.answers import CATALOGUE as CODES  # noqa: PLC0415
    from custom_components.outlook_smtp.smtp.replies import CATALOGUE as REPLIES  # noqa: PLC0415

    said: dict[str, list[str]] = {problem.value: [] for problem in sorted(Problem)}
    for text, _, problem in (*REPLIES, *CODES):
        said[problem].append(text.strip())
    for code, (meant, _) in sign_in_codes().items():
        said[meant].append(f"AADSTS{code}")
    return said


def sign_in_codes() -> Mapping[int, tuple[str, str]]:
    """Return what each AADSTS code means, and the beginning of Microsoft's message."""
    catalogue: Mapping[int, tuple[str, str]] = import_module(_CODES_MODULE).CATALOGUE
    return catalogue


def advice(strings: dict[str, Any], problem: str) -> str:
    """Return a problem's text in the dialogs, without quotation, its placeholders in italics."""
    text = at(strings, source(strings, ("config", "error", problem))) or ""
    whole = _PLACEHOLDER.sub(r"*\1*", _QUOTATION.sub("", text).strip())
    return " ".join(whole.split()).replace("|", r"\|").rstrip(".") + "."


def name(strings: dict[str, Any], problem: str) -> str:
    """Return what the entities show for a problem."""
    attribute = "entity.binary_sensor.connection.state_attributes.problem.state"
    return at(strings, source(strings, (*attribute.split("."), problem))) or ""


def problems(strings: dict[str, Any]) -> Iterator[str]:
    """Yield the table of all problems, sorted by key."""
    yield "| Problem | Shown as | What it means, and what to do | Microsoft or the server says |"
    yield "|---|---|---|---|"
    for problem, said in sayings().items():
        shown, quoted = name(strings, problem), ", ".join(f"`{text}`" for text in said)
        yield f"| `{problem}` | {shown} | {advice(strings, problem)} | {quoted} |"


def codes(strings: dict[str, Any]) -> Iterator[str]:
    """Yield the table of the errors of Microsoft's sign-in, sorted by code."""
    yield "| Code | Microsoft says | What it means, and what to do |"
    yield "|---|---|---|"
    for code, (problem, said) in sorted(sign_in_codes().items()):
        yield f"| `AADSTS{code}` | {said} | {advice(strings, problem)} |"


def form(strings: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the table of a form's fields, with those of its sections at the end."""
    yield "| Field | What to enter |"
    yield "|---|---|"
    yield from fields(strings, path)
    for section in node(strings, path).get("sections", {}):
        inside = (*path, "sections", section)
        title = at(strings, source(strings, (*inside, "name")))
        yield from fields(strings, inside, f" (under *{title}*)")


def fields(strings: dict[str, Any], path: tuple[str, ...], where: str = "") -> Iterator[str]:
    """Yield a line for each field of a form, or of a section."""
    for key in node(strings, path).get("data", {}):
        label, told = (
            at(strings, source(strings, (*path, part, key)))
            for part in ("data", "data_description")
        )
        yield f"| {label}{where} | {_PLACEHOLDER.sub(r'*\1*', told or '')} |"


def node(strings: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the part of strings.json at a path."""
    for key in path:
        strings = strings[key]
    return strings


def rewrite(strings: dict[str, Any], match: re.Match[str]) -> str:
    """Return a table, between the comments that it was found between."""
    begin, named, end = match.groups()
    written = {"problems": problems, "codes": codes}.get(named)
    lines = written(strings) if written else form(strings, tuple(named.split(".")))
    return f"{begin}\n{'\n'.join(lines)}\n\n{end}"


def main() -> int:
    """Write the tables, or check them; return the exit code."""
    strings = json.loads(STRINGS.read_text(encoding="utf-8"))
    complaints = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        now = page.read_text(encoding="utf-8")
        wanted = _TABLE.sub(partial(rewrite, strings), now)
        if now == wanted:
            continue
        if "--check" in sys.argv:
            complaints.append(f"{page.name} repeats older texts: run scripts/lint --fix")
        else:
            page.write_text(wanted, encoding="utf-8")
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    logging.disable()
    sys.exit(main())
