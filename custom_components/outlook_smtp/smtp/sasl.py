"""The AUTH exchange (RFC 4954), on a line that is encrypted and whose server was greeted."""

import base64
from collections.abc import Sequence
from typing import Final

import aiosmtplib

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .pipeline import Pipeline, Reply
from .replies import clean, decode, is_about_command, read_reply

# The answer that goes with the command; SMTP has no word for it, IMAP calls it so (RFC 4959).
INITIAL_RESPONSE: Final = "sasl-ir"

_ACCEPTED: Final = 235
_CHALLENGE: Final = 334


class SignIn:
    """What credentials sign a line in with; `mechanisms` are offered, the preferred one first."""

    def __init__(
        self, pipeline: Pipeline, mechanisms: Sequence[str], timeout: float, unsupported: set[str]
    ) -> None:
        """Sign in over a line.

        Args:
            pipeline: The line.
            mechanisms: What EHLO has offered, in lower case.
            timeout: The longest wait for an answer, in seconds.
            unsupported: What this server is known not to take; what is found out is added.

        """
        self.mechanisms = tuple(mechanisms)
        self._pipeline = pipeline
        self._timeout = timeout
        self._unsupported = unsupported

    def hide(self, *secrets: str) -> None:
        """Show no text of the server with these secrets, in whatever form it repeats them."""
        self._pipeline.protocol_log.hide(*(secret.encode() for secret in secrets))

    async def run(self, mechanism: str, *answers: bytes) -> None:
        """Sign in with a mechanism.

        The first answer goes with the command, which may be too long a line for the server, or
        nothing that it knows: then it waits to be asked for it, from now on.

        Args:
            mechanism: The name of the mechanism.
            answers: What to answer, encoded.

        Raises:
            SubmissionError: If the server refuses it; no secret is quoted.
            OSError: If the line breaks.

        """
        self._pipeline.protocol_log.hide(*answers)
        command = b"AUTH " + mechanism.upper().encode()
        if INITIAL_RESPONSE not in self._unsupported:
            fault = await self._exchange(b" ".join((command, answers[0])), *answers[1:])
            if fault is None:
                return
            if not is_about_command(fault):
                raise SubmissionError(fault)
            self._unsupported.add(INITIAL_RESPONSE)
        if fault := await self._exchange(command, *answers):
            if is_about_command(fault):  # It is the mechanism that the server does not know.
                self._unsupported.discard(INITIAL_RESPONSE)
            raise SubmissionError(fault)

    async def _exchange(self, command: bytes, *answers: bytes) -> Fault | None:
        """Say a command and answer what is asked, and return why that is refused."""
        reply = await self._ask(command)
        for answer in answers:
            if reply.code != _CHALLENGE:
                break
            reply = await self._ask(answer)
        if reply.code == _CHALLENGE:
            return await self._read_challenge(reply)
        return self._read(reply)

    async def _read_challenge(self, challenge: Reply) -> Fault | None:
        """End an exchange in which the server has nothing to ask: it tells that it refuses.

        https://developers.google.com/workspace/gmail/imap/xoauth2-protocol#error_response
        """
        refused = self._fault(_CHALLENGE, _decoded(challenge.text))
        try:
            fault = self._read(await self._ask(b""))
        except aiosmtplib.SMTPException, OSError:
            return refused
        is_vague = fault and (fault.kind is Kind.SETUP or fault.code == _CHALLENGE)
        return refused if is_vague else fault

    async def _ask(self, line: bytes) -> Reply:
        """Say a line, and return the answer."""
        self._pipeline.send_commands(line)
        return await self._pipeline.reply(self._timeout)

    def _read(self, reply: Reply) -> Fault | None:
        """Return what a reply that ends an exchange refuses, if it does."""
        if reply.code == _ACCEPTED:
            return None
        return read_reply(Stage.AUTH, reply.code, reply.text)

    def _fault(self, code: int, text: str) -> Fault:
        """Return the fault of an identity that is refused without a final word."""
        text = clean(self._pipeline.protocol_log.without_secrets(text))
        return Fault(Kind.CREDENTIALS, Problem.AUTH_REFUSED, code, text=text)


def _decoded(challenge: str) -> str:
    """Return what a challenge says, as far as it can be read."""
    try:
        return decode(base64.b64decode(challenge, validate=True))
    except ValueError:
        return challenge
