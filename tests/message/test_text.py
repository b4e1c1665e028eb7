"""Text of any kind becomes one line that can be encoded."""

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
    """A run of them is one space with the spaces around it; other spaces are kept."""
    assert one_line(text) == line


@given(st.text(st.characters()))
def test_a_line_is_a_line(text: str) -> None:
    """What comes out holds nothing that ends a line, can be encoded, and stays as it is."""
    line = one_line(text)
    assert not holds_control(line)
    assert len(line.splitlines()) <= 1
    assert one_line(line.encode().decode()) == line


@pytest.mark.parametrize("unit", [" ", "\n", " \n", "a ", "  a\t", "\ud83d"])
def test_long_texts_take_no_time(unit: str) -> None:
    """The work grows with the length and not with its square."""
    started = process_time()
    one_line(unit * 500_000 + "x")
    assert process_time() - started < 1
