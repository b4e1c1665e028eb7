"""Build the zip of a release, and extract a version's notes from CHANGELOG.md.

scripts/package runs it with any Python 3: it only uses the standard library.
"""

import argparse
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Final
import zipfile

ROOT: Final = Path(__file__).resolve().parent.parent
INTEGRATION: Final = ROOT / "custom_components" / "outlook_smtp"
CHANGELOG: Final = ROOT / "CHANGELOG.md"
TARGET: Final = ROOT / "outlook_smtp.zip"

_VERSION: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}((a|b|rc)[0-9]+)?")
# The earliest time that a zip can store; a real one would make each build differ.
_TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The integration cannot be packaged; the message gives the reason."""


def check_version(version: str) -> None:
    """Require a valid version.

    Raises:
        PackageError: If it is not of the form 1.2.3, or 1.2.3b1 for a pre-release.
    """
    if not _VERSION.fullmatch(version):
        raise PackageError(
            f'"{version}" is not a version. Use one such as 1.2.3, or 1.2.3b1 for a pre-release.'
        )


def notes(version: str) -> str:
    """Return what CHANGELOG.md says about a version.

    Raises:
        PackageError: If it is invalid, or if CHANGELOG.md has no heading or no notes for it.
    """
    check_version(version)
    sections = re.split(r"^## +(.*)$", CHANGELOG.read_text("utf-8"), flags=re.MULTILINE)[1:]
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        if re.fullmatch(rf"{re.escape(version)}( - \d{{4}}-\d\d-\d\d)?\s*", heading):
            if text.strip():
                return text.strip() + "\n"
            raise PackageError(f"CHANGELOG.md says nothing below its heading for {version}.")
    raise PackageError(
        f'CHANGELOG.md does not name {version}. Add a heading "## {version}" with what is new.'
    )


def build_zip(target: Path, version: str | None = None) -> Path:
    """Write the zip as Home Assistant's store unpacks it, and return its path.

    The same files give the same zip. Files that git does not track are left out.

    Args:
        target: The file to write; its folder is created.
        version: The version in the zip's manifest; unchanged if None.

    Raises:
        PackageError: If CHANGELOG.md does not name the version, or if git cannot list the files.
    """
    if version is not None:
        notes(version)
    files = tracked_files()
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            content = path.read_bytes()
            if version is not None and path == INTEGRATION / "manifest.json":
                content = _stamped(content, version)
            info = zipfile.ZipInfo(path.relative_to(INTEGRATION).as_posix(), _TIMESTAMP)
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return target


def tracked_files() -> list[Path]:
    """Return the integration's files that git tracks, sorted, and print those that it does not.

    Raises:
        PackageError: If git is missing, or if this is not a clone of the repository.
    """
    for name in _git_files("--others", "--exclude-standard"):
        print(f"▸ Not in the zip, since git does not track it: {name}", file=sys.stderr)
    files = sorted(INTEGRATION / name for name in _git_files("--cached", "--deduplicate"))
    if INTEGRATION / "manifest.json" not in files:
        raise PackageError(f"git tracks no integration in {INTEGRATION}.")
    return [path for path in files if path.exists()]


def _git_files(*options: str) -> list[str]:
    """Return the files that `git ls-files` lists in the integration's folder."""
    command = ["git", "-C", str(INTEGRATION), "ls-files", "-z", *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as err:
        raise PackageError("Install git: it knows which files belong in the zip.") from err
    except subprocess.CalledProcessError as err:
        raise PackageError(f"git cannot list the files for the zip: {err.stderr.strip()}") from err
    return result.stdout.split("\0")[:-1]


def _stamped(manifest: bytes, version: str) -> bytes:
    """Return a manifest with another version."""
    content = {**json.loads(manifest), "version": version}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/package")
    parser.add_argument(
        "version", nargs="?", help="of the release, named by CHANGELOG.md; else the manifest's"
    )
    parser.add_argument(
        "--output", type=Path, default=TARGET, metavar="FILE", help="the zip to write"
    )
    parser.add_argument(
        "--notes", action="store_true", help="only print what CHANGELOG.md says about the version"
    )
    arguments = parser.parse_args()
    if arguments.notes and arguments.version is None:
        parser.error("--notes needs the version")
    try:
        if arguments.notes:
            print(notes(arguments.version), end="")
        else:
            print(build_zip(arguments.output, arguments.version))
    except (PackageError, OSError) as err:
        print(f"✗ {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
