"""The AUTH exchange (RFC 4954), on an encrypted connection after EHLO."""

import base64
from collections.abc import Sequence
from typing import Final

import aiosmtplib

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .pipeline import Pipeline, Reply
from .replies import clean, decode, is_about_command, read_reply

# The response sent with the command; SMTP has no name for it, IMAP calls it this (RFC 4959).
INITIAL_RESPONSE: Final = "sasl-ir"

_ACCEPTED: Final = 235
_CHALLENGE: Final = 334


class SignIn:
    """An authentication over a connection; `mechanisms` are in the server's order of preference."""

    def __init__(
        self, pipeline: Pipeline, mechanisms: Sequence[str], timeout: float, unsupported: set[str]
    ) -> None:
        """Prepare to authenticate over a connection.

        Args:
            pipeline: The connection.
            mechanisms: The mechanisms that EHLO offered, in lower case.
            timeout: The longest wait for a reply, in seconds.
            unsupported: Extensions that this server is known not to accept; updated here.

        """
        self.mechanisms = tuple(mechanisms)
        self._pipeline = pipeline
        self._timeout = timeout
        self._unsupported = unsupported

    def hide(self, *secrets: str) -> None:
        """Redact these secrets from the server's texts, in whatever form it echoes them."""
        self._pipeline.protocol_log.hide(*(secret.encode() for secret in secrets))

    async def run(self, mechanism: str, *answers: bytes) -> None:
        """Authenticate with a mechanism.

        The initial response is sent with the command. If the server finds that line too long or
        does not know the form, the client waits for its challenge from then on.

        Args:
            mechanism: The name of the mechanism.
            answers: The responses, encoded.

        Raises:
            SubmissionError: If the server refuses it; no secret is quoted.
            OSError: If the connection breaks.

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
            if is_about_command(fault):  # The server does not know the mechanism.
                self._unsupported.discard(INITIAL_RESPONSE)
            raise SubmissionError(fault)

    async def _exchange(self, command: bytes, *answers: bytes) -> Fault | None:
        """Send a command, respond to its challenges, and return the refusal, if any."""
        reply = await self._send(command)
        for answer in answers:
            if reply.code != _CHALLENGE:
                break
            reply = await self._send(answer)
        if reply.code == _CHALLENGE:
            return await self._read_challenge(reply)
        return self._read(reply)

    async def _read_challenge(self, challenge: Reply) -> Fault | None:
        """End an exchange with a challenge that can only report a refusal.

        https://developers.google.com/workspace/gmail/imap/xoauth2-protocol#error_response
        """
        refused = self._fault(_CHALLENGE, _decoded(challenge.text))
        try:
            fault = self._read(await self._send(b""))
        except aiosmtplib.SMTPException, OSError:
            return refused
        is_vague = fault and (fault.kind is Kind.SETUP or fault.code == _CHALLENGE)
        return refused if is_vague else fault

    async def _send(self, line: bytes) -> Reply:
        """Send a line, and return the reply."""
        self._pipeline.send_commands(line)
        return await self._pipeline.reply(self._timeout)

    def _read(self, reply: Reply) -> Fault | None:
        """Return the refusal in a reply that ends an exchange, if it is one."""
        if reply.code == _ACCEPTED:
            return None
        return read_reply(Stage.AUTH, reply.code, reply.text)

    def _fault(self, code: int, text: str) -> Fault:
        """Return the fault of an identity refused without a final reply."""
        text = clean(self._pipeline.protocol_log.redacted(text))
        return Fault(Kind.CREDENTIALS, Problem.AUTH_REFUSED, code, text=text)


def _decoded(challenge: str) -> str:
    """Return the text of a challenge, as far as it is readable."""
    try:
        return decode(base64.b64decode(challenge, validate=True))
    except ValueError:
        return challenge
