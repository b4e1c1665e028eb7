"""A fake gh: GitHub's command line on top of releases and issues in a JSON file.

It rejects what GitHub rejects. The environment variable FAKE_GH names the file.
"""

import json
import os
import sys

TYPE_CHECKING = False  # Each call is a process: typing and pathlib take a third of its time.
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

FLAGS: Final = ("--clobber", "--draft", "--force", "--verify-tag")
STATE: Final = os.environ.get("FAKE_GH", "")


def read(path: str) -> str:
    """Return the text of a file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 # see above
        return file.read()


def write(path: str, text: str) -> None:
    """Write a text to a file."""
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 # see above
        file.write(text)


def parse(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the options of a command line."""
    arguments, options, rest = [], {}, iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            arguments.append(word)
        elif equals or word in FLAGS or word == "--prerelease":
            options[name] = value or "true"
        else:
            options[name] = next(rest)
    return arguments, options


def text(options: dict[str, str]) -> str:
    """Return the text that an option passes in a file or on standard input."""
    source = options.get("--notes-file") or options["--body-file"]
    return sys.stdin.read() if source == "-" else read(source)


def release(state: dict[str, Any], verb: str, words: list[str]) -> Any:
    """Run `gh release`."""
    arguments, options = parse(words)
    releases = state["releases"]
    if verb == "list":
        return [{"tagName": tag, "isDraft": one["draft"]} for tag, one in releases.items()]
    tag = arguments[0]
    if verb == "create":
        assert "--draft" in options
        if "--verify-tag" in options and tag not in state["tags"]:
            sys.exit(f"tag {tag} doesn't exist in the repo")
        assert tag not in releases
        releases[tag] = {"draft": True, "notes": text(options), "assets": {}}
    elif verb == "upload":
        name = arguments[1].rpartition("/")[2]
        assert "--clobber" in options or name not in releases[tag]["assets"]
        releases[tag]["assets"][name] = read(arguments[1])
    elif verb == "view":
        assert options == {"--json": "assets"}
        return {"assets": [{"name": name} for name in releases[tag]["assets"]]}
    elif verb == "download":
        target = f"{options['--dir']}/{options['--pattern']}"
        write(target, releases[tag]["assets"][options["--pattern"]])
    else:
        assert verb == "edit"
        releases[tag] |= {
            "draft": options["--draft"] == "true",
            "latest": options.get("--latest", "true") == "true",
            "notes": text(options),
            "prerelease": options["--prerelease"] == "true",
            "title": options["--title"],
        }
    return None


def issue(state: dict[str, Any], verb: str, words: list[str]) -> Any:
    """Run `gh issue`."""
    arguments, options = parse(words)
    issues = state["issues"]
    if verb == "create":
        assert options["--label"] in state["labels"]
        labels = [options["--label"]]
        number = len(issues) + 1
        issues.append({"number": number, "labels": labels, "open": True, "body": text(options)})
        return f"https://github.com/o/r/issues/{number}"
    found = next(one for one in issues if one["number"] == int(arguments[0]))
    assert found["open"]
    if verb == "edit":
        found["body"] = text(options)
    else:
        assert verb == "close"
        found |= {"open": False, "comment": options["--comment"]}
    return None


def api(state: dict[str, Any], path: str, words: list[str]) -> Any:
    """Run `gh api`, for two known paths."""
    assert not words
    folders = path.removeprefix("repos/{owner}/{repo}/").split("/")
    if folders[0] == "check-runs":
        return state["annotations"].get(folders[1], [])
    label = path.partition("state=open&per_page=100&labels=")[2]
    assert label
    return [one for one in state["issues"] if one["open"] and label in one["labels"]]


def label(state: dict[str, Any], verb: str, words: list[str]) -> Any:
    """Run `gh label create`."""
    arguments, options = parse(words)
    assert verb == "create"
    assert "--force" in options
    state["labels"] = sorted({*state["labels"], *arguments})


def run(state: dict[str, Any], verb: str, words: list[str]) -> Any:
    """Run `gh run view`."""
    arguments, options = parse(words)
    assert verb == "view"
    return {name: state["runs"][arguments[0]][name] for name in options["--json"].split(",")}


COMMANDS: Final[dict[str, Callable[[dict[str, Any], str, list[str]], Any]]] = {
    "api": api,
    "issue": issue,
    "label": label,
    "release": release,
    "run": run,
}


def main() -> None:
    """Run the command line, and save the resulting state of GitHub."""
    state = json.loads(read(STATE))
    command, verb, *words = sys.argv[1:]
    if f"{command} {verb}" == state["failing"]:
        sys.exit("HTTP 502: Server Error")
    result = COMMANDS[command](state, verb, words)
    state["seen"].append(json.loads(json.dumps(state["releases"])))
    write(STATE, json.dumps(state))
    if result is not None:
        sys.stdout.write(result if isinstance(result, str) else json.dumps(result))


if __name__ == "__main__":
    main()
