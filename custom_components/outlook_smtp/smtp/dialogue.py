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


class TalkingSMTP(SMTP):
    """An SMTP client whose dialogue can be followed.

    While it signs in, nothing that this side says is shown, nor what the server repeats of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Number the connection, so that dialogues at the same time can be told apart."""
        super().__init__(*args, **kwargs)
        self._number = next(_NUMBERS)
        self._asked_for_secret = False

    @override
    async def connect(self, **kwargs: Any) -> SMTPResponse:
        """Connect, and hear the greeting."""
        return await self._hear(super().connect(**kwargs))

    @override
    async def starttls(self, **kwargs: Any) -> SMTPResponse:
        """Encrypt the line."""
        self._say("STARTTLS")
        return await self._hear(super().starttls(**kwargs))

    @override
    async def data(self, message: str | bytes, /, **kwargs: Any) -> SMTPResponse:
        """Transfer the content."""
        self._say(f"DATA <{len(message)} bytes of content>")
        return await self._hear(super().data(message, **kwargs))

    @override
    async def execute_command(self, *args: bytes, **kwargs: Any) -> SMTPResponse:
        """Say a command, and hear the answer."""
        continues = self._asked_for_secret
        signs_in = args[0].upper() == b"AUTH"
        hidden = args if continues else args[2:] if signs_in else ()
        if _LOGGER.isEnabledFor(logging.DEBUG):
            shown = [HIDDEN if arg in hidden else arg.decode("utf-8", "replace") for arg in args]
            self._say(" ".join(shown))
        self._asked_for_secret = False
        response = await self._hear(super().execute_command(*args, **kwargs), hidden)
        self._asked_for_secret = response.code == 334 and (signs_in or continues)
        return response

    def _say(self, line: str) -> None:
        """Write down what this side says."""
        _LOGGER.debug("Connection %d, client: %s", self._number, _shown(line))

    async def _hear(
        self, answer: Awaitable[SMTPResponse], hidden: tuple[bytes, ...] = ()
    ) -> SMTPResponse:
        """Wait for an answer, and write it down."""
        try:
            response = await answer
        except SMTPResponseException as error:
            self._note(f"{error.code} {error.message}", hidden)
            raise
        except (SMTPException, OSError) as error:
            self._note(f"({type(error).__name__}: {error})", hidden)
            raise
        self._note(f"{response.code} {response.message}", hidden)
        return response

    def _note(self, answer: str, hidden: tuple[bytes, ...]) -> None:
        """Write down what the server says, line by line."""
        if not _LOGGER.isEnabledFor(logging.DEBUG):
            return
        for secret in filter(None, hidden):
            answer = answer.replace(secret.decode("utf-8", "replace"), HIDDEN)
        for line in answer.split("\n"):
            _LOGGER.debug("Connection %d, server: %s", self._number, _shown(line))


def _shown(line: str) -> str:
    """Return a line of printable characters, cut to length."""
    return "".join(char if char.isprintable() else "?" for char in line[:MAX_LINE])
