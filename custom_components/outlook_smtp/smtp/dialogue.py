"""Writes the dialogue with a server to the log at debug level, without secrets and content."""

from collections.abc import Awaitable
from itertools import count
import logging
from typing import Any, Final, override

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException

from .replies import legible

_LOGGER = logging.getLogger(__name__)

MAX_LINE: Final = 500  # Characters.
HIDDEN: Final = "***"

_NUMBERS: Final = count(1)


class Dialogue:
    """The dialogue over one connection, with a number so that it can be told from others."""

    def __init__(self) -> None:
        """Take the next number."""
        self._number = next(_NUMBERS)
        self._secrets: tuple[str, ...] = ()

    def hide(self, *secrets: bytes) -> None:
        """Redact these secrets from now on, in both directions."""
        self._secrets += tuple(secret.decode("ascii") for secret in secrets if secret)

    def without_secrets(self, text: str) -> str:
        """Return a text without what is hidden."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def say(self, line: str) -> None:
        """Write down what this side says."""
        self._write("client", line)

    def hear(self, answer: str) -> None:
        """Write down what the server says, line by line."""
        for line in answer.split("\n"):
            self._write("server", line)

    def _write(self, speaker: str, line: str) -> None:
        """Write down one line, if anybody reads it."""
        if _LOGGER.isEnabledFor(logging.DEBUG):
            shown = _shown(self.without_secrets(line))
            _LOGGER.debug("Connection %d, %s: %s", self._number, speaker, shown)


class TalkingSMTP(SMTP):
    """An SMTP client whose dialogue can be followed, up to the sign-in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin a dialogue."""
        super().__init__(*args, **kwargs)
        self.dialogue = Dialogue()

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
        self.dialogue.say(b" ".join(args).decode("utf-8", "replace"))
        return await self._hear(super().execute_command(*args, **kwargs))

    async def _hear(self, answer: Awaitable[SMTPResponse]) -> SMTPResponse:
        """Wait for an answer, and write it down."""
        try:
            response = await answer
        except SMTPResponseException as error:
            self.dialogue.hear(f"{error.code} {legible(error.message)}")
            raise
        except (SMTPException, OSError) as error:
            self.dialogue.hear(f"({type(error).__name__}: {error})")
            raise
        self.dialogue.hear(f"{response.code} {legible(response.message)}")
        return response


def _shown(line: str) -> str:
    """Return a line of printable characters, cut to length."""
    return "".join(char if char.isprintable() else "?" for char in line[:MAX_LINE])
