"""Any text becomes one line that can be encoded."""

from time import process_time

from hypothesis import given, strategies as st
import pytest

from custom_components.outlook_smtp.message.text import holds_control, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Door  open", "Door  open"),
        ("Door\topen", "Door open"),
        ("Door \r\n\r\n  open\n", "Door open"),
        ("\0Door\x85open\u2028\u2029now\x7f", "Door open now"),
        ("Cut \ud83d and \ud83c\udfe0", "Cut \ufffd and 🏠"),
        ("\n", ""),
    ],
)
def test_control_characters_become_one_space(text: str, line: str) -> None:
    """Control characters and spaces around them become one space; other spaces are kept."""
    assert one_line(text) == line


@given(st.text(st.characters()))
def test_line_has_no_line_end(text: str) -> None:
    """The result has no line end, can be encoded, and does not change when cleaned again."""
    line = one_line(text)
    assert not holds_control(line)
    assert len(line.splitlines()) <= 1
    assert one_line(line.encode().decode()) == line


@pytest.mark.parametrize("unit", [" ", "\n", " \n", "a ", "  a\t", "\ud83d"])
def test_long_texts_take_linear_time(unit: str) -> None:
    """The work is linear, not quadratic."""
    started = process_time()
    one_line(unit * 500_000 + "x")
    assert process_time() - started < 1
