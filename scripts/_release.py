"""Publish a release: first a draft, then its zip, then publicly.

This way, no update is offered without its file. The workflow Release runs
`python3 -m scripts._release TAG ZIP NOTES`; a second run continues where the first one stopped.
"""

import json
from pathlib import Path
import re
import sys
import tempfile

from scripts._gh import gh


def publish(tag: str, archive: Path, notes: Path) -> str:
    """Publish the release of a tag, and return a sentence about what was done.

    Args:
        tag: A tag of the repository, such as v1.2.3; v1.2.3b1 becomes a pre-release.
        archive: The zip to attach.
        notes: The file with the release notes.

    Raises:
        SystemExit: If the tag is already published with another file, or if gh failed.
    """
    drafts = _drafts(tag)
    if False in drafts:
        _compare(tag, archive)
        return f"{tag} is already published with this file."
    if not drafts:
        gh("release", "create", tag, "--draft", "--verify-tag", "--notes-file", str(notes))
    gh("release", "upload", tag, str(archive), "--clobber")
    early = re.search(r"(a|b|rc)[0-9]+$", tag)
    kind = ("--prerelease", "--latest=false") if early else ("--prerelease=false",)
    texts = ("--title", tag, "--notes-file", str(notes))
    gh("release", "edit", tag, *texts, *kind, "--draft=false")
    return f"{tag} is published."


def _drafts(tag: str) -> list[bool]:
    """Return, for each release of a tag, whether it is a draft."""
    releases = json.loads(gh("release", "list", "--json", "tagName,isDraft", "--limit", "1000"))
    return [release["isDraft"] for release in releases if release["tagName"] == tag]


def _compare(tag: str, archive: Path) -> None:
    """Fail unless a published release has this exact file."""
    assets = json.loads(gh("release", "view", tag, "--json", "assets"))["assets"]
    if archive.name in [asset["name"] for asset in assets]:
        with tempfile.TemporaryDirectory() as folder:
            gh("release", "download", tag, "--pattern", archive.name, "--dir", folder)
            if (Path(folder) / archive.name).read_bytes() == archive.read_bytes():
                return
    raise SystemExit(
        f"✗ {tag} is already published, and not with this {archive.name}. What is published is"
        " never changed: release a new version."
    )


if __name__ == "__main__":
    print(publish(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
