"""Receive the content of a message: at once after DATA, or in BDAT chunks."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
import re
import ssl
from typing import TYPE_CHECKING

from . import envelope, submission, wording
from .line import HangUpError, Line
from .mailbox import Received
from .script import Step

if TYPE_CHECKING:
    from .server import FakeServer

PIECE = 2**16


@dataclass(kw_only=True)
class Transaction:
    """A message in progress: its envelope and the content received so far."""

    sender: envelope.Sender | None = None
    recipients: tuple[str, ...] = ()
    content: bytearray = field(default_factory=bytearray)
    octets: int = 0
    chunks: int = 0
    failed: bool = False
    ending: bool = False


class Intake(Line):
    """A client that submits messages."""

    def __init__(self, server: FakeServer, tls_context: ssl.SSLContext) -> None:
        """Prepare to receive messages."""
        super().__init__(server, tls_context)
        self._transaction = Transaction()

    async def smtp_DATA(self, arg: str) -> None:
        """Receive a message at once."""
        if refusal := self._data_refusal(arg):
            await self.refuse(refusal)
            return
        await self.accept(wording.START_INPUT)
        await self._read_lines()
        await self._settle()

    async def smtp_BDAT(self, arg: str) -> None:
        """Receive a chunk of a message; even a refused one is read to its end."""
        try:
            chunk = envelope.parse_bdat(arg)
        except envelope.EnvelopeError as error:
            # It is unknown where the next command begins.
            await self.dismiss(str(error))
            return
        self._transaction.chunks += 1
        self._transaction.ending = chunk.last
        refusal, words = await self._begin_chunk()
        if refusal:
            self._transaction.failed = True
            await self._read_octets(chunk.size)
            await self._end_content(chunk.size)
            await self.say(refusal)
            return
        await self._read_chunk(chunk.size)
        if chunk.last:
            await self._settle()
        elif self._too_big():
            self._transaction.failed = True
            await self.refuse(wording.TOO_BIG)
        else:
            await self.say(words or wording.CHUNK_RECEIVED.format(chunk.size))

    # What must come before the content

    def _not_ready(self) -> str | None:
        """Return what is missing before a message."""
        if not self._hello:
            return wording.HELLO_NEEDED
        if not self._tls_version:
            return wording.TLS_NEEDED
        return None if self.account else wording.AUTH_NEEDED

    def _content_premature(self) -> str | None:
        """Return what is missing before the content of a message."""
        if refusal := self._not_ready():
            return refusal
        if not self._transaction.sender:
            return wording.MAIL_NEEDED
        return None if self._transaction.recipients else wording.RCPT_NEEDED

    def _data_refusal(self, argument: str) -> str | None:
        """Return why DATA is refused."""
        refusal = self._content_premature()
        nobody = refusal == wording.RCPT_NEEDED
        if refusal and not (nobody and self._scripts()[-1].let_begin):
            return refusal
        if argument:
            return wording.INVALID_ARGUMENTS
        sender = self._transaction.sender
        binary = sender is not None and sender.body == "BINARYMIME"
        return wording.BAD_SEQUENCE if binary or self._transaction.chunks else None

    async def _begin_chunk(self) -> tuple[str | None, str | None]:
        """Return why a chunk is refused, and the script's reply for one that is not."""
        if self._transaction.chunks == 1:
            if scripted := await self._spoil(Step.DATA):
                if scripted.startswith("421"):
                    await self.say(scripted)
                return scripted, None
        else:
            self._words = None
        failed = wording.BAD_SEQUENCE if self._transaction.failed else None
        refusal = failed or self._content_premature()
        return f"{refusal} {self._frontend.mark()}" if refusal else None, self._words

    # The content

    async def _read_lines(self) -> None:
        """Read up to the final dot, discarding data over the size limit."""
        content = self._transaction.content
        limit, total, line_start = self._size(), 0, True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.readexactly(error.consumed)
            if total == 0:
                await self._spoil_content()
            if line_start and piece == b".\r\n":
                break
            if line_start and piece.startswith(b"."):
                piece = piece[1:]
            line_start = piece.endswith(b"\r\n")
            total += len(piece)
            if total <= limit:
                content += piece
        self._transaction.octets = total
        await self._end_content(total)

    async def _read_chunk(self, size: int) -> None:
        """Read an accepted chunk, discarding data over the size limit."""
        transaction = self._transaction
        transaction.octets += size
        content = None if self._too_big() else transaction.content
        if transaction.chunks == 1:
            middle = min(size // 2, PIECE)
            await self._read_octets(middle, content)
            await self._spoil_content()
            await self._read_octets(size - middle, content)
        else:
            await self._read_octets(size, content)
        await self._end_content(size)

    async def _read_octets(self, count: int, content: bytearray | None = None) -> None:
        """Read a number of octets, and store them if there is a buffer."""
        if len(self._waiting) < count:
            await self._flush()
        while count:
            piece = await self._reader.readexactly(min(count, PIECE))
            count -= len(piece)
            if content is not None:
                content += piece

    async def _end_content(self, size: int) -> None:
        """Note that the content, or a chunk of it, was read."""
        self.transcript.append(("C", f"({size} bytes of content)"))
        if not self._pipelining:
            await self._reject_early_input()

    async def _spoil_content(self) -> None:
        """Interrupt a client in the middle of its message if a script demands that."""
        if interruption := await self._spoil(Step.CONTENT) or self._words:
            await self.say(interruption)
            raise HangUpError

    async def _flush(self) -> None:
        """Send pending output, unless a script holds it."""
        transaction = self._transaction
        under_way = transaction.sender and not transaction.ending
        if not (under_way and self._scripts()[-1].hold):
            await super()._flush()

    # The outcome

    async def _settle(self) -> None:
        """Accept the message or refuse it, and be ready for the next one."""
        script = self._spoiler(Step.FINAL)
        if script and script.keep:
            self._keep(None)
        scripted = await self._play(script, Step.FINAL) if script else None
        if refusal := scripted or self._content_refusal():
            await self.say(refusal)
        else:
            reply = self._words or wording.accepted()
            if not (script and script.keep):
                self._keep(reply)
            await self.say(reply)
        self._start_over()
        if unasked := await self._spoil(Step.IDLE) or self._words:
            await self.say(unasked)

    def _content_refusal(self) -> str | None:
        """Return why the message is refused, or nothing if it is accepted."""
        if not self._transaction.recipients:
            return f"{wording.NO_RECIPIENTS} {self._frontend.mark()}"
        if self._too_big():
            return f"{wording.TOO_BIG} {self._frontend.mark()}"
        limit = self._setting("limit_connections")
        if limit is not None and self._server.rank(self) >= limit:
            return f"{wording.TOO_MANY_CONNECTIONS} {wording.backend_mark()}"
        assert self.account is not None
        assert self._transaction.sender is not None
        content = bytes(self._transaction.content)
        return submission.refusal(content, self._transaction.sender, self.account)

    def _keep(self, reply: str | None) -> None:
        """Store the received message."""
        transaction = self._transaction
        assert self.account is not None
        assert transaction.sender is not None
        given = re.search(r"<[^<>]+>", reply or "")
        self._server.keep(
            Received(
                sender=transaction.sender.address,
                recipients=transaction.recipients,
                content=b"" if self._too_big() else bytes(transaction.content),
                account=self.account.address,
                tls_version=self._tls_version or "",
                message_id_given=given[0] if given else None,
                at=datetime.now(UTC),
                chunks=transaction.chunks,
                body=transaction.sender.body,
            )
        )

    def _start_over(self) -> None:
        """Discard the current message."""
        self._transaction = Transaction()

    def _too_big(self) -> bool:
        """Return whether the size limit is exceeded."""
        return self._transaction.octets > self._size()

    def _size(self) -> int:
        """Return the size limit."""
        return self._setting("size") or self._server.size
