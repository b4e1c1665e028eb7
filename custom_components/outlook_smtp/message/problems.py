"""Problems of a message that are found before anything is sent."""

from enum import StrEnum
from typing import Final

from .text import holds_control, visible

MAX_VALUE: Final = 100  # Characters quoted from an invalid text.


class MessageProblem(StrEnum):
    """The stable keys of all problems; translations depend on them."""

    ADDRESS_TOO_LONG = "address_too_long"
    COLON_IN_ADDRESS = "colon_in_address"
    DUPLICATE_CONTENT_ID = "duplicate_content_id"
    INVALID_CONTENT_ID = "invalid_content_id"
    INVALID_DOMAIN = "invalid_domain"
    INVALID_LOCAL_PART = "invalid_local_part"
    LINE_BREAK = "line_break"
    MISSING_AT = "missing_at"
    NO_RECIPIENT = "no_recipient"
    NOTHING_AFTER_AT = "nothing_after_at"
    NOTHING_BEFORE_AT = "nothing_before_at"
    SEVERAL_AT = "several_at"
    SPACE_IN_ADDRESS = "space_in_address"
    TEXT_AFTER_ADDRESS = "text_after_address"
    TEXT_TOO_LONG = "text_too_long"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    UNCLOSED_QUOTE = "unclosed_quote"
    UNMATCHED_BRACKET = "unmatched_bracket"


class InvalidMessageError(ValueError):
    """A message cannot be sent as it is; `field` and `problem` say where and why.

    `value` quotes the offending text on one line, cut to length. It is for its author only: the
    exception's own text, which may reach a log, does not contain it.
    """

    def __init__(self, field: str, problem: MessageProblem, value: str) -> None:
        """Store the action's field name, the problem's key and the quoted text."""
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.value = visible(value[:MAX_VALUE])


def check_line(text: str, field: str) -> None:
    """Reject a value that could end its line and start another header or command.

    Args:
        text: The value, as its author wrote it.
        field: The action's field that it came from.

    Raises:
        InvalidMessageError: If it has a line break or another control character.

    """
    if holds_control(text):
        raise InvalidMessageError(field, MessageProblem.LINE_BREAK, text)
