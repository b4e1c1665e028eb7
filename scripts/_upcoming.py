"""Keep one issue open while the integration fails on a new or upcoming Home Assistant.

The workflow Upcoming runs `python3 -m scripts._upcoming` after its other jobs, which are named
"STEP on RELEASE": failures open the issue or replace its text, and a run without failures closes
it.
"""

import json
import os
import re
from typing import Any, Final

from scripts._gh import gh

LABEL: Final = "upcoming-home-assistant"
TITLE: Final = "The integration fails on a new or upcoming Home Assistant"
NOTICE: Final = "Home Assistant"  # the title under which a job notes the version that it ran on

_NAME: Final = " on "
_VERSION: Final = re.compile(r"[0-9][\w.]*")


def report(run: str) -> str:
    """Update the issue after a run, and return a sentence about what was done.

    Args:
        run: The number of the workflow's run.

    Raises:
        SystemExit: If the run has no job that could have passed or failed, or if gh failed.
    """
    result = json.loads(gh("run", "view", run, "--json", "jobs,url"))
    jobs = [job for job in result["jobs"] if _NAME in job["name"]]
    if not jobs:
        raise SystemExit(f'✗ Run {run} has no job that is named "STEP on RELEASE".')
    failed = [job for job in jobs if job["conclusion"] != "success"]
    issues = _open_issues()
    if failed:
        return _tell(issues, _body(failed, result["url"]))
    for issue in issues:
        gh("issue", "close", str(issue), "--comment", f"All steps pass again: {result['url']}")
    return f"All {len(jobs)} jobs passed."


def _open_issues() -> list[int]:
    """Return the numbers of the open issues; unlike a search, this never lags behind."""
    path = f"repos/{{owner}}/{{repo}}/issues?state=open&per_page=100&labels={LABEL}"
    issues = json.loads(gh("api", path))
    return sorted(issue["number"] for issue in issues if "pull_request" not in issue)


def _tell(issues: list[int], body: str) -> str:
    """Update the oldest issue, or open one if there is none."""
    if issues:
        gh("issue", "edit", str(issues[0]), "--body-file", "-", text=body)
        return f"Updated issue {issues[0]}."
    gh("label", "create", LABEL, "--force", "--description", TITLE)
    texts = ("--title", TITLE, "--body-file", "-")
    return f"Opened {gh('issue', 'create', '--label', LABEL, *texts, text=body).strip()}."


def _body(failed: list[dict[str, Any]], url: str) -> str:
    """Return the text of the issue: what failed on which release, and how to reproduce it."""
    step, _, release = failed[0]["name"].rpartition(_NAME)
    rows = "\n".join(_row(job) for job in failed)
    return f"""\
The latest [weekly run]({url}) on new and upcoming releases of Home Assistant failed:

| Home Assistant | Version | Step | Result |
|---|---|---|---|
{rows}

To repeat the first of them: `HOME_ASSISTANT={release} {step}`.

Each run updates this issue, and the first one that passes closes it.
"""


def _row(job: dict[str, Any]) -> str:
    """Return the table row of a job that did not succeed."""
    step, _, release = job["name"].rpartition(_NAME)
    passed = ("success", "skipped", "", None)
    stopped = [part["name"] for part in job["steps"] if part["conclusion"] not in passed]
    where = f" at *{stopped[0]}*" if stopped else ""
    result = f"{job['conclusion']}{where}"
    return f"| {release} | {_version(job)} | [`{step}`]({job['url']}) | {result} |"


def _version(job: dict[str, Any]) -> str:
    """Return the Home Assistant version that a job noted, or "unknown"."""
    path = f"repos/{{owner}}/{{repo}}/check-runs/{job['databaseId']}/annotations"
    notices = json.loads(gh("api", path))
    versions = [notice["message"] for notice in notices if notice["title"] == NOTICE]
    return versions[0] if versions and _VERSION.fullmatch(versions[0]) else "unknown"


if __name__ == "__main__":
    print(report(os.environ["GITHUB_RUN_ID"]))
