"""Composing the worst texts, HTML and Markdown still gives other threads their turns."""

from collections.abc import Callable
from datetime import UTC, datetime
import gc
import sys
import time
from types import FrameType
from typing import Any

import pytest

from custom_components.outlook_smtp.message.compose import Composed, compose
from custom_components.outlook_smtp.message.mailbox import Mailbox
from custom_components.outlook_smtp.message.outgoing import OutgoingMessage

from ..promises import LONGEST_STALL
from .test_callers import MB, table


def composed(**fields: Any) -> Composed:
    """Compose a message."""
    outgoing = OutgoingMessage(to=(Mailbox("a@b.cd"),), title="x", **fields)
    return compose(outgoing, Mailbox("c@d.ef"), now=datetime.now(UTC), product="x")


def longest_stretch(fields: dict[str, Any]) -> float:
    """Return how long composing a message keeps other threads waiting at most.

    Another thread gets a turn when the interpreter calls something or returns from it. What a
    function in C does in between keeps them all waiting, the event loop among them.
    """
    longest = 0.0
    clock, processor_time = time.perf_counter, time.thread_time  # The former is much faster.
    checked, last = clock(), processor_time()

    def note(frame: FrameType, event: str, called: Any) -> None:
        """Note the end of a stretch, and at most a millisecond before it."""
        nonlocal longest, checked, last
        if (at := clock()) - checked > 0.001:
            checked, before, last = at, last, processor_time()
            longest = max(longest, last - before)

    gc.freeze()  # Do not collect the garbage of all tests.
    sys.setprofile(note)
    try:
        composed(**fields)
    finally:
        sys.setprofile(None)
        gc.unfreeze()
    return longest


BODIES: dict[str, dict[str, Any]] = {
    "lines": {"text": "\r\n" * 4_900_000},
    "one line": {"text": "x" * 10 * MB},
    "halves of characters": {"text": "\ud83d\x00" * 300_000},
    "emoji": {"text": "\U0001f600" * 2_500_000},
    "blanks": {"text": " " * 10 * MB, "html": "<p>x"},
    "attributes": {"html": f"<a {'b=c ' * 60_000}>x</a>"},
    "attributes that never end": {"html": f"<a {'b ' * 60_000}"},
    "quoted attributes": {"html": "<a " + "b='>' c=\">\" " * 20_000 + ">x"},
    "tags": {"html": "<p>x" * 5_000},
    "tags that never end": {"html": "<a " * 3 * MB},
    "brackets": {"html": "<" * 10_000},
    "depth": {"html": "<ul><li>" * 3_000},
    "references": {"html": "&" * 3 * MB},
    "numbers": {"html": "&#9" * 20_000},
    "words": {"html": "<pre>" + "a\n" * 400_000},
    "picture": {"html": f"<img alt=x src='data:image/png;base64,{'A' * 9 * MB}'>x"},
    "table": {"text": table(3000, 3000), "markdown": True},
    "columns": {"text": table(40, 100), "markdown": True},
    "Markdown": {"text": "hello **world**, this is\n" * 400_000, "markdown": True},
    "emphasis": {"text": "*a_ " * 1_500, "markdown": True},
    "brackets of links": {"text": "[" * 4_000, "markdown": True},
    "quotes": {"text": ">" * 90_000, "markdown": True},
    "lists": {"text": "- " * 40_000, "markdown": True},
    "note": {"html": "</body" * 100_000, "note": "x"},
}


@pytest.mark.timeout(240)  # With profiling, composing takes many times as long.
@pytest.mark.parametrize("body", BODIES)
def test_composing_does_not_block_the_event_loop(body: str) -> None:
    """It has its own thread, and nothing in it blocks all others for more than 20 ms."""
    composed(text="x", html="<p>x")  # All required modules are imported.
    composed(text="x", markdown=True)
    assert any(longest_stretch(BODIES[body]) < LONGEST_STALL for _ in range(5))


@pytest.mark.parametrize(
    "fields",
    [
        {"text": table(3000, 30), "markdown": True},
        {"text": "*a_ " * MB, "markdown": True},
        {"text": "a|b\n-|-\n" * 10_000, "markdown": True},
        {"html": "<a " + "b='c' " * 60_000 + ">x</a>"},
        {"text": "x" * 9 * MB},
    ],
)
def test_composed_size_is_limited(fields: dict[str, Any]) -> None:
    """A table of 3,000 columns does not become 29 MB."""
    size = sum(len(text) for text in fields.values() if isinstance(text, str))
    assert composed(**fields).content.size < 3 * size + MB


@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"html": f"<a {'b=c ' * n}>x"},
        lambda n: {"html": "<a b='" * n},
        lambda n: {"html": "<ul><li><pre>" * (n // 100)},
        lambda n: {"text": "*a_ " * (n // 100), "markdown": True},
        lambda n: {"text": "[a](<b" * (n // 100), "markdown": True},
    ],
)
def test_composing_takes_linear_time(make: Callable[[int], dict[str, Any]]) -> None:
    """Eight times as much takes little more than eight times as long."""

    def measure(count: int) -> float:
        """Return the minimum processor time that composing takes."""
        taken = []
        for _ in range(3):
            start = time.thread_time()
            composed(**make(count))
            taken.append(time.thread_time() - start)
        return min(taken)

    composed(**make(10))
    assert measure(80_000) < 30 * measure(10_000) + 0.05
