"""The soak test fails if anything grows, stalls or is missing, and not for temporary use."""

from typing import Any

import pytest

from .verdict import Sample, Verdict

WELL: dict[str, float] = {
    "memory": 200.0,
    "descriptors": 10.0,
    "tasks": 12.0,
    "threads": 8.0,
    "wait": 0.02,
    "work": 0.01,
}


def samples(**changes: list[float]) -> list[Sample]:
    """Return a minute in which some figures take other values, each for a quarter of it."""
    return [
        WELL | {name: values[second // 15] for name, values in changes.items()}
        for second in range(60)
    ]


@pytest.mark.parametrize(
    "values",
    [
        samples(),
        samples(memory=[100.0, 200.0, 290.0, 205.0]),  # It warms up, and releases some.
        samples(tasks=[5.0, 5.0, 300.0, 6.0], descriptors=[9.0, 40.0, 60.0, 9.0]),
        samples(wait=[0.1, 0.9, 0.1, 0.1], work=[0.1, 0.1, 0.2, 0.1]),
    ],
)
def test_temporary_use_is_healthy(values: list[Sample]) -> None:
    """Resources that are needed for a while and released are no leak."""
    verdict = Verdict(samples=values)
    assert verdict.wrongs == []
    assert "WRONG" not in str(verdict)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"samples": samples(memory=[200.0, 200.0, 210.0, 220.0])}, "memory grew by 20.0"),
        ({"samples": samples(descriptors=[9.0, 9.0, 12.0, 15.0])}, "descriptors grew by 6.0"),
        ({"samples": samples(tasks=[5.0, 5.0, 7.0, 9.0])}, "tasks grew by 4.0"),
        ({"samples": samples(threads=[5.0, 5.0, 7.0, 9.0])}, "threads grew by 4.0"),
        ({"samples": samples(wait=[0.1, 0.1, 2.5, 0.1])}, "had to wait 2.50 s"),
        ({"samples": samples(work=[0.6, 0.1, 0.1, 0.1])}, "had to work 0.60 s"),
        ({"samples": samples()[:7]}, "only 7 samples"),
        ({"lost": ["message 2 for anna@example.com"]}, "lost: message 2 for anna@example.com"),
        ({"left": 3}, "3 messages were not sent"),
        ({"left": None}, "how much was left"),
        ({"errors": ["message 1: KeyError()"]}, "unexpected: message 1: KeyError()"),
        ({"complaints": ["ERROR homeassistant: no"]}, "unexpected: ERROR homeassistant: no"),
        ({"status": -11}, "ended with -11"),
    ],
)
def test_each_problem_is_reported(changes: dict[str, Any], wrong: str) -> None:
    """Each problem is named, with its figures."""
    verdict = Verdict(**{"samples": samples(), **changes})
    assert len(verdict.wrongs) == 1
    assert wrong in verdict.wrongs[0]
    assert f"WRONG: {verdict.wrongs[0]}" in str(verdict)
