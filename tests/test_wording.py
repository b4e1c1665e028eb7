"""The check of the wording in scripts/lint: what it finds, where, and what it leaves alone."""

from pathlib import Path

import pytest

from scripts import _wording
from scripts._wording import WORDING, findings, is_checked, main

# A sentence for each row of the table, in its order.
SENTENCES = (
    "It shall not pass.",
    "A person whom nobody knows.",
    "A telephone rings.",
    "Then it is mended.",
    "The client takes leave.",
    "And nobody hears of it.",
    "The caller is told so.",
    "A message that was hurried.",
    "It ends by itself.",
    "What stands in its way.",
    "Quote the server's words.",
    "An e-mail arrives.",
    "Two mails arrive.",
    "After a time-out.",
    "Look for typing errors.",
    "Signed in and not let in.",
    "Something unforeseen.",
    "It begins anew.",
    "It was turned away.",
    "A message kept aside.",
    "It waits for ever.",
    "The server has a passing problem.",
    "They are born without SMTP.",
    "2 messages of {size} MB wait.",
)


def test_every_row_has_a_sentence() -> None:
    """No row is added without an example that it finds."""
    assert len(SENTENCES) == len(WORDING)


@pytest.mark.parametrize(("row", "sentence"), enumerate(SENTENCES))
def test_each_wording_is_found(row: int, sentence: str) -> None:
    """The finding has the file, the line and what to write instead, and no other row matches."""
    (finding,) = findings("docs/page.md", f"# Title\n\n{sentence}\n")
    assert finding.startswith("docs/page.md:3: instead of “")
    assert finding.endswith(f"” write {WORDING[row][1]}")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ('"""A module that shall do."""\n', 1),
        ('def do() -> None:\n    """Do.\n\n    Args:\n        it: Shall be.\n\n    """\n', 5),
        ("A = 1\nB = 2  # It shall be two.\n", 2),
        ("# It\n# shall\n# be.\n", 2),
        ('_LOGGER.warning("It shall be: %s", it)\n', 1),
        ("async def test_it_shall_be() -> None: ...\n", 1),
    ],
)
def test_python_prose_is_checked(code: str, line: int) -> None:
    """Docstrings, comments, log lines and the names of tests, each at its own line."""
    (finding,) = findings("tests/test_it.py", code)
    assert finding.startswith(f"tests/test_it.py:{line}: instead of “")


def test_texts_are_checked() -> None:
    """A finding in strings.json names its line, and so does one in a table of the docs."""
    (finding,) = findings("strings.json", '{\n  "shall": {\n    "title": "It shall"\n  }\n}\n')
    assert finding.startswith("strings.json:3: ")
    table = "<!-- Table it -->\n| It shall be |\n<!-- End of the table -->\n"
    (finding,) = findings("it.md", table)
    assert finding.startswith("it.md:2: ")


def test_words_are_found_across_line_breaks() -> None:
    """A finding names the line on which the wording starts, in docstrings and comments."""
    code = '"""It is\ntold."""\n\n# The server\'s\n# words.\n'
    assert [finding.split(":")[1] for finding in findings("it.py", code)] == ["1", "4"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("it.py", "if task.cancelled():\n    mend = shall(whom='telephone')\n"),
        ("it.py", '"""The key `unforeseen` is stable."""\n'),
        ("it.md", "`shall` and\n\n```yaml\ntitle: It shall be\n```\n"),
        ("it.json", '{\n  "unforeseen": "[%key:unforeseen%]"\n}\n'),
        ("it.md", "Marshall recommends to amend the emails.\n"),
    ],
)
def test_code_and_other_words_are_left_alone(path: str, text: str) -> None:
    """Identifiers, strings and quoted code are free, and so are longer words."""
    assert list(findings(path, text)) == []


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        ("custom_components/outlook_smtp/mailer.py", True),
        ("docs/architecture.md", True),
        ("scripts/lint", True),
        (".github/workflows/tests.yml", True),
        ("custom_components/outlook_smtp/strings.json", True),
        ("custom_components/outlook_smtp/services.yaml", True),
        ("custom_components/outlook_smtp/translations/en.json", False),
        ("CHANGELOG.md", True),
        ("README.md", True),
        ("docs/problems.md", True),
        ("docs/dashboard.yaml", True),
        ("blueprints/automation/outlook_smtp/daily_digest.yaml", True),
        ("requirements/test.txt", False),
        ("docs/pictures/brand/logo.png", False),
    ],
)
def test_prose_is_checked(path: str, *, checked: bool) -> None:
    """It is every page, program and text, but not what others wrote or what is generated."""
    assert is_checked(path) is checked


def test_finding_fails_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1 with findings and 0 without, and each finding is a line."""
    monkeypatch.setattr(_wording, "ROOT", tmp_path)
    (tmp_path / "good.md").write_text("It should pass.\n", "utf-8")
    assert main(["good.md"]) == 0
    (tmp_path / "bad.md").write_text("It shall\nmend.\n", "utf-8")
    assert main(["good.md", "bad.md"]) == 1
    assert capsys.readouterr().out == (
        "bad.md:1: instead of “shall” write “should”, “must” or the present tense\n"
        "bad.md:2: instead of “mend” write “fix” or “correct”\n"
    )
