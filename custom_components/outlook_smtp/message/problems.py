"""The vocabulary of what can be wrong with a letter before anything is sent."""

from enum import StrEnum
import re
from typing import Final

MAX_VALUE: Final = 100  # Characters of an offending text that are quoted to the user.

# CR, LF, NUL and the other C0 and C1 controls (NEL is one), and Unicode's two line separators:
# some mail readers break lines at each of them.
_LINE_BREAKERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LetterProblem(StrEnum):
    """The stable keys of all problems; translations rely on them."""

    DUPLICATE_CONTENT_ID = "duplicate_content_id"
    INVALID_ADDRESS = "invalid_address"
    INVALID_CONTENT_ID = "invalid_content_id"
    LINE_BREAK = "line_break"
    NO_RECIPIENT = "no_recipient"
    TOO_MANY_RECIPIENTS = "too_many_recipients"


class LetterError(ValueError):
    """A letter cannot be sent as it stands; `field` and `problem` say where and why.

    `value` quotes the offending text on one line, cut to length. It is for the person who wrote
    it: the exception's own text, which may reach a log, does without it.
    """

    def __init__(self, field: str, problem: LetterProblem, value: str) -> None:
        """Keep the action's field name, the problem's key and the quoted text."""
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.value = "".join(map(_visible, value[:MAX_VALUE]))


def check_line(text: str, field: str) -> None:
    """Refuse a header value that could end its line and start another header.

    Args:
        text: The value, as its author wrote it.
        field: The action's field that it came from.

    Raises:
        LetterError: It holds a line break or another control character.

    """
    if _LINE_BREAKERS.search(text):
        raise LetterError(field, LetterProblem.LINE_BREAK, text)


def _visible(character: str) -> str:
    """Return the character, or its escape where it would not show or would direct what does."""
    return character if character.isprintable() else repr(character)[1:-1]
