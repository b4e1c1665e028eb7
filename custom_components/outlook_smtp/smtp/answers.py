"""The replies to the commands of one transaction, and what they mean for its message."""

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

_ASSIGNED_MESSAGE_ID: Final = re.compile(r"<[^<>\s@]++@[^<>\s@]++>")
_BAD_SEQUENCE: Final = 503
# Positive codes that answer no command of a transaction: greeting, QUIT and AUTH.
_UNRELATED_CODES: Final = (220, 221, 235)
# The enhanced status code of a positive reply to content (RFC 3463, section 3.2): not X.1.X, which
# accepts the address of a sender or a recipient.
_CONTENT_STATUS: Final = re.compile(r"2\.(?!1\.)[0-9]{1,3}\.")


class Answers:
    """Records replies as they arrive, and derives the outcome from them."""

    def __init__(self, envelope: Envelope, extensions: Collection[str]) -> None:
        """Start with nothing decided; `extensions` are those that the commands use."""
        self.accepted: list[str] = []
        self.unsupported: frozenset[str] = frozenset()
        self.has_go_ahead = False
        self.is_complete = False
        self._envelope = envelope
        self._extensions = extensions
        self._refused: dict[str, Fault] = {}
        self._sender_refusal: Fault | None = None
        self._content_refusal: Fault | None = None
        self._final_reply: Reply | None = None

    @property
    def is_refused(self) -> bool:
        """Return whether it is certain already that no recipient gets the message."""
        known = len(self.accepted) + len(self._refused)
        none_left = not self.accepted and known == len(self._envelope.recipients)
        return bool(self._sender_refusal or self._content_refusal or none_left)

    @property
    def is_decided(self) -> bool:
        """Return whether the outcome is known, even if the connection is lost now."""
        return self.is_refused or self.is_complete

    def note(self, command: Command, reply: Reply) -> bool:
        """Record a reply; return False if it cannot belong to this command."""
        if self._contradicts(command, reply):
            self._clear_refusals()
            return False
        if _accepts(command, reply):
            self._note_acceptance(command, reply)
        elif reply.code // 100 in (4, 5) and command.line != b"RSET":
            self._note_refusal(command, read_reply(command.stage, reply.code, reply.text))
        else:
            return False
        return True

    def refuse(self, recipient: str, fault: Fault) -> None:
        """Record that a recipient is refused."""
        self._refused[recipient] = fault

    def discard_refusals(self) -> None:
        """Forget all refusals unless the outcome is decided: they may belong to other commands."""
        if not self.is_decided:
            self._clear_refusals()

    def _clear_refusals(self) -> None:
        """Forget all refusals."""
        self._refused.clear()
        self._sender_refusal = self._content_refusal = None

    def _contradicts(self, command: Command, reply: Reply) -> bool:
        """Return whether a positive reply shows that an earlier reply was mismatched.

        No server accepts a recipient after refusing the sender, accepts content without a
        recipient, or agrees to DATA with anything but 354: it must have sent an extra reply.
        """
        if reply.code // 100 != 2:
            return False
        if command.is_chunk and command.final and not _CONTENT_STATUS.match(reply.text):
            if not reply.text.startswith("2."):  # It looks like the reply to a recipient.
                self.unsupported |= {"chunking"}
            return True
        without_recipients = command.final and not self.accepted
        unsent = command.recipient is not None and self._sender_refusal is not None
        return without_recipients or unsent or command.line == b"DATA"

    def outcome(self) -> Outcome:
        """Return the outcome once it is decided.

        Raises:
            SubmissionError: If no recipient gets the message for a reason that is not theirs.

        """
        if self._sender_refusal:
            raise SubmissionError(self._sender_refusal)
        if not self.accepted:
            for fault in self._refused.values():
                # The account is refused, regardless of the recipient.
                if fault.kind not in (Kind.MESSAGE, Kind.TRANSIENT):
                    raise SubmissionError(fault)
            return Outcome(refused=self._refused)
        if self._content_refusal:
            raise SubmissionError(self._content_refusal)
        assert self._final_reply  # noqa: S101 - The content was refused or accepted.
        left = tuple(name for name, fault in self._refused.items() if self._is_left(fault))
        return Outcome(
            accepted=tuple(self.accepted),
            refused={
                name: _as_recipient_fault(fault)
                for name, fault in self._refused.items()
                if name not in left
            },
            reply=clean(self._final_reply.text),
            message_id=_assigned_message_id(self._final_reply.text),
            left=left,
        )

    def partial_outcome(self, error: SubmissionError) -> Outcome:
        """Return what was settled before the connection was lost with an error.

        Some servers hang up after too many bad recipients: without those, the others get the
        message. Recipients that were accepted before are submitted again.

        Raises:
            SubmissionError: The given error, if nothing was settled.

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
        """Record what is accepted."""
        if command.recipient is not None:
            self.accepted.append(command.recipient)
        elif command.line == b"DATA":
            self.has_go_ahead = True
        elif command.final:
            self._final_reply = reply
            self.is_complete = True

    def _note_refusal(self, command: Command, fault: Fault) -> None:
        """Record what is refused; the first of several refusals gives the reason."""
        if is_about_command(fault) and not self.is_refused:
            fault = self._note_unknown_command(command, fault)
        if command.stage is Stage.MAIL:
            self._sender_refusal = self._sender_refusal or fault
        elif command.recipient is not None:
            self.refuse(command.recipient, fault)
        else:
            self._content_refusal = self._content_refusal or fault

    def _note_unknown_command(self, command: Command, fault: Fault) -> Fault:
        """Return the fault of a command that was not understood, and note the likely extension."""
        if command.final and not command.is_chunk:  # It answers the content, not a command.
            return replace(fault, kind=Kind.MESSAGE, problem=Problem.MESSAGE_REFUSED)
        if unsupported := self._likely_unsupported(command, fault):
            self.unsupported = self.unsupported or unsupported
        elif command.recipient is not None and fault.code != _BAD_SEQUENCE:
            return replace(fault, kind=Kind.MESSAGE, problem=Problem.RECIPIENT_REFUSED)
        return fault

    def _likely_unsupported(self, command: Command, fault: Fault) -> frozenset[str]:
        """Return the extensions to stop using after a command was not understood.

        An extension of the command itself is likelier than pipelining, unless the server complains
        about a bad sequence of commands.
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
        """Return whether a recipient needs another transaction."""
        too_many = fault.problem is Problem.RECIPIENT_LIMIT
        return too_many or (bool(self.unsupported) and is_about_command(fault))


def _accepts(command: Command, reply: Reply) -> bool:
    """Return whether a reply accepts a command."""
    if reply.code in _UNRELATED_CODES:
        return False
    return reply.code // 100 == (3 if command.line == b"DATA" else 2)


def _as_recipient_fault(fault: Fault) -> Fault:
    """Return a refusal as that recipient's own, because the server accepted others."""
    if fault.kind not in (Kind.CREDENTIALS, Kind.SETUP):
        return fault
    return replace(fault, kind=Kind.MESSAGE, problem=Problem.RECIPIENT_REFUSED)


def _assigned_message_id(reply: str) -> str | None:
    """Return the Message-ID in Microsoft's final reply, which replaces that of some messages."""
    match = _ASSIGNED_MESSAGE_ID.search(reply)
    return match.group() if match else None
