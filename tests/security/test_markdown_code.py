"""Placeholders in code and texts: each is escaped, and for its place."""

import ast
from collections.abc import Iterator

from ..test_repository import INTEGRATION, read_json


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in the integration, with the name of the function."""
    for path in INTEGRATION.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func).rpartition(".")[2], node


def test_placeholders_are_set_by_one_function() -> None:
    """Whatever shows a dialog or an issue gets its placeholders from one function."""
    count = 0
    for name, call in _calls():
        if name.endswith(("Error", "NotReady")):
            continue  # Errors are plain text.
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        values = [
            keywords.get(key) for key in ("description_placeholders", "translation_placeholders")
        ]
        values += call.args[1:2] if name == "AbortFlow" else []
        for value in filter(None, values):
            assert ast.unparse(value).startswith("shown("), ast.unparse(call)
            count += 1
    assert count >= 18


def test_placeholders_are_used_in_their_places() -> None:
    """A title or an error shows no backslash, and a description quotes nothing that is plain."""
    texts = read_json(INTEGRATION / "translations" / "en.json")
    shared = {"account", "mailbox", "count"}
    for key, issue in texts["issues"].items():
        flow = issue.get("fix_flow", {})
        plain = [issue["title"], *flow.get("error", {}).values()]
        for step in flow.get("step", {}).values():
            plain.append(step["title"])
            # A menu has no errors: its placeholders are for Markdown.
            assert "menu_options" in step or "answer" not in _named([step["description"]])
        assert _named(plain) <= shared | {"answer"}, key
    for name, step in texts["config"]["step"].items():
        described = [step.get("description", ""), *step.get("data_description", {}).values()]
        allowed = {"address", "code", "docs_url", "permission", "route", "url"}
        allowed |= {"credentials", "credentials_url"}
        # As above: these are menus.
        assert _named(described) <= allowed | ({"reply"} if "menu_options" in step else set()), name
        assert _named([step.get("title", "")]) <= {"address"}  # It looks the same in a title.
        assert not _named(list(step.get("data", {}).values()))


def _named(texts: list[str]) -> set[str]:
    """Return the placeholders in texts."""
    return {part.partition("}")[0] for text in texts for part in text.split("{")[1:]}
