"""One mail transaction (RFC 5321, section 3.3), in as few flights as the server allows."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
import re
from typing import Final

from .account import Account
from .content import Content
from .errors import faults_of, read_error
from .faults import Fault, Kind, Problem, Stage, SubmissionError
from .replies import clean, read_reply
from .wire import Reply, Wire

_GIVEN_MESSAGE_ID: Final = re.compile(r"<[^<>\s]+@[^<>\s]+>")
# What can stand between the brackets of a command (RFC 5321, section 4.1.2) and does no harm.
_SPEAKABLE: Final = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[^\s<>"@\x00-\x1f\x7f]+)@[^\s<>"@\x00-\x1f\x7f]+'
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom (RFC 5321): bare addresses; `utf8` where one is not ASCII (RFC 6531)."""

    sender: str
    recipients: tuple[str, ...]
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the server refused while it took others."""

    recipient: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who gets the message and who does not.

    `left` are those who were too many for one transaction and are to get it in another one.
    `reply` is the server's last answer, cleaned, and `message_id` the one it gave, if any.
    """

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: str = ""
    message_id: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A line that is said, and what its answer means; `final` asks for the message's fate."""

    stage: Stage
    line: bytes
    recipient: str | None = None
    final: bool = False


class Transaction:
    """One message on its way: what is said, and what the answers make of it.

    With PIPELINING and CHUNKING all is one flight; with PIPELINING alone the content follows in
    a second one; else every answer is awaited (RFC 2920, RFC 3030).
    """

    def __init__(
        self,
        wire: Wire,
        account: Account,
        extensions: Mapping[str, str],
        envelope: Envelope,
        content: Content,
    ) -> None:
        """Prepare a transaction of an account over a line whose server has told its extensions."""
        self._wire = wire
        self._account = account
        self._extensions = extensions
        self._envelope = envelope
        self._content = content
        self._pending: deque[Command] = deque()
        self._no_sender: Fault | None = None
        self._no_content: Fault | None = None
        self._go_ahead = False
        self._taken: list[str] = []
        self._refused: list[Refusal] = []
        self._final: Reply | None = None
        self.is_answered = False
        self.is_complete = False

    async def run(self, *, reset: bool) -> Outcome:
        """Hand the message in; `reset` forgets one before that has come to no end.

        Raises:
            SubmissionError: If nobody gets it, and that is not a matter of the recipients.
            OSError: If the content cannot be read; the line is out of step then.

        """
        opening = self._opening(reset=reset)
        if self._is_hopeless:
            return self._outcome()
        if "chunking" in self._extensions:
            await self._send_chunks(opening)
        else:
            await self._send_data(opening)
        return self._outcome()

    def _opening(self, *, reset: bool) -> list[Command]:
        """Return the commands of the envelope; who cannot even be named is refused here."""
        commands = [Command(Stage.MAIL, b"RSET")] if reset else []
        with faults_of(Stage.MAIL):
            sender = _path(self._envelope.sender, utf8=self._envelope.utf8)
        mail = b" ".join((b"MAIL FROM:" + sender, *self._parameters()))
        commands.append(Command(Stage.MAIL, mail))
        for recipient in self._envelope.recipients:
            try:
                path = _path(recipient, utf8=self._envelope.utf8)
            except ValueError as error:
                self._refused.append(Refusal(recipient, read_error(Stage.RCPT, error)))
            else:
                commands.append(Command(Stage.RCPT, b"RCPT TO:" + path, recipient))
        return commands

    def _parameters(self) -> Iterable[bytes]:
        """Yield what the server is told of the message in advance (RFC 1870, 6152 and 6531)."""
        if "size" in self._extensions:
            yield b"SIZE=%d" % self._content.size
        if "8bitmime" in self._extensions:
            yield b"BODY=8BITMIME"
        if self._envelope.utf8:
            yield b"SMTPUTF8"

    @property
    def _is_pipelined(self) -> bool:
        """Return whether commands may be said before the answers to those before them."""
        return "pipelining" in self._extensions

    @property
    def _is_hopeless(self) -> bool:
        """Return whether it is known already that nobody gets the message."""
        known = len(self._taken) + len(self._refused)
        nobody = not self._taken and known == len(self._envelope.recipients)
        return bool(self._no_sender or self._no_content or nobody)

    async def _send_chunks(self, commands: list[Command]) -> None:
        """Hand the content in by BDAT, the first piece together with the envelope (RFC 3030).

        What is known to be refused is not sent to its end.
        """
        if not self._is_pipelined:
            await self._say(commands)
            commands = []
        sent = 0
        async for piece in self._content.pieces():
            if self._is_hopeless:
                break
            sent += len(piece)
            last = sent == self._content.size
            line = b"BDAT %d%s" % (len(piece), b" LAST" if last else b"")
            chunk = Command(Stage.DATA, line, final=last)
            self._send(*commands, chunk, content=piece)
            commands = []
            await self._drain()
            while self._pending and (self._wire.has_reply or not self._is_pipelined):
                await self._hear()
        await self._hear_all()

    async def _send_data(self, commands: list[Command]) -> None:
        """Hand the content in by DATA, once the server asks for it."""
        await self._say([*commands, Command(Stage.DATA, b"DATA")])
        if not self._go_ahead:
            return
        self._wire.begin_content(self._content.size if self._taken else 0)
        self._pending.append(Command(Stage.DATA, b"", final=True))
        if self._taken:
            async for piece in _stuffed(self._content.pieces()):
                await self._drain(piece)
        else:  # Asked for though nobody gets it, it is an empty one (RFC 2920, section 3.1).
            await self._drain(b".\r\n")
        await self._hear_all()

    async def _say(self, commands: list[Command]) -> None:
        """Say commands at once where the server allows it, else one by one, and hear the answers.

        One by one, nothing more is said once it is known that nobody gets the message.
        """
        if self._is_pipelined:
            self._send(*commands)
            await self._hear_all()
            return
        for command in commands:
            if self._is_hopeless:
                return
            self._send(command)
            await self._hear_all()

    def _send(self, *commands: Command, content: bytes = b"") -> None:
        """Say commands, whose answers are still to be heard."""
        self._pending.extend(commands)
        with faults_of(self._pending[0].stage):
            self._wire.say(*(command.line for command in commands), content=content)

    async def _drain(self, content: bytes = b"") -> None:
        """Send more of the content, if any, and wait until there is room for more.

        Where the line has broken, what the server has said before explains it best.
        """
        try:
            with faults_of(Stage.DATA):
                self._wire.send(content)
                await self._wire.drain(self._account.timeout)
        except SubmissionError:
            while self._wire.has_reply and self._pending:
                await self._hear()
            raise

    async def _hear_all(self) -> None:
        """Hear every answer that is missing."""
        while self._pending:
            await self._hear()

    async def _hear(self) -> None:
        """Hear the next answer, and note what it means."""
        command = self._pending.popleft()
        timeout = self._account.final_timeout if command.final else self._account.timeout
        try:
            with faults_of(command.stage):
                reply = await self._wire.reply(timeout)
        except SubmissionError as error:
            if not command.final:
                raise
            lost = Fault(Kind.TRANSIENT, Problem.ANSWER_LOST, text=error.fault.text)
            raise SubmissionError(lost) from error
        if reply.code == 421:  # It ends the session, whatever it answers (RFC 5321, 3.8).
            self._wire.close()
            raise SubmissionError(read_reply(command.stage, reply.code, reply.text))
        self.is_answered = True
        if reply.code // 100 in (4, 5):
            self._note_refusal(command, read_reply(command.stage, reply.code, reply.text))
        elif reply.code // 100 == (3 if command.line == b"DATA" else 2):
            self._note_acceptance(command, reply)
        else:
            self._wire.close()
            text = clean(reply.text)
            raise SubmissionError(
                Fault(Kind.TRANSIENT, Problem.UNEXPECTED_REPLY, code=reply.code, text=text)
            )

    def _note_refusal(self, command: Command, fault: Fault) -> None:
        """Note what is refused; of several refusals of the same the first tells the reason."""
        if command.stage is Stage.MAIL:
            self._no_sender = self._no_sender or fault
        elif command.recipient is not None:
            self._refused.append(Refusal(command.recipient, fault))
        else:
            self._no_content = self._no_content or fault

    def _note_acceptance(self, command: Command, reply: Reply) -> None:
        """Note what is accepted."""
        if command.recipient is not None:
            self._taken.append(command.recipient)
        elif command.line == b"DATA":
            self._go_ahead = True
        elif command.final:
            self._final = reply
            self.is_complete = True

    def _outcome(self) -> Outcome:
        """Return what has become of the message."""
        if self._no_sender:
            raise SubmissionError(self._no_sender)
        refused = tuple(self._refused)
        if not self._taken:
            for refusal in refused:
                # It is the account that is refused, whoever the recipient.
                if refusal.fault.kind in (Kind.ACCOUNT, Kind.QUOTA):
                    raise SubmissionError(refusal.fault)
            return Outcome((), refused)
        if self._no_content:
            raise SubmissionError(self._no_content)
        assert self._final  # noqa: S101 - The content was refused or accepted.
        too_many = [item for item in refused if item.fault.problem is Problem.RECIPIENT_LIMIT]
        return Outcome(
            tuple(self._taken),
            tuple(item for item in refused if item not in too_many),
            clean(self._final.text),
            _given_message_id(self._final.text),
            left=tuple(item.recipient for item in too_many),
        )


def _path(address: str, *, utf8: bool) -> bytes:
    """Return an address as commands name it; `ValueError` for one that would break the line."""
    if not _SPEAKABLE.fullmatch(address):
        raise ValueError("An address cannot be said")
    return b"<" + address.encode("utf-8" if utf8 else "ascii") + b">"


async def _stuffed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Double every dot that begins a line, and add the final one (RFC 5321, section 4.5.2)."""
    ready, end = b"", b"\r\n"
    async for piece in pieces:
        if ready:
            yield ready
        # The end of the piece before tells whether this one begins a line.
        ready = (end + piece).replace(b"\r\n.", b"\r\n..")[len(end) :]
        end = (end + piece)[-2:]
    yield ready + (b".\r\n" if end == b"\r\n" else b"\r\n.\r\n")


def _given_message_id(reply: str) -> str | None:
    """Return the Message-ID that Microsoft's final reply names: it gives a new one to some."""
    match = _GIVEN_MESSAGE_ID.search(reply)
    return match.group() if match else None
