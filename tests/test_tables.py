"""The tables of the guide that scripts/lint writes: their rows, and the check."""

import json
from pathlib import Path
import shutil
from typing import Any, Final

import pytest

from custom_components.outlook_smtp.delivery.faults import Problem
from custom_components.outlook_smtp.graph.answers import CATALOGUE as CODES
from custom_components.outlook_smtp.smtp.replies import CATALOGUE as REPLIES
from scripts import _tables
from scripts._tables import advice, codes, form, main, problems, sign_in_codes
from scripts._translations import STRINGS

from .readme import ROOT

TEXTS: Final[dict[str, Any]] = json.loads(STRINGS.read_text("utf-8"))


def rows() -> dict[str, list[str]]:
    """Return the cells of the table of problems by key."""
    lines = [line.strip("| ").split(" | ") for line in problems(TEXTS)][2:]
    return {key.strip("`"): cells for key, *cells in lines}


def test_every_problem_has_a_name_and_advice() -> None:
    """None is without a text, a quotation of the server, or a placeholder's braces."""
    for problem in Problem:
        name, text = rows()[problem][:2]
        assert name, problem
        assert text.endswith("."), problem
        assert "{" not in text, problem
        assert not text.endswith("said."), problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [(text, problem) for text, _, problem in (*REPLIES, *CODES)]
    + [(f"AADSTS{code}", problem) for code, (problem, _) in sign_in_codes().items()],
)
def test_every_text_of_a_catalogue_is_found_at_its_problem(text: str, problem: str) -> None:
    """Readers find what Microsoft said by searching the page."""
    assert f"`{text.strip()}`" in rows()[problem][2]


def test_every_sign_in_code_has_its_line() -> None:
    """What Microsoft says at the sign-in is found by its number, with the remedy."""
    lines = [line.strip("| ").split(" | ") for line in codes(TEXTS)][2:]

    assert [code for code, *_ in lines] == [f"`AADSTS{code}`" for code in sorted(sign_in_codes())]
    for _, said, told in lines:
        assert said
        assert told.endswith(".")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{host} is busy. Wait. The server said: {reply}", "*host* is busy. Wait."),
        ("Nothing at {host}. ({reply})", "Nothing at *host*."),
        ("Unexpected: {reply}", "Unexpected."),
        ("Use a|b: {hint}.", r"Use a\|b: *hint*."),
    ],
)
def test_advice_is_without_quotation(text: str, shown: str) -> None:
    """What the server said is in another column."""
    assert advice({"config": {"error": {"key": text}}}, "key") == shown


def test_form_has_its_sections_fields_last() -> None:
    """The fields have the names of the dialog, and say in which section they are."""
    port = {"data": {"port": "Port"}, "data_description": {"port": "Of {host}."}}
    step = {
        "data": {"host": "Host"},
        "data_description": {"host": "A name."},
        "sections": {"more": {"name": "More"} | port},
    }
    assert [*form({"step": step}, ("step",))][2:] == [
        "| Host | A name. |",
        "| Port (under *More*) | Of *host*. |",
    ]


def test_stale_table_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check names the page and leaves it alone; without it, the page is written."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.setattr(_tables, "ROOT", tmp_path)
    page = tmp_path / "docs" / "problems.md"
    current = page.read_text("utf-8")
    stale = current.replace("| `timeout` |", "| `time` |")
    page.write_text(stale, "utf-8")

    monkeypatch.setattr("sys.argv", ["_tables.py", "--check"])
    assert main() == 1
    assert capsys.readouterr().out == ("problems.md repeats older texts: run scripts/lint --fix\n")
    assert page.read_text("utf-8") == stale
    monkeypatch.setattr("sys.argv", ["_tables.py"])
    assert main() == 0
    assert page.read_text("utf-8") == current
