"""Find wording in code, pages and blueprints that plain American English does not use.

In Python files it checks comments, docstrings, log lines and the names of tests; in JSON files the
texts without their keys; in other files everything except code. Identifiers and other strings are
not checked, such as asyncio's `task.cancelled()`. scripts/lint runs it on all files;
`python scripts/_wording.py FILE…` on some.
"""

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
import io
from itertools import groupby
from pathlib import Path
import re
import subprocess
import sys
import tokenize
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

# What not to write, as a regular expression of whole words, and what to write instead.
WORDING: Final[tuple[tuple[str, str], ...]] = (
    (r"shall", "“should”, “must” or the present tense"),
    (r"whom(?:ever)?|whoever", "the person or thing itself, such as “the recipient that”"),
    (r"telephones?", "“phone”"),
    (r"mend(?:s|ed|ing)?", "“fix” or “correct”"),
    (r"(?:take|takes|taking|taken|took) leave|leave (?:is|was) taken", "“quit” or “close”"),
    (r"nobody hears", "“silently” or “without an error”"),
    (r"(?:is|are|was|were|be|been|being) told", "“report”, “notify” or “learns that”"),
    (r"hurr(?:y|ies|ied|ying)", "“retry now” or “reset the back-off”"),
    (r"by (?:itself|themselves)", "“automatically”"),
    (r"st(?:and|ands|ood|anding) in (?:the|its|their) way", "“block”, “prevent” or “the problem”"),
    (r"words of the server|(?:server|Microsoft)['\u2019]s words", "“the server's reply”"),
    (r"e-mails?", "“email”"),
    (r"mails", "“emails” or “sends”"),
    (r"time-outs?", "“timeout”"),
    (r"typing errors?", "“typo”"),
    (r"(?:not|is|are|was|were|be|been) let in", "“signed in” or “authenticated”"),
    (r"unforeseen|foresaw|foresees?", "“unexpected”"),
    (r"anew", "“again”"),
    (r"turned away", "“rejected”"),
    (r"kept aside", "“kept as failed” or “quarantined”"),
    (r"for ever", "“forever”"),
    (r"passing (?:problem|trouble)s?", "“temporary problem”"),
    (r"born", "“created”"),
    (r"messages? of \{\w+\} MB", "“Messages: {count} ({size} MB)”"),
)

# Not our prose, and other languages.
FOREIGN: Final = ("LICENSE", "requirements/*.txt", "typings/*", "*/translations/*")
TEXT_SUFFIXES: Final = ("", ".md", ".toml", ".yaml", ".yml", ".sh", ".in", ".css")
LOG_METHODS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})

_PATTERNS: Final = tuple(
    (re.compile(rf"(?<![\w-])(?:{words.replace(' ', r'\s+')})(?![\w-])", re.IGNORECASE), instead)
    for words, instead in WORDING
)
_CODE: Final = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_JSON_KEY: Final = re.compile(r'^ *"[^"\n]+":|\[%key:[^%]+%\]', re.MULTILINE)


def findings(path: str, text: str) -> Iterator[str]:
    """Yield a line for each forbidden wording in a file.

    Args:
        path: Its path in the repository, which decides how the text is read.
        text: Its content.

    """
    for first, prose in _prose(path, text):
        for pattern, instead in _PATTERNS:
            for match in pattern.finditer(prose):
                line = first + prose.count("\n", 0, match.start())
                words = " ".join(match[0].split())
                yield f"{path}:{line}: instead of “{words}” write {instead}"


def is_checked(path: str) -> bool:
    """Return whether the prose of a file of the repository is checked."""
    return Path(path).suffix in (".py", ".json", *TEXT_SUFFIXES) and not any(
        fnmatch(path, pattern) for pattern in FOREIGN
    )


def _prose(path: str, text: str) -> Iterable[tuple[int, str]]:
    """Return the prose of a file, each piece with the number of its first line."""
    match Path(path).suffix:
        case ".py":
            return _python_prose(text)
        case ".json":
            return [(1, _blank(_JSON_KEY, text))]
    return [(1, _without_code(text))]


def _without_code(text: str) -> str:
    """Return a text with blanks in place of code."""
    return _blank(_CODE, text)


def _blank(what: re.Pattern[str], text: str) -> str:
    """Return a text with blanks in place of matches, so that lines keep their numbers."""
    return what.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _python_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the prose of a Python file, each piece with the number of its first line."""
    source = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines = source[node.lineno - 1 : node.end_lineno]
                yield node.lineno, _without_code("\n".join(lines))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("test_"):
                    yield node.lineno, name.replace("_", " ")
            case ast.Call(
                func=ast.Attribute(attr=method), args=[ast.Constant(value=str(said)), *_]
            ):
                if method in LOG_METHODS:
                    yield node.args[0].lineno, said
    yield from _comments(text)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a Python file; those on consecutive lines are one."""
    comments = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    numbered = enumerate(comments)
    for _, group in groupby(numbered, key=lambda each: each[1][0] - each[0]):
        lines = [comment for _, comment in group]
        yield lines[0][0], _without_code("\n".join(said for _, said in lines))


def _tracked() -> list[str]:
    """Return the paths of the files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return listed.stdout.decode().rstrip("\0").split("\0")


def main(paths: list[str]) -> int:
    """Check files of the repository, all of them if none is given; return the exit code."""
    found = [
        finding
        for path in paths or filter(is_checked, _tracked())
        if (file := ROOT / path).is_file()
        for finding in findings(path, file.read_text(encoding="utf-8"))
    ]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
