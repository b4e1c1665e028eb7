"""The zip of a release: tracked files, the version of the tag, and reproducible bytes."""

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Final
import zipfile

import pytest

from scripts import _package
from scripts._package import INTEGRATION, ROOT, build_zip

CHANGES: Final = """# Changelog

## Unreleased

- Not out yet.

## 1.10.0

## 1.2.3 - 2026-12-01

### Added

- Everything.

## 1.2.3b1

- A part of it.
"""
MANIFEST: Final = {"domain": "a", "name": "Ä", "codeowners": ["@b"], "version": "0.1.0"}


@pytest.fixture(name="integration")
def integration_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an integration in its own repository, with a changelog."""
    folder = tmp_path / "repository" / "custom_components" / "a"
    (folder / "room").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST), "utf-8")
    (folder / "room" / "__init__.py").touch()
    changelog = tmp_path / "repository" / "CHANGELOG.md"
    changelog.write_text(CHANGES, "utf-8")
    assert run("git", "init", "--quiet", folder=changelog.parent).returncode == 0
    assert run("git", "add", ".", folder=changelog.parent).returncode == 0
    monkeypatch.setattr(_package, "CHANGELOG", changelog)
    monkeypatch.setattr(_package, "INTEGRATION", folder)
    return folder


def run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run(  # noqa: S603 # commands of these tests
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def package(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run scripts/package in a folder."""
    return run(ROOT / "scripts" / "package", *arguments, folder=folder)


def contents(archive: Path) -> dict[str, bytes]:
    """Return the files of a zip."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_zip_holds_the_integration(tmp_path: Path) -> None:
    """All of its files are at the top of the zip, unchanged."""
    packed = contents(build_zip(tmp_path / "new" / "outlook_smtp.zip"))
    tracked = run("git", "ls-files", folder=INTEGRATION).stdout.split()

    assert packed == {name: (INTEGRATION / name).read_bytes() for name in tracked}
    assert {"manifest.json", "__init__.py", "translations/de.json"} <= packed.keys()


def test_untracked_files_are_left_out(
    integration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forgotten file is named; an ignored or deleted one is not."""
    (integration / ".gitignore").write_text("__pycache__/\n.gitignore\n")
    (integration / "__pycache__").mkdir()
    (integration / "__pycache__" / "a.pyc").touch()
    (integration / "room" / "new.py").touch()
    (integration / "room" / "__init__.py").unlink()

    assert contents(build_zip(tmp_path / "a.zip")).keys() == {"manifest.json"}
    assert capsys.readouterr().err == (
        "▸ Not in the zip, since git does not track it: room/new.py\n"
    )


def test_version_is_only_in_the_zip(integration: Path, tmp_path: Path) -> None:
    """Only the copy in the zip has it, with everything else in order."""
    packed = contents(build_zip(tmp_path / "a.zip", "1.2.3b1"))["manifest.json"]

    assert json.loads(packed) == {**MANIFEST, "version": "1.2.3b1"}
    assert list(json.loads(packed)) == list(MANIFEST)
    assert "Ä".encode() in packed
    assert json.loads((integration / "manifest.json").read_text("utf-8")) == MANIFEST


def test_same_files_make_the_same_zip(integration: Path, tmp_path: Path) -> None:
    """Neither their times and permissions nor the name of the zip matter."""
    first = build_zip(tmp_path / "a.zip", "1.2.3").read_bytes()
    os.utime(integration / "room" / "__init__.py", (0, 0))
    (integration / "room" / "__init__.py").chmod(0o700)

    assert build_zip(tmp_path / "b.zip", "1.2.3").read_bytes() == first


@pytest.mark.parametrize(
    "version", ["v1.2.3", "1.2", "1.2.3.4", "01.2.3", "1.2.3-beta", "1.2.3b", "1.2.3\n", ""]
)  # fmt: skip
def test_invalid_version_is_rejected(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
) -> None:
    """The sentence quotes it, and shows the right format."""
    monkeypatch.setattr(sys, "argv", ["package", version, "--output", str(tmp_path / "a.zip")])

    assert _package.main() == 1
    assert capsys.readouterr().err == (
        f'✗ "{version}" is not a version. Use one such as 1.2.3, or 1.2.3b1 for a pre-release.\n'
    )
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.usefixtures("integration")
@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("1.2.4", 'CHANGELOG.md does not name 1.2.4. Add a heading "## 1.2.4" with what is new.'),
        ("1.2.3b11", 'CHANGELOG.md does not name 1.2.3b11. Add a heading "## 1.2.3b11"'),
        ("1.10.0", "CHANGELOG.md says nothing below its heading for 1.10.0."),
    ],
)
def test_version_without_notes_is_rejected(tmp_path: Path, version: str, sentence: str) -> None:
    """A version that is missing in CHANGELOG.md, or has no notes, makes no zip."""
    with pytest.raises(_package.PackageError) as caught:
        build_zip(tmp_path / "a.zip", version)

    assert str(caught.value).startswith(sentence)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.usefixtures("integration")
def test_notes_are_the_section_of_the_version() -> None:
    """They end where the next version begins, and the heading is not repeated."""
    assert _package.notes("1.2.3") == "### Added\n\n- Everything.\n"
    assert _package.notes("1.2.3b1") == "- A part of it.\n"


def test_script_needs_neither_a_version_nor_the_project_folder(tmp_path: Path) -> None:
    """It writes the zip from any folder, with any Python 3, and prints its path."""
    result = package("--output", "here.zip", folder=tmp_path)

    assert (result.returncode, result.stdout) == (0, "here.zip\n")
    assert contents(tmp_path / "here.zip") == contents(build_zip(tmp_path / "b.zip"))


def test_errors_are_readable(tmp_path: Path) -> None:
    """An unwritable folder, and a copy without git, cause no traceback."""
    (tmp_path / "file").touch()
    blocked = package("--output", tmp_path / "file" / "a.zip")
    copy = tmp_path / "scripts" / "_package.py"
    copy.parent.mkdir()
    copy.write_bytes(Path(_package.__file__).read_bytes())
    (tmp_path / "custom_components" / "outlook_smtp").mkdir(parents=True)
    alone = run("python3", copy)

    assert (blocked.returncode, alone.returncode) == (1, 1)
    assert blocked.stderr.startswith("✗ ")
    assert alone.stderr.startswith("✗ git cannot list the files for the zip: fatal: not a git")
    assert "Traceback" not in blocked.stderr + alone.stderr
