"""One mail transaction (RFC 5321, section 3.3), in as few round trips as the server allows."""

from collections import deque

from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .answers import Answers
from .commands import Command, dot_stuffed, mail_command, rcpt_command
from .fault_mapping import faults_of, read_error
from .pipeline import SERVICE_CLOSING
from .replies import clean, read_reply
from .session import Session


class Transaction:
    """The submission of one message: which commands to send, and when.

    With PIPELINING and CHUNKING it takes one round trip; with PIPELINING alone, the content follows
    in a second one; otherwise every reply is awaited (RFC 2920, RFC 3030).
    """

    def __init__(
        self, session: Session, envelope: Envelope, content: Content, *, lockstep: bool = False
    ) -> None:
        """Prepare to submit a message.

        Args:
            session: An idle session.
            envelope: The sender and the recipients.
            content: The complete message.
            lockstep: Whether to wait for every reply before the next command. If a connection is
                lost during a single round trip, the message may have arrived; this avoids it.

        """
        self._session = session
        self._pipeline = session.pipeline
        self._extensions = session.extensions(lockstep=lockstep)
        self._envelope = envelope
        self._content = content
        self._pending: deque[Command] = deque()
        self._answers = Answers(envelope, self._extensions)
        self._is_answered = False

    @property
    def has_died(self) -> bool:
        """Return whether the connection was lost before the server answered."""
        return not (self._is_answered or self._session.is_open)

    @property
    def unsupported(self) -> frozenset[str]:
        """Return the extensions that the server offers but does not accept."""
        return self._answers.unsupported

    async def run(self) -> Outcome:
        """Submit the message; a refused recipient does not prevent delivery to the others.

        Raises:
            SubmissionError: If the sender or the content was refused for all, or the connection
                was lost; `answer_lost` says that the message may have arrived anyway.
            OSError: If the content cannot be read.

        """
        self._pipeline.protocol_log.hide_addresses(self._envelope.hidden)
        with self._session.in_use(self._answers):
            opening = self._envelope_commands()
            if not self._answers.is_refused:
                submit = self._send_chunks if "chunking" in self._extensions else self._send_data
                try:
                    await submit(opening)
                except SubmissionError as error:
                    last_reply = await self._last_reply()
                    if not self._answers.is_decided:
                        return self._answers.partial_outcome(last_reply or error)
                if self._is_ambiguous:
                    raise self._abort(Fault(Kind.TRANSIENT, Problem.UNEXPECTED_REPLY))
            return self._answers.outcome()

    def _envelope_commands(self) -> list[Command]:
        """Return the commands of the envelope; refuse recipients that no command can express."""
        if self._envelope.utf8 and "smtputf8" not in self._extensions:
            raise SubmissionError(Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED))
        commands = [Command(Stage.MAIL, b"RSET")] if self._session.needs_reset else []
        with faults_of(Stage.MAIL):
            commands.append(mail_command(self._envelope, self._content.size, self._extensions))
        for recipient in self._envelope.recipients:
            try:
                commands.append(rcpt_command(recipient, utf8=self._envelope.utf8))
            except ValueError as error:
                self._answers.refuse(recipient, read_error(Stage.RCPT, error))
        return commands

    @property
    def _is_ambiguous(self) -> bool:
        """Return whether a refusal may be an extra reply to an earlier command.

        The reply to accepted content identifies itself, and in lockstep each reply has its command.
        """
        is_refused = not self._answers.is_complete
        return is_refused and self._is_pipelined and self._pipeline.had_unsolicited_reply

    @property
    def _is_pipelined(self) -> bool:
        """Return whether commands may be sent before the replies to earlier ones."""
        return "pipelining" in self._extensions

    async def _send_chunks(self, commands: list[Command]) -> None:
        """Send the content by BDAT, the first piece together with the envelope (RFC 3030).

        Stop as soon as the message is known to be refused.
        """
        if not self._is_pipelined:
            await self._send_all(commands)
            commands = []
        sent = 0
        async for piece in self._content.pieces():
            if self._answers.is_refused:
                break
            sent += len(piece)
            last = sent == self._content.size
            line = b"BDAT %d%s" % (len(piece), b" LAST" if last else b"")
            chunk = Command(Stage.DATA, line, final=last)
            self._send(*commands, chunk, content=piece)
            commands = []
            await self._drain()
            while self._pending and (self._pipeline.has_reply or not self._is_pipelined):
                await self._read_reply()
        await self._read_replies()

    async def _send_data(self, commands: list[Command]) -> None:
        """Send the content by DATA, once the server asks for it."""
        await self._send_all([*commands, Command(Stage.DATA, b"DATA")])
        if not self._answers.has_go_ahead:
            return
        self._pipeline.begin_content(self._content.size if self._answers.accepted else 0)
        self._pending.append(Command(Stage.DATA, b"", final=True))
        if self._answers.accepted:
            async for piece in dot_stuffed(self._content.pieces()):
                await self._drain(piece)
        else:  # Without an accepted recipient, send empty content (RFC 2920, section 3.1).
            await self._drain(b".\r\n")
        await self._read_replies()

    async def _send_all(self, commands: list[Command]) -> None:
        """Send commands together if the server allows it, else one by one, and read the replies.

        One by one, it stops once it is certain that no recipient gets the message.
        """
        if self._is_pipelined:
            self._send(*commands)
            await self._read_replies()
            return
        for command in commands:
            if self._answers.is_refused:
                return
            self._send(command)
            await self._read_replies()

    def _send(self, *commands: Command, content: bytes = b"") -> None:
        """Send commands, and expect their replies."""
        self._pending.extend(commands)
        with faults_of(self._pending[0].stage):
            self._pipeline.send_commands(*(command.line for command in commands), content=content)

    async def _drain(self, content: bytes = b"") -> None:
        """Send more of the content, if any, and wait until the connection can take more."""
        with faults_of(Stage.DATA):
            self._pipeline.send(content)
            await self._pipeline.drain(self._session.account.content_timeout)

    async def _read_replies(self) -> None:
        """Read all replies that are still expected."""
        while self._pending:
            await self._read_reply()

    async def _last_reply(self) -> SubmissionError | None:
        """Read what the server sent before the connection was lost; it explains best why it was."""
        try:
            while self._pending and self._pipeline.has_reply:
                await self._read_reply()
        except SubmissionError as error:
            return error
        return None

    def _reply_timeout(self, command: Command) -> float:
        """Return how long to wait for a reply, in seconds."""
        account = self._session.account
        if command.final:
            return account.final_timeout
        return account.content_timeout if command.is_chunk else account.timeout

    async def _read_reply(self) -> None:
        """Read the next reply, and record it."""
        command = self._pending[0]
        try:
            with faults_of(command.stage):
                reply = await self._pipeline.reply(self._reply_timeout(command))
        except SubmissionError as error:
            if error.fault.problem is Problem.UNEXPECTED_REPLY:
                self._answers.discard_refusals()
            if not command.final:
                raise
            lost = Fault(
                Kind.TRANSIENT,
                Problem.ANSWER_LOST,
                text=error.fault.text,
                detail=error.fault.detail,
            )
            raise SubmissionError(lost) from error
        self._pending.popleft()
        # It ends the session, whatever the command (RFC 5321, 3.8).
        if reply.code == SERVICE_CLOSING:
            raise self._abort(read_reply(command.stage, reply.code, reply.text))
        if not self._answers.note(command, reply):  # No longer synchronized.
            self._answers.discard_refusals()
            problem = Problem.ANSWER_LOST if command.final else Problem.UNEXPECTED_REPLY
            text = clean(reply.text)
            raise self._abort(Fault(Kind.TRANSIENT, problem, code=reply.code, text=text))
        self._is_answered = True
        self._session.needs_reset = not self._answers.is_complete

    def _abort(self, fault: Fault) -> SubmissionError:
        """Close the connection, expect no more replies, and return the error that says why."""
        self._pipeline.close()
        self._pending.clear()
        return SubmissionError(fault)
