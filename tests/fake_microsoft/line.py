"""The connection to a client: reading, replying, and what goes wrong in between."""

import asyncio
from contextlib import suppress
import logging
import re
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

from . import wording
from .mailbox import Mailbox
from .manners import long_winded
from .script import Manner, Script, Step

if TYPE_CHECKING:
    from .server import FakeServer

AUTH_PAYLOAD = re.compile(r"(AUTH +\S+ +).+", re.IGNORECASE)
STEPS = {
    "STARTTLS": Step.STARTTLS,
    "MAIL": Step.MAIL,
    "RCPT": Step.RCPT,
    "DATA": Step.DATA,
    "QUIT": Step.QUIT,
}
# RFC 2920: a client must wait for the reply to these before it sends more.
LAST_IN_GROUP = {"EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "VRFY", "NOOP", "QUIT"}
MAX_ERRORS = 5
RESET = struct.pack("ii", 1, 0)
# A client that is gone never acknowledges the end of TLS, and asyncio would wait for 30 s.
TLS_CLOSE_TIMEOUT = 1.0
# How long a dismissed client may keep sending, and how long it may be silent meanwhile.
LINGER = 3.0
SILENCE = 1.0

# aiosmtpd logs every line it reads, which would end up in the logs of the code under test.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class HangUpError(Exception):
    """The server ends the conversation."""


class Line(SMTP):
    """A connected client; subclasses add its commands."""

    # Access tokens make AUTH lines of several kilobytes.
    line_length_limit = 2**16

    def __init__(self, server: FakeServer, tls_context: ssl.SSLContext) -> None:
        """Prepare the conversation."""
        self._frontend = wording.Frontend.pick()
        super().__init__(None, hostname=self._frontend.host, loop=asyncio.get_running_loop())
        self.account: Mailbox | None = None
        self.transcript: list[tuple[str, str]] = []
        self._server = server
        self._server_tls = tls_context
        self._own_script: Script | None = None
        self._claimed: Mailbox | None = None
        self._words: str | None = None
        self._tls_version: str | None = None
        self._hello = False
        self._pipelining = False
        self._unsent = bytearray()
        self._errors = 0
        self._refusals = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the conversation with a client."""
        self._own_script = self._server.welcome(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End the conversation with a client that is gone."""
        super().connection_lost(error)
        self._server.forget(self)

    def hang_up(self, last_reply: str | None = None) -> asyncio.Task[None] | None:
        """End the conversation from outside, and return its task."""
        if last_reply is None:
            self._writer.transport.abort()
        else:
            self._compose(last_reply)
            self._writer.write(bytes(self._unsent))
            self._unsent.clear()
            self._writer.close()
        return self._handler_coroutine

    async def _handle_client(self) -> None:
        """Serve until either side disconnects."""
        try:
            await self._open()
            while True:
                await self._run_command(await self._read_line())
        except HangUpError:
            if not self._writer.is_closing():
                with suppress(OSError, TimeoutError):
                    await self._linger()
        except asyncio.IncompleteReadError, OSError:
            pass
        finally:
            self._writer.close()
            # A client that leaves during a handshake is not always reported as lost.
            self._server.forget(self)

    async def _linger(self) -> None:
        """Let the last reply arrive: closing with unread input would destroy it."""
        await self._flush()
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()
        async with asyncio.timeout(LINGER):
            while await asyncio.wait_for(self._reader.read(2**16), SILENCE):
                pass

    async def _open(self) -> None:
        """Send the greeting."""
        refusal = await self._spoil(Step.CONNECT)
        if first_words := refusal or self._words:
            await self.say(first_words)
            return
        if self._server.security == "tls":
            await self._secure()
        if foreign := await self._spoil(Step.GREETING):
            await self.say(foreign)
            await self._misunderstand(foreign)
        else:
            await self.accept(self._frontend.greeting())

    async def _misunderstand(self, greeting: str) -> None:
        """Respond to every command like a server of another protocol."""
        while greeting.startswith(("*", "+")):
            tag = (await self._read_line()).partition(" ")[0]
            imap = greeting.startswith("*")
            await self.say(f"{tag} BAD Command Error. 12" if imap else "-ERR Protocol error. 14")

    async def _secure(self) -> None:
        """Switch to TLS."""
        if refusal := await self._spoil(Step.HANDSHAKE):
            # In TLS, the client speaks first: any earlier and it would be read as part of the last
            # reply.
            await self._reader.read(1)
            await self.say(refusal)
            raise HangUpError
        # RFC 3207: discard everything received unencrypted.
        self._waiting.clear()
        transport = await self.loop.start_tls(
            self._writer.transport,
            self,
            self._server_tls,
            server_side=True,
            ssl_shutdown_timeout=TLS_CLOSE_TIMEOUT,
        )
        if transport is None:
            # The client ended the handshake by disconnecting, as after a bad certificate.
            raise HangUpError
        self.transport = transport
        # A discarded writer closes its transport, here the one below TLS.
        self._plain_writer = self._writer
        self._writer = asyncio.StreamWriter(transport, self, self._reader, self.loop)
        tls = transport.get_extra_info("ssl_object")
        self._tls_version = tls.version()
        # aiosmtpd uses this to tell that the end of the stream is the end of the connection.
        assert self.session is not None
        self.session.ssl = {"ssl_object": tls}
        self._hello = self._pipelining = False

    async def _run_command(self, line: str) -> None:
        """Run one command."""
        self._reset_timeout()
        if unknown := self._scripts()[-1].unknown_reply(line):
            await self.say(unknown)
            return
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        method = self._method(verb)
        # Octets may always follow BDAT, which checks what follows them itself.
        carries_octets = verb == "BDAT" and method
        if verb in LAST_IN_GROUP or not (self._pipelining or carries_octets):
            await self._reject_early_input()
        step = STEPS.get(verb)
        if verb in {"EHLO", "HELO"}:
            step = Step.EHLO_TLS if self._tls_version else Step.EHLO
        if step and (refusal := await self._spoil(step)):
            await self.say(refusal)
        elif method:
            await method(argument.strip())
        else:
            self._errors += 1
            await self.refuse(
                wording.UNKNOWN_COMMAND if self._errors < MAX_ERRORS else wording.TOO_MANY_ERRORS
            )

    def _method(self, verb: str) -> Any:
        """Return the handler of a supported command."""
        known = verb != "BDAT" or self._extends("CHUNKING")
        return self._smtp_methods.get(verb) if known else None

    async def _reject_early_input(self) -> None:
        """Dismiss a client that continues before the reply it must wait for."""
        # Received data takes two turns of the loop to get here.
        for _ in range(2):
            await asyncio.sleep(0)
        if self._waiting:
            await self.dismiss(wording.IMPROPER_PIPELINING)

    # Listening and speaking

    @property
    def _waiting(self) -> bytearray:
        """Return the unread input."""
        return self._reader._buffer  # type: ignore[attr-defined,no-any-return]

    async def _read_line(self, *, secret: bool = False) -> str:
        """Read one line."""
        try:
            raw = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            await self.refuse(wording.COMMAND_TOO_LONG)
            raise HangUpError from None
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        shown = AUTH_PAYLOAD.sub(r"\1***", line)
        self.transcript.append(("C", "***" if secret else shown))
        return line

    def _compose(self, text: str) -> None:
        """Prepare one reply for sending."""
        if self._manner is Manner.LONG_WINDED:
            text = long_winded(text)
        if self._scripts()[-1].twice and self.account and not text.startswith("235"):
            text = f"{text}\n{text}"
        lines = text.splitlines()
        self.transcript.extend(("S", line) for line in lines)
        self._unsent += "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")

    async def _flush(self) -> None:
        """Send pending output."""
        while self._unsent:
            count = 1 if self._manner is Manner.BYTE_BY_BYTE else len(self._unsent)
            self._writer.write(bytes(self._unsent[:count]))
            del self._unsent[:count]
            await self._writer.drain()

    async def say(self, text: str) -> None:
        """Send one reply unchanged."""
        if text.startswith(("4", "5")) and (delay := max(s.refusal_delay for s in self._scripts())):
            await asyncio.sleep(delay)
        self._compose(text)
        # The reply to the last command of a round trip flushes the others.
        if self._manner is not Manner.AT_ONCE or b"\n" not in self._waiting:
            await self._flush()
        if text.startswith("421"):
            raise HangUpError
        self._refusals += text.startswith(("4", "5"))
        if self._refusals == self._scripts()[-1].max_errors:
            await self.dismiss(wording.TOO_MANY_ERRORS)

    async def push(self, status: Any) -> None:
        """Send a reply composed by aiosmtpd."""
        await self.say(str(status))

    async def refuse(self, text: str) -> None:
        """Send one error reply with its usual trailer."""
        await self.say(f"{text} {self._frontend.mark()}")

    async def dismiss(self, text: str) -> None:
        """Send a last reply and disconnect."""
        await self.refuse(text)
        raise HangUpError

    async def accept(self, text: str) -> None:
        """Send the normal reply to a command, or the script's text for it."""
        await self.say(self._words or text)

    async def _ask(self, challenge: str) -> str:
        """Send a challenge and return the response."""
        await self.say(challenge)
        answer = await self._read_line(secret=True)
        await self._reject_early_input()
        return answer

    # Misbehaviour

    def _scripts(self) -> tuple[Script, ...]:
        """Return the scripts that apply now, in order of precedence."""
        connection = self._own_script or self._server.script
        return (self._claimed.script, connection) if self._claimed else (connection,)

    @property
    def _manner(self) -> Manner:
        """Return how replies are written."""
        return self._scripts()[-1].manner

    def _extends(self, keyword: str) -> bool:
        """Return whether an extension is offered and supported."""
        return self._scripts()[-1].extends(keyword)

    def _setting(self, name: str, default: int | None = None) -> int | None:
        """Return a limit of the first script that sets it."""
        values = (getattr(script, name) for script in self._scripts())
        return next((value for value in values if value is not None), default)

    def _spoiler(self, step: Step) -> Script | None:
        """Return the script that spoils this step."""
        self._words = None
        return next((script for script in self._scripts() if script.take(step)), None)

    async def _spoil(self, step: Step) -> str | None:
        """Apply the scripts at this step, and return their refusal."""
        script = self._spoiler(step)
        return await self._play(script, step) if script else None

    async def _play(self, script: Script, step: Step) -> str | None:
        """Apply a script at this step, and return its refusal."""
        if script.drop is step or script.stalls_at(step):
            await self._flush()
        if script.stalls_at(step):
            await self._server.silence()
        if script.drop is step:
            if script.reset:
                sock = self._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._writer.transport.abort()
            raise HangUpError
        reply = script.reply_at(step)
        if reply is None or reply[:1] not in "23":
            return reply
        self._words = reply
        return None
