"""One authenticated connection to a submission server, over which messages are submitted."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
import logging
import re
import ssl
from typing import Final, Self

import aiosmtplib

from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .connection import Client, Watch, connect
from .pipeline import Pipeline
from .sasl import SignIn
from .settings import Account
from .transaction import Transaction

_LOGGER = logging.getLogger(__name__)

QUIT_TIMEOUT: Final = 2.0  # Seconds; the message is settled by then.
MAX_AGE: Final = 480.0  # Seconds; Microsoft ends whole sessions after 10 to 20 minutes.

# Extensions that send a message before the server has agreed to accept it.
_PIPELINING: Final = frozenset({"chunking", "pipelining"})
_SIZE: Final = re.compile(r"[1-9][0-9]{0,19}")  # RFC 1870; 0 means no limit.


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says about itself: EHLO extensions, TLS version and certificate.

    `size_limit` is the largest message it accepts, in bytes, or None if it does not say.
    """

    extensions: dict[str, str]
    size_limit: int | None
    tls_version: str
    certificate: dict[str, object]


class Session:
    """An encrypted, authenticated connection of one account."""

    def __init__(self, account: Account, client: Client, pipeline: Pipeline) -> None:
        """Take over an authenticated connection from a client; use `open` to get a session."""
        self._account = account
        self.server_info = _server_info(client)
        self._pipeline = pipeline
        self._best_before = asyncio.get_running_loop().time() + MAX_AGE
        self._unfinished = False
        self.was_answered = True
        self.is_renewed = False
        self.has_fallen_back = False

    @classmethod
    async def open(
        cls, account: Account, watch: Watch | None = None, *, may_renew: bool = True
    ) -> Self:
        """Connect, encrypt, verify and sign in.

        Credentials that are refused on a new connection may have expired on the server,
        whatever its reply: they are renewed and tried once more.

        Args:
            account: The account to sign in with.
            watch: Receives every stage.
            may_renew: Whether refused credentials may be renewed.

        Raises:
            SubmissionError: With the fault of the stage that failed; nothing is left open.

        """
        watch = watch or Watch()
        try:
            return await cls._open(account, watch)
        except SubmissionError as error:
            fault = _name(account, error.fault)
            renew = may_renew and fault.is_refused_identity
            if not (renew and await account.credentials.renew()):
                raise SubmissionError(fault) from error.__cause__
        session = await cls.open(account, watch, may_renew=False)
        session.is_renewed = True
        return session

    @classmethod
    async def _open(cls, account: Account, watch: Watch) -> Self:
        """Connect, encrypt, verify and sign in, once."""
        account.secrets.add(*account.credentials.secrets)
        client = await connect(
            account.server, account.tls_context, account.timeout, watch, account.secrets
        )
        try:
            with watch.stage(Stage.AUTH):
                pipeline = Pipeline.take_over(client)
                mechanisms = client.server_auth_methods
                await account.credentials.authenticate(
                    SignIn(pipeline, mechanisms, account.timeout, account.unsupported)
                )
                pipeline.check()
                return cls(account, client, pipeline)
        except BaseException:
            client.close()
            raise

    async def __aenter__(self) -> Self:
        """Return the session."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self.close()

    @property
    def is_open(self) -> bool:
        """Return whether the connection is open, as far as this side knows."""
        return self._pipeline.is_synchronized

    @property
    def is_usable(self) -> bool:
        """Return whether the session can take a message: not if the server may close it soon."""
        return self.is_open and asyncio.get_running_loop().time() < self._best_before

    @property
    def was_interrupted(self) -> bool:
        """Return whether the session ended because of `interrupt`."""
        return self._pipeline.was_interrupted

    def interrupt(self, *, interrupted: bool) -> None:
        """Stop waiting for a slow reply soon, or go back to the normal timeouts."""
        self._pipeline.interrupt(interrupted=interrupted)

    async def close(self) -> None:
        """Send QUIT if the connection still works, then close it."""
        try:
            if self._pipeline.is_synchronized:
                with suppress(aiosmtplib.SMTPException, OSError):
                    self._pipeline.send_commands(b"QUIT")
                    await self._pipeline.reply(QUIT_TIMEOUT)
        finally:
            self._pipeline.close()

    async def submit(
        self, envelope: Envelope, content: Content, *, lockstep: bool = False
    ) -> Outcome:
        """Submit one message in one transaction.

        A refused recipient does not prevent delivery to the others. A session that is no longer
        synchronized is closed, so that no reply is ever matched to the wrong command.

        Args:
            envelope: The sender and the recipients.
            content: The complete message.
            lockstep: Whether to wait for every reply before the next command. If a connection is
                lost during a single round trip, the message may have arrived; this avoids it.

        Raises:
            SubmissionError: If the sender or the content was refused for all, or the connection
                was lost; `answer_lost` says that the message may have arrived anyway.
            OSError: If the content cannot be read.

        """
        extensions = self._extensions(lockstep=lockstep)
        if envelope.utf8 and "smtputf8" not in extensions:
            fault = Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
            raise SubmissionError(fault, submitting=True)
        if not self._pipeline.is_synchronized:
            self.was_answered = False
            raise SubmissionError(Fault(Kind.TRANSIENT, Problem.CONNECTION_LOST), submitting=True)
        self._pipeline.protocol_log.hide_addresses(envelope.hidden)
        transaction = Transaction(self._pipeline, self._account, extensions, envelope, content)
        try:
            return await transaction.run(reset=self._unfinished)
        except SubmissionError as error:
            fault = _name(self._account, error.fault)
            raise SubmissionError(fault, submitting=True) from error.__cause__
        finally:
            self.was_answered = transaction.is_answered
            self._unfinished = not transaction.is_complete
            self._note_unsupported(transaction.unsupported)
            self._pipeline.close_unless_synchronized()

    def _extensions(self, *, lockstep: bool) -> dict[str, str]:
        """Return the extensions to use, with their parameters."""
        without = self._account.unsupported | (_PIPELINING if lockstep else set())
        offered = self.server_info.extensions
        if "enhancedstatuscodes" not in offered:
            # Without them, a positive reply to the content looks like a repeated earlier one.
            without |= {"chunking"}
        return {name: offered[name] for name in offered.keys() - without}

    def _note_unsupported(self, unsupported: frozenset[str]) -> None:
        """Stop using some extensions from now on.

        The server may still read what was sent with them as commands, so nothing more is sent over
        this connection.
        """
        if unsupported:
            names = ", ".join(sorted(unsupported)).upper()
            _LOGGER.info(
                "%s offers %s but does not accept it, so it is no longer used",
                self._account.server.host,
                names,
            )
            self._account.unsupported.update(unsupported)
            self.has_fallen_back = True
            self._pipeline.close()


def _name(account: Account, fault: Fault) -> Fault:
    """Return a fault, with refused credentials named as the account's credentials name them."""
    return account.credentials.name(fault) if fault.is_refused_identity else fault


def _server_info(client: Client) -> ServerInfo:
    """Return what a connection says about its server."""
    extensions = dict(client.esmtp_extensions)
    size = extensions.get("size", "")
    tls = client.get_transport_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)  # noqa: S101 - No code path gets here without TLS.
    return ServerInfo(
        extensions=extensions,
        size_limit=int(size) if _SIZE.fullmatch(size) else None,
        tls_version=tls.version() or "",
        certificate=dict(tls.getpeercert() or {}),
    )
