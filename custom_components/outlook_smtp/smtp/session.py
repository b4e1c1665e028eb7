"""One signed-in connection to a submission server, over which messages are submitted."""

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
from .account import Account
from .connection import Client, Watch, connect
from .pipeline import Pipeline
from .sasl import SignIn
from .transaction import Transaction

_LOGGER = logging.getLogger(__name__)

QUIT_TIMEOUT: Final = 2.0  # Seconds; the message is safe by then and nobody should wait longer.
MAX_AGE: Final = 480.0  # Seconds; Microsoft ends whole sessions after 10 to 20 minutes.

# What lets a message go out before the server has said that it wants it.
_PIPELINING: Final = frozenset({"chunking", "pipelining"})
_SIZE: Final = re.compile(r"[1-9][0-9]{0,19}")  # RFC 1870; 0 stands for no limit.


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

    def __init__(self, account: Account, client: Client, pipeline: Pipeline) -> None:
        """Take over from a client, on a line that is signed in; use `open` to get a session."""
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

        An identity that is refused on the fresh connection may have expired on the server's
        side, however the server puts it: it is renewed once and tried once more.

        Args:
            account: Whose session it is.
            watch: Is told of every stage.
            may_renew: Whether a refused identity may be renewed.

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
        """Return whether the connection is there, as far as anybody can know here."""
        return self._pipeline.is_synchronized

    @property
    def is_usable(self) -> bool:
        """Return whether a message may be handed in: not when the server is about to leave."""
        return self.is_open and asyncio.get_running_loop().time() < self._best_before

    @property
    def was_interrupted(self) -> bool:
        """Return whether it ended because somebody could not wait for a reply any longer."""
        return self._pipeline.was_interrupted

    def interrupt(self, *, interrupted: bool) -> None:
        """Break off the wait for a reply soon, if it takes long; or wait as long as it takes."""
        self._pipeline.interrupt(interrupted=interrupted)

    async def close(self) -> None:
        """Quit from the server where it still listens, then close the connection."""
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

        A recipient whom the server refuses does not keep the message from the others. A session
        that is out of sync afterwards is closed: no answer is ever taken for another's.

        Args:
            envelope: The addresses that the server is told.
            content: The whole message.
            lockstep: Whether to hear every answer before going on. What is lost with the line
                may have arrived when all was one round trip; in this way it is known.

        Raises:
            SubmissionError: If the sender or the content was refused for all, or the connection
                broke; `answer_lost` says that the message may have arrived all the same.
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
        """Return the extensions to make use of, with their parameters."""
        without = self._account.unsupported | (_PIPELINING if lockstep else set())
        offered = self.server_info.extensions
        if "enhancedstatuscodes" not in offered:
            # The yes to a content could not be told from one that was said twice before.
            without |= {"chunking"}
        return {name: offered[name] for name in offered.keys() - without}

    def _note_unsupported(self, unsupported: frozenset[str]) -> None:
        """Do without some extensions from now on.

        What went with them may still be taken for commands, one after the other: nothing more is
        said on this line.
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
    """Return a refused identity as the problem that it is with an account's credentials."""
    return account.credentials.name(fault) if fault.is_refused_identity else fault


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
