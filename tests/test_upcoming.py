"""The weekly run on upcoming Home Assistant releases: one issue, open while it fails."""

from pathlib import Path
from typing import Any, Final

import pytest

from scripts._upcoming import LABEL, NOTICE, report
from tests.github import FOLDER, Repository, read_yaml

RUN: Final = "https://github.com/o/r/actions/runs/"
NAMES: Final = [
    f"{step} on {release}"
    for release in ("newest", "beta", "dev")
    for step in ("scripts/test", "scripts/demo --once", "scripts/e2e")
]


@pytest.fixture(name="repository")
def repository_fixture(tmp_path: Path) -> Repository:
    """Return a repository without issues."""
    return Repository(tmp_path)


def end(repository: Repository, run: int, **conclusions: str) -> None:
    """Let a run of the workflow end; jobs not given succeed."""
    results = {name.replace("_", " "): conclusion for name, conclusion in conclusions.items()}
    jobs: list[dict[str, Any]] = [{"name": "Report", "conclusion": "", "steps": []}]
    for number, name in enumerate(NAMES):
        conclusion = results.get(name.removeprefix("scripts/"), "success")
        steps = [{"name": "Check out the repository", "conclusion": "success"}]
        steps.append({"name": "Run", "conclusion": conclusion})
        url = f"{RUN}{run}/job/{number}"
        jobs.append({"name": name, "conclusion": conclusion, "steps": steps, "url": url})
        jobs[-1]["databaseId"] = number
    repository.change(runs={str(run): {"jobs": jobs, "url": f"{RUN}{run}"}})


def finish(repository: Repository, run: int, **conclusions: str) -> str:
    """Let a run of the workflow end and be reported."""
    end(repository, run, **conclusions)
    return repository.call(report, str(run))


def test_failure_opens_an_issue_that_names_the_step(repository: Repository) -> None:
    """It has the release, the version, the failed steps, a link, and how to reproduce it."""
    repository.change(
        annotations={
            "5": [
                {"title": "", "message": "Process completed with exit code 1."},
                {"title": NOTICE, "message": "2026.12.0b3"},
            ]
        }
    )
    end(repository, 7, e2e_on_beta="failure", test_on_dev="timed_out")
    said = repository.run("_upcoming", GITHUB_RUN_ID="7")

    assert said == "Opened https://github.com/o/r/issues/1.\n"
    (issue,) = repository["issues"]
    assert issue["labels"] == [LABEL]
    assert f"[weekly run]({RUN}7)" in issue["body"]
    assert [line for line in issue["body"].splitlines() if line.startswith("|")][2:] == [
        f"| beta | 2026.12.0b3 | [`scripts/e2e`]({RUN}7/job/5) | failure at *Run* |",
        f"| dev | unknown | [`scripts/test`]({RUN}7/job/6) | timed_out at *Run* |",
    ]
    assert "`HOME_ASSISTANT=beta scripts/e2e`" in issue["body"]


def test_next_failure_updates_the_same_issue(repository: Repository) -> None:
    """The text is that of the latest run, and there is no second issue."""
    finish(repository, 7, e2e_on_beta="failure")

    assert finish(repository, 8, test_on_newest="failure") == "Updated issue 1."
    (issue,) = repository["issues"]
    assert issue["open"]
    assert f"{RUN}8/job/0" in issue["body"]
    assert f"{RUN}7" not in issue["body"]


def test_passing_run_closes_the_issue(repository: Repository) -> None:
    """A comment names the run; the next failure opens a new issue."""
    finish(repository, 7, e2e_on_beta="failure")

    assert finish(repository, 8) == "All 9 jobs passed."
    (issue,) = repository["issues"]
    assert not issue["open"]
    assert issue["comment"] == f"All steps pass again: {RUN}8"
    finish(repository, 9, e2e_on_beta="failure")
    assert [one["open"] for one in repository["issues"]] == [False, True]


def test_passing_run_says_nothing(repository: Repository) -> None:
    """There is neither an issue nor a label if nothing has failed, and other issues stay open."""
    other = {"number": 1, "labels": ["bug"], "open": True, "body": "Another."}
    repository.change(issues=[other])

    assert finish(repository, 7) == "All 9 jobs passed."
    assert repository["issues"] == [other]
    assert repository["labels"] == []


@pytest.mark.parametrize("conclusion", ["cancelled", "skipped"])
def test_unfinished_job_is_no_success(repository: Repository, conclusion: str) -> None:
    """A job that never finished proves nothing, and does not close the issue."""
    finish(repository, 7, e2e_on_beta="failure")

    assert finish(repository, 8, e2e_on_dev=conclusion) == "Updated issue 1."
    assert f"| {conclusion}" in repository["issues"][0]["body"]


def test_pull_request_is_not_the_issue(repository: Repository) -> None:
    """GitHub lists pull requests among the issues: one with the label stays unchanged."""
    request = {"number": 1, "labels": [LABEL], "open": True, "body": "Fix.", "pull_request": {}}
    repository.change(issues=[request])

    assert finish(repository, 7, e2e_on_beta="failure").startswith("Opened")
    assert finish(repository, 8) == "All 9 jobs passed."
    assert repository["issues"][0] == request


def test_invalid_version_is_not_quoted(repository: Repository) -> None:
    """A job's note is written into an issue: only a version is accepted."""
    repository.change(annotations={"5": [{"title": NOTICE, "message": "@everyone | 1"}]})
    finish(repository, 7, e2e_on_beta="failure")

    assert "| beta | unknown |" in repository["issues"][0]["body"]


def test_run_without_jobs_is_no_success(repository: Repository) -> None:
    """Nothing is closed if the jobs are not found by name, or if GitHub fails."""
    finish(repository, 7, e2e_on_beta="failure")
    repository.change(runs={"8": {"jobs": [{"name": "Report"}], "url": RUN}})

    assert repository.call(report, "8").startswith("✗ Run 8 has no job")
    repository.change(failing="run view")
    assert finish(repository, 9) == "✗ gh run view failed."
    assert repository["issues"][0]["open"]


def test_workflow_runs_each_step_on_each_release() -> None:
    """Its jobs are named as the report expects, and only the report may write."""
    jobs = read_yaml("workflows/upcoming.yml")["jobs"]
    matrix = jobs["try"]["strategy"]["matrix"]
    names = [f"{step} on {release}" for release in matrix["release"] for step in matrix["step"]]
    writers = {name for name, job in jobs.items() if "write" in job["permissions"].values()}

    assert names == NAMES
    assert jobs["try"]["name"] == "${{ matrix.step }} on ${{ matrix.release }}"
    assert f"::notice title={NOTICE}::" in (FOLDER / "workflows/upcoming.yml").read_text("utf-8")
    assert writers == {"report"}
