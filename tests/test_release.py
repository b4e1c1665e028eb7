"""The release workflow: nothing is public without its file, and published files never change."""

from pathlib import Path
from typing import Any

import pytest

from scripts import _release
from tests.github import FOLDER, Repository, read_yaml


@pytest.fixture(name="repository")
def repository_fixture(tmp_path: Path) -> Repository:
    """Return a repository with the tags of two versions, which are not released yet."""
    repository = Repository(tmp_path)
    repository.change(tags=["v1.2.3", "v1.2.3b1"])
    return repository


def files(folder: Path, content: str = "zip") -> tuple[Path, Path]:
    """Return a zip of some content, and the notes of a release."""
    archive, notes = folder / "outlook_smtp.zip", folder / "notes.md"
    archive.write_text(content)
    notes.write_text("What is new.\n")
    return archive, notes


def publish(repository: Repository, folder: Path, tag: str, content: str = "zip") -> str:
    """Publish a tag with a zip of some content."""
    return repository.call(_release.publish, tag, *files(folder, content))


def public_without_file(repository: Repository) -> list[Any]:
    """Return the releases that were ever public without their file."""
    seen = [release for releases in repository["seen"] for release in releases.values()]
    assert seen
    return [release for release in seen if not release["draft"] and not release["assets"]]


def test_release_is_public_once_it_has_its_file(repository: Repository, tmp_path: Path) -> None:
    """A draft gets the zip first; then it is the latest release, with the notes."""
    said = repository.run("_release", "v1.2.3", *files(tmp_path))
    assert said == "v1.2.3 is published.\n"

    (release,) = repository["releases"].values()
    assert release == {
        "assets": {"outlook_smtp.zip": "zip"},
        "draft": False,
        "latest": True,
        "notes": "What is new.\n",
        "prerelease": False,
        "title": "v1.2.3",
    }
    assert public_without_file(repository) == []


@pytest.mark.parametrize("tag", ["v2.0.0b12", "v2.0.0rc1"])
def test_preview_is_never_the_latest(repository: Repository, tmp_path: Path, tag: str) -> None:
    """A beta or a candidate is a pre-release, which users must choose."""
    repository.change(tags=[tag])
    publish(repository, tmp_path, tag)

    release = repository["releases"][tag]
    assert (release["draft"], release["prerelease"], release["latest"]) == (False, True, False)


@pytest.mark.parametrize("failing", ["release create", "release upload", "release edit"])
def test_second_run_continues_where_the_first_one_stopped(
    repository: Repository, tmp_path: Path, failing: str
) -> None:
    """Whichever command fails, nothing is public; the next run completes the same release."""
    repository.change(failing=failing)
    assert publish(repository, tmp_path, "v1.2.3") == f"✗ gh {failing} failed."
    assert all(release["draft"] for release in repository["releases"].values())

    repository.change(failing="")
    assert publish(repository, tmp_path, "v1.2.3", "zip of the second run").endswith("published.")
    (release,) = repository["releases"].values()
    assert release["assets"] == {"outlook_smtp.zip": "zip of the second run"}
    assert public_without_file(repository) == []


def test_published_release_is_never_changed(repository: Repository, tmp_path: Path) -> None:
    """The same file again is no error and changes nothing; another one is rejected."""
    publish(repository, tmp_path, "v1.2.3")
    before = repository["releases"]

    assert publish(repository, tmp_path, "v1.2.3") == "v1.2.3 is already published with this file."
    assert publish(repository, tmp_path, "v1.2.3", "other").startswith(
        "✗ v1.2.3 is already published, and not with this outlook_smtp.zip."
    )
    assert repository["releases"] == before


def test_manually_published_release_is_rejected(repository: Repository, tmp_path: Path) -> None:
    """Without its file, it is what the workflow exists to avoid, as the error says."""
    by_hand = {"v1.2.3": {"draft": False, "notes": "Mine.", "assets": {}}}
    repository.change(releases=by_hand)

    assert publish(repository, tmp_path, "v1.2.3").startswith(
        "✗ v1.2.3 is already published, and not with this outlook_smtp.zip."
    )
    assert repository["releases"] == by_hand


def test_missing_tag_makes_no_release(repository: Repository, tmp_path: Path) -> None:
    """GitHub would create the tag on the newest commit: it is asked not to."""
    assert publish(repository, tmp_path, "v9.9.9") == "✗ gh release create failed."
    assert repository["releases"] == {}


def test_workflow_only_publishes_tested_commits() -> None:
    """Only tags start it; the one job with write permission waits for the zip and all checks."""
    text = (FOLDER / "workflows" / "release.yml").read_text("utf-8")
    jobs = read_yaml("workflows/release.yml")["jobs"]
    writers = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    attest, last = jobs["publish"]["steps"][-2:]

    assert '\non:\n  push:\n    tags: ["v*"]\n\n' in text
    assert writers == {"publish"}
    assert sorted(jobs["publish"]["needs"]) == sorted(jobs.keys() - {"publish"})
    assert jobs["tests"]["uses"] == "$/.github/workflows/tests.yml"
    assert attest["uses"].startswith("actions/attest@")
    assert "scripts._release" in last["run"]
