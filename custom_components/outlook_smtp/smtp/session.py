"""One signed-in connection to a submission server, over which messages are submitted."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import re
import ssl
from typing import Final, Self

import aiosmtplib

from .account import Account
from .connection import Client, Watch, connect
from .errors import faults_of, read_error
from .faults import Fault, Kind, Problem, Stage, SubmissionError
from .replies import clean

QUIT_TIMEOUT: Final = 2.0  # Seconds; the message is safe by then and nobody should wait longer.
SLOWEST_UPLOAD: Final = 64 * 1024  # Bytes a second that a content is given time for.

_SIZE: Final = re.compile(r"[1-9][0-9]{0,19}")  # RFC 1870; 0 stands for no limit.
_GIVEN_MESSAGE_ID: Final = re.compile(r"<[^<>\s]+@[^<>\s]+>")


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

    `reply` is the server's last answer, cleaned, and `message_id` the one it gave, if any.
    """

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    reply: str = ""
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server said of itself: EHLO extensions, TLS version and certificate.

    `size_limit` is the largest message it takes, in bytes, or None where it does not say.
    """

    extensions: dict[str, str]
    size_limit: int | None
    tls_version: str
    certificate: dict[str, object]


class Session:
    """An encrypted, signed-in connection of one account."""

    def __init__(self, account: Account, client: Client) -> None:
        """Wrap a client that is signed in; use `open` to get one."""
        self._account = account
        self._client = client
        self._unfinished = False
        self.server_info = _server_info(client)

    @classmethod
    async def open(cls, account: Account, watch: Watch | None = None) -> Self:
        """Connect, encrypt, verify and sign in.

        An identity that is refused on the fresh connection may have expired on the server's
        side: it is renewed once and tried once more.

        Args:
            account: Whose session it is.
            watch: Is told of every stage.

        Raises:
            SubmissionError: With the fault of the stage that failed; nothing is left open.

        """
        watch = watch or Watch()
        try:
            return await cls._open(account, watch)
        except SubmissionError as error:
            if error.fault.problem is not Problem.IDENTITY_REFUSED:
                raise
            if not await account.credentials.renew():
                raise
        return await cls._open(account, watch)

    @classmethod
    async def _open(cls, account: Account, watch: Watch) -> Self:
        """Connect, encrypt, verify and sign in, once."""
        client = await connect(account.server, account.tls_context, account.timeout, watch)
        try:
            with watch.stage(Stage.AUTH):
                await account.credentials.authenticate(client)
                return cls(account, client)
        except BaseException:
            client.close()
            raise

    async def __aenter__(self) -> Self:
        """Return the session."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self.close()

    async def close(self) -> None:
        """Take leave of the server where it still listens, then close the connection."""
        try:
            with suppress(aiosmtplib.SMTPException, OSError):
                await self._client.quit(timeout=QUIT_TIMEOUT)
        finally:
            self._client.close()

    async def submit(self, envelope: Envelope, content: bytes) -> Outcome:
        """Submit one message, in more than one transaction where the server asks for it.

        A recipient whom the server refuses does not keep the message from the others.

        Args:
            envelope: The addresses that the server is told.
            content: The whole message as RFC 5322 wants it, with CRLF line ends.

        Raises:
            SubmissionError: If the sender or the content was refused for all, or the connection
                broke; `answer_lost` says that the message may have arrived all the same.

        """
        if envelope.utf8 and "smtputf8" not in self.server_info.extensions:
            raise SubmissionError(Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED))
        outcome = Outcome((), ())
        waiting: Sequence[str] = envelope.recipients
        try:
            while waiting:
                waiting, outcome = await self._transaction(envelope, waiting, content, outcome)
        except asyncio.CancelledError:
            # The answer under way would be taken for the answer to the next command.
            self._client.close()
            raise
        return outcome

    async def _transaction(
        self, envelope: Envelope, recipients: Sequence[str], content: bytes, so_far: Outcome
    ) -> tuple[Sequence[str], Outcome]:
        """Run one transaction; return who is left for another one, and the outcome up to here."""
        refused: tuple[Refusal, ...] = ()
        try:
            await self._mail(envelope, len(content))
            taken, refused, left = await self._rcpt(envelope, recipients)
            if not taken:
                return (), replace(so_far, refused=so_far.refused + refused)
            reply = await self._data(content)
        except SubmissionError as error:
            if not so_far.accepted:
                raise
            known = {refusal.recipient for refusal in refused}
            missed = tuple(Refusal(name, error.fault) for name in recipients if name not in known)
            return (), replace(so_far, refused=so_far.refused + refused + missed)
        return left, Outcome(
            so_far.accepted + taken,
            so_far.refused + refused,
            clean(reply.message),
            _given_message_id(reply.message),
        )

    async def _mail(self, envelope: Envelope, size: int) -> None:
        """Open a transaction, telling the size (RFC 1870) so that a refusal comes early."""
        options = []
        if "size" in self.server_info.extensions:
            options.append(f"SIZE={size}")
        if envelope.utf8:
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        with faults_of(Stage.MAIL):
            if self._unfinished:
                await self._client.rset()
            self._unfinished = True
            await self._client.mail(envelope.sender, options=options, encoding=_encoding(envelope))

    async def _rcpt(
        self, envelope: Envelope, recipients: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[Refusal, ...], Sequence[str]]:
        """Name the recipients; return those taken, refused, and left for another transaction."""
        taken: list[str] = []
        refused: list[Refusal] = []
        for position, recipient in enumerate(recipients):
            try:
                with faults_of(Stage.RCPT):
                    await self._client.rcpt(recipient, encoding=_encoding(envelope))
            except SubmissionError as error:
                if not self._client.is_connected or (
                    # It is the account that is refused, whoever the recipient.
                    error.fault.kind in (Kind.ACCOUNT, Kind.QUOTA) and not taken
                ):
                    raise
                if error.fault.problem is Problem.RECIPIENT_LIMIT and taken:
                    return tuple(taken), tuple(refused), recipients[position:]
                refused.append(Refusal(recipient, error.fault))
            else:
                taken.append(recipient)
        return tuple(taken), tuple(refused), ()

    async def _data(self, content: bytes) -> aiosmtplib.SMTPResponse:
        """Transfer the content; a lost answer is a fault of its own, for it may have arrived."""
        try:
            reply = await self._client.data(
                content, timeout=self._account.timeout + len(content) / SLOWEST_UPLOAD
            )
        except aiosmtplib.SMTPDataError as error:
            raise SubmissionError(read_error(Stage.DATA, error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            self._client.close()
            text = read_error(Stage.DATA, error).text
            raise SubmissionError(Fault(Kind.TRANSIENT, Problem.ANSWER_LOST, text=text)) from error
        self._unfinished = False
        return reply


def _encoding(envelope: Envelope) -> str:
    """Return how the addresses of an envelope go over the line."""
    return "utf-8" if envelope.utf8 else "ascii"


def _given_message_id(reply: str) -> str | None:
    """Return the Message-ID that Microsoft's final reply names: it gives a new one to some."""
    match = _GIVEN_MESSAGE_ID.search(reply)
    return match.group() if match else None


def _server_info(client: Client) -> ServerInfo:
    """Read what a connection tells of its server."""
    extensions = dict(client.esmtp_extensions)
    size = extensions.get("size", "")
    tls = client.get_transport_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)  # noqa: S101 - No code path leads here in clear text.
    return ServerInfo(
        extensions=extensions,
        size_limit=int(size) if _SIZE.fullmatch(size) else None,
        tls_version=tls.version() or "",
        certificate=dict(tls.getpeercert() or {}),
    )
