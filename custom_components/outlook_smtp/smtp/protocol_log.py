"""Log the SMTP conversation at debug level, without secrets and content."""

from collections.abc import Awaitable, Iterable
from itertools import count
import logging
import re
from typing import Any, Final, override

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException

from ..delivery.secrets import MASK, MAX_READ, MAX_TEXT, Secrets
from .replies import legible

_LOGGER = logging.getLogger(__name__)

MAX_LINES: Final = 100  # Of one reply.
MAX_EHLO: Final = 2 * MAX_READ  # Characters read of an EHLO reply.

_NUMBERS: Final = count(1)


class ProtocolLog:
    """The protocol log of one connection, numbered to tell it from others."""

    def __init__(self, secrets: Secrets | None = None) -> None:
        """Take the next number; `secrets` are redacted in both directions."""
        self._number = next(_NUMBERS)
        self._secrets = Secrets() if secrets is None else secrets
        self._hidden: re.Pattern[str] | None = None

    def hide_addresses(self, addresses: Iterable[str]) -> None:
        """Redact these addresses, and no others anymore."""
        names = "|".join(map(re.escape, addresses))
        self._hidden = re.compile(names, re.IGNORECASE) if names else None

    def hide(self, *secrets: bytes) -> None:
        """Redact these secrets as well from now on."""
        self._secrets.add(*(secret.decode("utf-8") for secret in secrets))

    def redacted(self, text: str, limit: int = MAX_READ) -> str:
        """Return the beginning of a text with secrets redacted."""
        return self._secrets.mask(text, limit)

    def redact(self, error: SMTPResponseException) -> None:
        """Shorten a server's text in the exception that quotes it, with echoed secrets redacted."""
        error.message = self.redacted(error.message)
        error.args = (error.code, error.message)

    def log_sent(self, line: str) -> None:
        """Log what the client sends."""
        self._write("client", line)

    def log_received(self, answer: str) -> None:
        """Log the server's reply, line by line."""
        for line in answer[:MAX_EHLO].split("\n", MAX_LINES)[:MAX_LINES]:
            self._write("server", line)

    def _write(self, side: str, line: str) -> None:
        """Log one line if the log level is enabled."""
        if _LOGGER.isEnabledFor(logging.DEBUG):
            shown = self.redacted(line)
            if self._hidden:
                shown = self._hidden.sub(MASK, shown)
            shown = _printable(shown)
            _LOGGER.debug("Connection %d, %s: %s", self._number, side, shown)


class LoggingSMTP(SMTP):
    """An SMTP client with a protocol log, up to the sign-in."""

    def __init__(self, *args: Any, secrets: Secrets | None = None, **kwargs: Any) -> None:
        """Start a protocol log that redacts `secrets`."""
        super().__init__(*args, **kwargs)
        self.protocol_log = ProtocolLog(secrets)

    @override
    async def connect(self, **kwargs: Any) -> SMTPResponse:
        """Connect, and read the greeting."""
        return await self._read_reply(super().connect(**kwargs))

    @override
    async def starttls(self, **kwargs: Any) -> SMTPResponse:
        """Encrypt the connection."""
        self.protocol_log.log_sent("STARTTLS")
        return await self._read_reply(super().starttls(**kwargs))

    @override
    async def execute_command(self, *args: bytes, **kwargs: Any) -> SMTPResponse:
        """Send EHLO, and read the extensions."""
        self.protocol_log.log_sent(b" ".join(args).decode("utf-8", "replace"))
        return await self._read_reply(super().execute_command(*args, **kwargs))

    async def _read_reply(self, answer: Awaitable[SMTPResponse]) -> SMTPResponse:
        """Wait for a reply, log it, and return it with secrets redacted."""
        try:
            response = await answer
        except SMTPResponseException as error:
            self.protocol_log.redact(error)
            self.protocol_log.log_received(f"{error.code} {legible(error.message)}")
            raise
        except (SMTPException, OSError) as error:
            self.protocol_log.log_received(f"({type(error).__name__}: {error})")
            raise
        lines = (line[:MAX_TEXT] for line in response.message.split("\n", MAX_LINES)[:MAX_LINES])
        message = self.protocol_log.redacted("\n".join(lines), MAX_EHLO)
        self.protocol_log.log_received(f"{response.code} {legible(message)}")
        return SMTPResponse(response.code, message)


def _printable(line: str) -> str:
    """Return a line of printable characters, cut to length."""
    return "".join(char if char.isprintable() else "?" for char in line[:MAX_TEXT])
