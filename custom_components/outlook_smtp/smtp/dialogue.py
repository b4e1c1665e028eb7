"""Writes the dialogue with a server to the log at debug level, without secrets and content."""

from collections.abc import Awaitable
from itertools import count
import logging
from typing import Any, Final, override

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException

_LOGGER = logging.getLogger(__name__)

MAX_LINE: Final = 500  # Characters.
HIDDEN: Final = "***"

_NUMBERS: Final = count(1)


class Dialogue:
    """The dialogue over one connection, with a number so that it can be told from others."""

    def __init__(self) -> None:
        """Take the next number."""
        self._number = next(_NUMBERS)

    @property
    def is_followed(self) -> bool:
        """Return whether anybody reads it."""
        return _LOGGER.isEnabledFor(logging.DEBUG)

    def say(self, line: str) -> None:
        """Write down what this side says."""
        _LOGGER.debug("Connection %d, client: %s", self._number, _shown(line))

    def hear(self, answer: str, hidden: tuple[bytes, ...] = ()) -> None:
        """Write down what the server says, line by line, but for what it repeats of a secret."""
        if not self.is_followed:
            return
        for secret in filter(None, hidden):
            answer = answer.replace(secret.decode("utf-8", "replace"), HIDDEN)
        for line in answer.split("\n"):
            _LOGGER.debug("Connection %d, server: %s", self._number, _shown(line))


class TalkingSMTP(SMTP):
    """An SMTP client whose dialogue can be followed.

    While it signs in, nothing that this side says is shown, nor what the server repeats of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin a dialogue."""
        super().__init__(*args, **kwargs)
        self.dialogue = Dialogue()
        self._asked_for_secret = False

    @override
    async def connect(self, **kwargs: Any) -> SMTPResponse:
        """Connect, and hear the greeting."""
        return await self._hear(super().connect(**kwargs))

    @override
    async def starttls(self, **kwargs: Any) -> SMTPResponse:
        """Encrypt the line."""
        self.dialogue.say("STARTTLS")
        return await self._hear(super().starttls(**kwargs))

    @override
    async def execute_command(self, *args: bytes, **kwargs: Any) -> SMTPResponse:
        """Say a command, and hear the answer."""
        continues = self._asked_for_secret
        signs_in = args[0].upper() == b"AUTH"
        hidden = args if continues else args[2:] if signs_in else ()
        if self.dialogue.is_followed:
            shown = [HIDDEN if arg in hidden else arg.decode("utf-8", "replace") for arg in args]
            self.dialogue.say(" ".join(shown))
        self._asked_for_secret = False
        response = await self._hear(super().execute_command(*args, **kwargs), hidden)
        self._asked_for_secret = response.code == 334 and (signs_in or continues)
        return response

    async def _hear(
        self, answer: Awaitable[SMTPResponse], hidden: tuple[bytes, ...] = ()
    ) -> SMTPResponse:
        """Wait for an answer, and write it down."""
        try:
            response = await answer
        except SMTPResponseException as error:
            self.dialogue.hear(f"{error.code} {error.message}", hidden)
            raise
        except (SMTPException, OSError) as error:
            self.dialogue.hear(f"({type(error).__name__}: {error})", hidden)
            raise
        self.dialogue.hear(f"{response.code} {response.message}", hidden)
        return response


def _shown(line: str) -> str:
    """Return a line of printable characters, cut to length."""
    return "".join(char if char.isprintable() else "?" for char in line[:MAX_LINE])
