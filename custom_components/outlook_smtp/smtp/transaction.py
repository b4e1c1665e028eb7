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
from .submission import Envelope, Outcome, Refusal
from .wire import FAREWELL, Reply, Wire

_GIVEN_MESSAGE_ID: Final = re.compile(r"<[^<>\s]+@[^<>\s]+>")
# What can stand between the brackets of a command (RFC 5321, section 4.1.2) and does no harm.
_SPEAKABLE: Final = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[^\s<>"@\x00-\x1f\x7f]+)@[^\s<>"@\x00-\x1f\x7f]+'
)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that is said, and what its answer means; `final` asks for the message's fate."""

    stage: Stage
    line: bytes
    recipient: str | None = None
    final: bool = False

    @property
    def is_chunk(self) -> bool:
        """Return whether content goes with it (RFC 3030)."""
        return self.line.startswith(b"BDAT")


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
        if not self._is_hopeless:
            hand_in = self._send_chunks if "chunking" in self._extensions else self._send_data
            try:
                await hand_in(opening)
            except SubmissionError as error:
                last_words = await self._last_words()
                if not self._is_decided:
                    raise last_words or error from error.__cause__
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

    @property
    def _is_decided(self) -> bool:
        """Return whether the message's fate is known, however the line ends afterwards."""
        return self._is_hopeless or self.is_complete

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
        """Send more of the content, if any, and wait until there is room for more."""
        with faults_of(Stage.DATA):
            self._wire.send(content)
            await self._wire.drain(self._account.content_timeout)

    async def _hear_all(self) -> None:
        """Hear every answer that is missing."""
        while self._pending:
            await self._hear()

    async def _last_words(self) -> SubmissionError | None:
        """Hear what the server said before the line broke; it explains best why it did."""
        try:
            while self._pending and self._wire.has_reply:
                await self._hear()
        except SubmissionError as error:
            return error
        return None

    def _patience(self, command: Command) -> float:
        """Return how long an answer may take, in seconds."""
        if command.final:
            return self._account.final_timeout
        return self._account.content_timeout if command.is_chunk else self._account.timeout

    async def _hear(self) -> None:
        """Hear the next answer, and note what it means."""
        command = self._pending[0]
        try:
            with faults_of(command.stage):
                reply = await self._wire.reply(self._patience(command))
        except SubmissionError as error:
            if not command.final:
                raise
            lost = Fault(Kind.TRANSIENT, Problem.ANSWER_LOST, text=error.fault.text)
            raise SubmissionError(lost) from error
        self._pending.popleft()
        if reply.code == FAREWELL:  # It ends the session, whatever it answers (RFC 5321, 3.8).
            raise self._end(read_reply(command.stage, reply.code, reply.text))
        if _accepts(command, reply):
            self._note_acceptance(command, reply)
        elif reply.code // 100 in (4, 5) and command.line != b"RSET":
            self._note_refusal(command, read_reply(command.stage, reply.code, reply.text))
        else:  # It cannot be the answer to this command, so the line is out of step.
            problem = Problem.ANSWER_LOST if command.final else Problem.UNEXPECTED_REPLY
            text = clean(reply.text)
            raise self._end(Fault(Kind.TRANSIENT, problem, code=reply.code, text=text))
        self.is_answered = True

    def _end(self, fault: Fault) -> SubmissionError:
        """Close the line and listen no more, and return the error that says why."""
        self._wire.close()
        self._pending.clear()
        return SubmissionError(fault)

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


def _accepts(command: Command, reply: Reply) -> bool:
    """Return whether a reply is a yes to a command.

    A yes to a message does not speak of addresses (RFC 3463, section 3.2): in the flight of the
    recipients such a one belongs to them, and the server has said something twice.
    """
    if command.is_chunk and command.final and reply.text.startswith("2.1."):
        return False
    return reply.code // 100 == (3 if command.line == b"DATA" else 2)


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
