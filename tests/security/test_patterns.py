"""Every regular expression of the integration takes linear time, whatever the input."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
import re
from re import _constants as codes, _parser as parser  # type: ignore[attr-defined]
import time
from typing import Any

import pytest

from custom_components import outlook_smtp

SIZE = 16_384  # Characters, twice as many as are parsed of a server's text.
LIMIT = 0.02  # Seconds of processor time; quadratic time is ten times that.
SCANS = {"findall", "finditer", "search", "split", "sub"}
# The pattern, and how it is used: from the beginning of a text, or anywhere in it.
type Use = tuple[re.Pattern[Any], bool]


def uses() -> dict[str, Use]:
    """Return the patterns of all modules: named ones, and those inside functions."""
    found: dict[str, Use] = {}
    for info in walk_packages(outlook_smtp.__path__, f"{outlook_smtp.__name__}."):
        module = import_module(info.name)
        short = info.name.removeprefix(f"{outlook_smtp.__name__}.")
        assert module.__file__
        source = Path(module.__file__).read_text(encoding="utf-8")
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                ways = set(re.findall(rf"\b{name}\.(\w+)\(", source))
                found[f"{short}.{name}"] = value, not ways or bool(ways & SCANS)
        for call in ast.walk(ast.parse(source)):
            match call:
                case ast.Call(ast.Attribute(ast.Name("re"), way), [ast.Constant(str(text)), *_]):
                    if way != "compile":
                        found[f"{short}:{call.lineno}"] = re.compile(text), way in SCANS
    return found


USES = uses()


def samples(node: Any) -> Iterator[str]:
    """Yield characters that one position of a pattern matches."""
    for code, value in node:
        match code:
            case codes.LITERAL:
                yield chr(value)
            case codes.RANGE:
                yield chr(value[0])
            case codes.CATEGORY:
                yield {codes.CATEGORY_SPACE: " ", codes.CATEGORY_DIGIT: "7"}.get(value, "a")
            case codes.NEGATE:
                yield "~"
            case codes.ANY | codes.NOT_LITERAL:
                yield "~"
            case codes.IN:
                yield from samples(value)


def atoms(node: Any) -> Iterator[str]:
    """Yield characters that a pattern matches anywhere."""
    for code, value in node:
        if code is codes.BRANCH:
            for branch in value[1]:
                yield from atoms(branch)
        elif isinstance(value, tuple) and isinstance(value[-1], parser.SubPattern):
            yield from atoms(value[-1])
        elif isinstance(value, parser.SubPattern):
            yield from atoms(value)
        else:
            yield from samples([(code, value)])


def examples(node: Any) -> Iterator[str]:
    """Yield texts that match a pattern, or almost, one for each way through its alternatives."""
    texts = [""]
    for code, value in node:
        if code is codes.BRANCH:
            parts = [text for branch in value[1] for text in examples(branch)]
        elif code in (codes.ASSERT, codes.ASSERT_NOT, codes.AT):
            continue
        elif isinstance(value, parser.SubPattern):
            parts = list(examples(value))
        elif isinstance(value, tuple) and isinstance(value[-1], parser.SubPattern):
            least = min(value[0], 8) if code is not codes.SUBPATTERN else 1
            parts = [text * max(least, 1) for text in examples(value[-1])]
        else:
            parts = [next(samples([(code, value)]), "")]
        texts = [text + part for text in texts[:8] for part in parts[:12]]
    yield from texts


def worst(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Yield texts that make a careless pattern backtrack: almost matching, repeated many times."""
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    tree = parser.parse(pattern.pattern, flags)
    begun = {text[:size] for text in examples(tree) for size in range(1, min(len(text), 60) + 1)}
    single = sorted(set(atoms(tree)))[:40]
    for unit in sorted({*begun, *single, *(a + b for a in single[:6] for b in single[:6])}):
        yield unit * (SIZE // len(unit))
    for start in sorted(begun, key=len)[-8:]:
        for unit in single[:6]:
            yield start + unit * (SIZE // len(unit))


def duration(pattern: re.Pattern[Any], text: Any, *, scans: bool = True) -> float:
    """Return how long a pattern takes for a text, in seconds of processor time."""
    started = time.thread_time()
    pattern.fullmatch(text)
    pattern.match(text)
    for _ in pattern.finditer(text) if scans else ():
        pass
    return time.thread_time() - started


def test_patterns_are_found() -> None:
    """Named ones and others."""
    assert USES["smtp.answers._ASSIGNED_MESSAGE_ID"][1]
    assert not USES["smtp.commands._VALID_PATH"][1]
    assert any(":" in name for name in USES)
    assert len(USES) > 40


@pytest.mark.parametrize(
    ("careless", "size"),
    [
        (r"<[^<>\s]+@[^<>\s]+>", SIZE),
        (r"\[Hostname=[^\]]*\]", 2 * SIZE),
        (r"\s*(Trace ID|Timestamp):", SIZE),
        (r"(a+)+b", 20),
    ],
)
def test_careless_pattern_is_detected(careless: str, size: int) -> None:
    """Three that the integration once had, and the textbook example."""
    pattern = re.compile(careless)
    sizes = (size // 16, size // 4, size)  # Far more than the limit need not be waited for.
    parts = ((text * 2)[:part] for text in worst(pattern) for part in sizes)
    assert any(duration(pattern, part) > LIMIT for part in parts)


@pytest.mark.parametrize("name", USES)
def test_every_pattern_is_fast(name: str) -> None:
    """Not even for sixteen thousand characters that almost match."""
    pattern, scans = USES[name]
    is_bytes = isinstance(pattern.pattern, bytes)
    for text in worst(pattern):
        for size in (22, 1024, SIZE):  # Exponential time is noticed early.
            part = text[:size].encode("latin-1", "replace") if is_bytes else text[:size]
            if duration(pattern, part, scans=scans) > LIMIT:  # It may have been interrupted.
                again = min(duration(pattern, part, scans=scans) for _ in range(3))
                assert again <= LIMIT, text[:80]
