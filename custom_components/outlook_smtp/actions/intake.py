"""Limit the size of action data before anything else reads it: templates can return anything."""

from collections.abc import Iterable, Mapping
import logging
from typing import Any, Final

from homeassistant.components.notify import ATTR_MESSAGE, ATTR_TARGET, ATTR_TITLE
from homeassistant.exceptions import ServiceValidationError

from ..const import (
    ATTR_ATTACHMENTS,
    ATTR_BCC,
    ATTR_CC,
    ATTR_HTML,
    ATTR_IMAGES,
    ATTR_REPLY_TO,
    ATTR_SENDER_NAME,
    ATTR_TO,
)
from ..errors import input_error
from ..message.problems import MessageProblem
from ..message.text import MAX_SHORT, one_line, readable

_LOGGER = logging.getLogger(__name__)

MAX_ITEMS: Final = 1000  # Values in one field, however deeply nested.
MAX_DEPTH: Final = 10  # Levels of nested lists and mappings.
MAX_VALUE: Final = 4096  # Characters in one value, such as a path.
MAX_CHARACTERS: Final = 500_000  # Characters in all values of a field.

EMPTY: Final[tuple[Any, ...]] = (None, "", [], (), {})
# Parsed and limited as a whole later, or rejected unread if too long.
_READ_LATER: Final = frozenset(
    {ATTR_MESSAGE, ATTR_HTML, ATTR_TO, ATTR_CC, ATTR_BCC, ATTR_REPLY_TO, ATTR_TARGET}
)
_NAMES: Final = frozenset({ATTR_TITLE, ATTR_SENDER_NAME})
_FILES: Final = frozenset({ATTR_ATTACHMENTS, ATTR_IMAGES})
_TOO_MANY: Final[dict[str, str]] = {
    **dict.fromkeys(_FILES, "too_many_attachments"),
    **dict.fromkeys(
        (ATTR_TO, ATTR_CC, ATTR_BCC, ATTR_REPLY_TO, ATTR_TARGET),
        MessageProblem.TOO_MANY_RECIPIENTS,
    ),
}


def tidy_fields(fields: Any) -> Any:
    """Return the cleaned fields of a call, without empty ones.

    Raises:
        ServiceValidationError: With the name of a field that has too much in it.

    """
    if not isinstance(fields, Mapping):
        return fields
    tidied = ((key, tidy(str(key), value)) for key, value in fields.items())
    return {key: value for key, value in tidied if value not in EMPTY}


def tidy(field: str, value: Any) -> Any:
    """Return the value of a field without empty values, and with sequences as lists.

    Templates can yield None, an empty text, a tuple or, where they cut a text, a lone surrogate:
    surrogates are replaced, and names that are too long to show are cut.

    Args:
        field: The name of the field.
        value: Anything.

    Raises:
        ServiceValidationError: If it has too much in it.

    """
    try:
        return _Tidying(field).take(value)
    except ServiceValidationError as error:
        _LOGGER.warning("An email was not sent: %s: %s", readable(field), error.translation_key)
        raise


class _Tidying:
    """Walks through the value of a field and counts what it finds."""

    def __init__(self, field: str) -> None:
        """Start with zero counts."""
        self._field = field
        self._items = 0
        self._characters = 0

    def take(self, value: Any, depth: int = 0) -> Any:
        """Return a value, cleaned together with everything in it."""
        self._items += 1
        if self._items > MAX_ITEMS or depth > MAX_DEPTH:
            key = _TOO_MANY.get(self._field, "too_many_values")
            raise input_error(key, self._field, f">{MAX_ITEMS}", limit=str(MAX_ITEMS))
        if isinstance(value, str):
            return self._take_text(value)
        if isinstance(value, Mapping):
            filled = ((key, self.take(each, depth + 1)) for key, each in value.items())
            return {key: each for key, each in filled if each not in EMPTY}
        if isinstance(value, bytes) or not isinstance(value, Iterable):
            return value
        return [each for item in value if (each := self.take(item, depth + 1)) not in EMPTY]

    def _take_text(self, text: str) -> str:
        """Return a text without lone surrogates."""
        if self._field in _READ_LATER:
            return text
        if self._field in _NAMES:
            return readable(text[: 2 * MAX_SHORT + 1])
        self._characters += len(text)
        if len(text) > MAX_VALUE or self._characters > MAX_CHARACTERS:
            raise input_error("value_too_long", self._field, text, limit=str(MAX_VALUE))
        # Errors about a path quote it, so line breaks stay there; no other value needs them.
        return readable(text) if self._field in _FILES else one_line(text)
