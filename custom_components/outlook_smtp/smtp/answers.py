"""What the answers to the commands of one transaction make of its message."""

from collections.abc import Collection
from dataclasses import replace
import re
from typing import Final

from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .commands import Command
from .pipeline import Reply
from .replies import clean, is_about_command, read_reply

_GIVEN_MESSAGE_ID: Final = re.compile(r"<[^<>\s@]++@[^<>\s@]++>")
_BAD_SEQUENCE: Final = 503
# Yeses to other commands than those of a transaction: the greeting, QUIT and AUTH.
_OTHERS: Final = (220, 221, 235)
# What a yes to content says of itself where enhanced status codes are offered (RFC 3463, section
# 3.2): not that an address is good, which is the yes to a sender or a recipient.
_OF_CONTENT: Final = re.compile(r"2\.(?!1\.)[0-9]{1,3}\.")


class Answers:
    """Notes answers as they come, and knows what they decide."""

    def __init__(self, envelope: Envelope, extensions: Collection[str]) -> None:
        """Begin with nothing decided; `extensions` are those that the commands make use of."""
        self.taken: list[str] = []
        self.unsupported: frozenset[str] = frozenset()
        self.has_go_ahead = False
        self.is_complete = False
        self._envelope = envelope
        self._extensions = extensions
        self._refused: dict[str, Fault] = {}
        self._no_sender: Fault | None = None
        self._no_content: Fault | None = None
        self._final: Reply | None = None

    @property
    def is_hopeless(self) -> bool:
        """Return whether it is known already that nobody gets the message."""
        known = len(self.taken) + len(self._refused)
        nobody = not self.taken and known == len(self._envelope.recipients)
        return bool(self._no_sender or self._no_content or nobody)

    @property
    def is_decided(self) -> bool:
        """Return whether the message's fate is known, however the line ends afterwards."""
        return self.is_hopeless or self.is_complete

    def note(self, command: Command, reply: Reply) -> bool:
        """Note an answer; return False if it cannot be the one to this command."""
        if self._contradicts(command, reply):
            self._forget()
            return False
        if _accepts(command, reply):
            self._note_acceptance(command, reply)
        elif reply.code // 100 in (4, 5) and command.line != b"RSET":
            self._note_refusal(command, read_reply(command.stage, reply.code, reply.text))
        else:
            return False
        return True

    def refuse(self, recipient: str, fault: Fault) -> None:
        """Note that a recipient is refused."""
        self._refused[recipient] = fault

    def disbelieve(self) -> None:
        """Forget who is refused, unless it is decided: the answers may be others' answers."""
        if not self.is_decided:
            self._forget()

    def _forget(self) -> None:
        """Forget all that is refused."""
        self._refused.clear()
        self._no_sender = self._no_content = None

    def _contradicts(self, command: Command, reply: Reply) -> bool:
        """Return whether a yes shows that an earlier answer was another command's.

        No server takes a recipient of a sender whom it has refused, or a content for nobody, or
        says anything but 354 to agree to DATA: it has said something twice before.
        """
        if reply.code // 100 != 2:
            return False
        if command.is_chunk and command.final and not _OF_CONTENT.match(reply.text):
            if not reply.text.startswith("2."):  # It cannot be told from the yes to a recipient.
                self.unsupported |= {"chunking"}
            return True
        for_nobody = command.final and not self.taken
        unsent = command.recipient is not None and self._no_sender is not None
        return for_nobody or unsent or command.line == b"DATA"

    def outcome(self) -> Outcome:
        """Return what has become of a message whose fate is decided.

        Raises:
            SubmissionError: If nobody gets it, and that is not a matter of the recipients.

        """
        if self._no_sender:
            raise SubmissionError(self._no_sender)
        if not self.taken:
            for fault in self._refused.values():
                # The account is refused, regardless of the recipient.
                if fault.kind not in (Kind.MESSAGE, Kind.TRANSIENT):
                    raise SubmissionError(fault)
            return Outcome(refused=self._refused)
        if self._no_content:
            raise SubmissionError(self._no_content)
        assert self._final  # noqa: S101 - The content was refused or accepted.
        left = tuple(name for name, fault in self._refused.items() if self._is_left(fault))
        return Outcome(
            accepted=tuple(self.taken),
            refused={
                name: _as_recipients(fault)
                for name, fault in self._refused.items()
                if name not in left
            },
            reply=clean(self._final.text),
            message_id=_given_message_id(self._final.text),
            left=left,
        )

    def outcome_without_end(self, error: SubmissionError) -> Outcome:
        """Return what was settled before the line ended, which ended for a reason.

        Some servers hang up on who names too many bad recipients: without those the others get
        the message. Who was accepted before is named again.

        Raises:
            SubmissionError: The reason, if nothing was settled.

        """
        settled = {name: fault for name, fault in self._refused.items() if fault.is_recipients_own}
        if not settled:
            raise error
        return Outcome(
            refused=settled,
            left=tuple(name for name in self._envelope.recipients if name not in settled),
            lost=error.fault if error.fault.problem is Problem.ANSWER_LOST else None,
        )

    def _note_acceptance(self, command: Command, reply: Reply) -> None:
        """Note what is accepted."""
        if command.recipient is not None:
            self.taken.append(command.recipient)
        elif command.line == b"DATA":
            self.has_go_ahead = True
        elif command.final:
            self._final = reply
            self.is_complete = True

    def _note_refusal(self, command: Command, fault: Fault) -> None:
        """Note what is refused; of several refusals of the same the first tells the reason."""
        if is_about_command(fault) and not self.is_hopeless:
            fault = self._understand(command, fault)
        if command.stage is Stage.MAIL:
            self._no_sender = self._no_sender or fault
        elif command.recipient is not None:
            self.refuse(command.recipient, fault)
        else:
            self._no_content = self._no_content or fault

    def _understand(self, command: Command, fault: Fault) -> Fault:
        """Return what it means that a command is not understood, and note what it is blamed on."""
        if command.final and not command.is_chunk:  # It answers no command, but the content.
            return replace(fault, kind=Kind.MESSAGE, problem=Problem.MESSAGE_REFUSED)
        if blamed := self._blamed(command, fault):
            self.unsupported = self.unsupported or blamed
        elif command.recipient is not None and fault.code != _BAD_SEQUENCE:
            return replace(fault, kind=Kind.MESSAGE, problem=Problem.RECIPIENT_REFUSED)
        return fault

    def _blamed(self, command: Command, fault: Fault) -> frozenset[str]:
        """Return the extensions to do without, now that a command is not understood.

        What the command itself makes use of is likelier than the way in which it is said, but
        for one that is said to come at the wrong time.
        """
        ways = [{"pipelining"}]
        if command.is_chunk:
            ways = [{"chunking"}]
        elif command.stage is Stage.MAIL:
            ways.append({"size", "8bitmime"})
            if fault.code != _BAD_SEQUENCE:
                ways.reverse()
            if self._envelope.utf8:
                ways.append({"smtputf8"})
        used = [way.intersection(self._extensions) for way in ways]
        return frozenset(next(filter(None, used), ()))

    def _is_left(self, fault: Fault) -> bool:
        """Return whether a recipient is to get the message in another transaction."""
        too_many = fault.problem is Problem.RECIPIENT_LIMIT
        return too_many or (bool(self.unsupported) and is_about_command(fault))


def _accepts(command: Command, reply: Reply) -> bool:
    """Return whether a reply is a yes to a command."""
    if reply.code in _OTHERS:
        return False
    return reply.code // 100 == (3 if command.line == b"DATA" else 2)


def _as_recipients(fault: Fault) -> Fault:
    """Return a refusal of what others were accepted with: it is that recipient's alone."""
    if fault.kind not in (Kind.CREDENTIALS, Kind.SETUP):
        return fault
    return replace(fault, kind=Kind.MESSAGE, problem=Problem.RECIPIENT_REFUSED)


def _given_message_id(reply: str) -> str | None:
    """Return the Message-ID that Microsoft's final reply names: it gives a new one to some."""
    match = _GIVEN_MESSAGE_ID.search(reply)
    return match.group() if match else None
