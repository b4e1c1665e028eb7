"""One authenticated connection to a submission server, over which messages are submitted."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import logging
import re
import ssl
from typing import Final, Self

import aiosmtplib

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from .answers import Answers
from .connection import Client, StageTimer, connect
from .pipeline import Pipeline
from .sasl import SignIn
from .settings import Account

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
    """An encrypted, authenticated connection of one account, which closes itself when idle."""

    def __init__(self, account: Account, server_info: ServerInfo, pipeline: Pipeline) -> None:
        """Take over an authenticated connection; use `open` to get a session."""
        self.account = account
        self.server_info = server_info
        self.pipeline = pipeline
        self.is_renewed = False
        self.needs_reset = False  # Whether a transaction is unfinished.
        self._expires_at = asyncio.get_running_loop().time() + MAX_AGE
        self._closing = asyncio.Lock()
        self._idle_close: asyncio.Task[None] | None = None  # The loop holds no reference to it.
        self._idle_timer: asyncio.TimerHandle | None = None
        self._start_idle_timer()

    @classmethod
    async def open(
        cls, account: Account, timer: StageTimer | None = None, *, may_renew: bool = True
    ) -> Self:
        """Connect, encrypt, verify and sign in.

        Credentials that are refused on a new connection may have expired on the server,
        whatever its reply: they are renewed and tried once more.

        Args:
            account: The account to sign in with.
            timer: Receives every stage.
            may_renew: Whether refused credentials may be renewed.

        Raises:
            SubmissionError: With the fault of the stage that failed; nothing is left open.

        """
        timer = timer or StageTimer()
        try:
            return await cls._open(account, timer)
        except SubmissionError as error:
            fault = _name(account, error.fault)
            renew = may_renew and fault.is_refused_identity
            if not (renew and await account.credentials.renew()):
                raise SubmissionError(fault) from error.__cause__
        session = await cls.open(account, timer, may_renew=False)
        session.is_renewed = True
        return session

    @classmethod
    async def _open(cls, account: Account, timer: StageTimer) -> Self:
        """Connect, encrypt, verify and sign in, once."""
        account.secrets.add(*account.credentials.secrets)
        client = await connect(
            account.server, account.tls_context, account.timeout, timer, account.secrets
        )
        try:
            with timer.stage(Stage.AUTH):
                pipeline = Pipeline.take_over(client)
                mechanisms = client.server_auth_methods
                await account.credentials.authenticate(
                    SignIn(pipeline, mechanisms, account.timeout, account.unsupported)
                )
                pipeline.check()
                return cls(account, _server_info(client), pipeline)
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
        """Return whether the connection is open and idle, as far as this side knows."""
        return self.pipeline.is_synchronized

    @property
    def is_usable(self) -> bool:
        """Return whether the session can take a message: not if either side may close it soon."""
        is_fresh = asyncio.get_running_loop().time() < self._expires_at
        return self.is_open and self._idle_timer is not None and is_fresh

    async def close(self) -> None:
        """Send QUIT if the connection still works, then close it."""
        self._stop_idle_timer()
        async with self._closing:
            try:
                if self.is_open:
                    with suppress(aiosmtplib.SMTPException, OSError):
                        self.pipeline.send_commands(b"QUIT")
                        await self.pipeline.reply(QUIT_TIMEOUT)
            finally:
                self.pipeline.close()

    def extensions(self, *, lockstep: bool) -> dict[str, str]:
        """Return the extensions to use for a message, with their parameters."""
        without = self.account.unsupported | (_PIPELINING if lockstep else set())
        offered = self.server_info.extensions
        if "enhancedstatuscodes" not in offered:
            # Without them, a positive reply to the content looks like a repeated earlier one.
            without |= {"chunking"}
        return {name: offered[name] for name in offered.keys() - without}

    @contextmanager
    def in_use(self, answers: Answers) -> Iterator[None]:
        """Use the session for one transaction, and raise faults inside as those of a submission.

        A session that is no longer synchronized is closed afterwards, so that no reply is ever
        matched to the wrong command.
        """
        if not self.is_open:
            raise SubmissionError(Fault(Kind.TRANSIENT, Problem.CONNECTION_LOST), submitting=True)
        self._stop_idle_timer()
        try:
            yield
        except SubmissionError as error:
            fault = _name(self.account, error.fault)
            raise SubmissionError(fault, submitting=True) from error.__cause__
        finally:
            self._note_unsupported(answers.unsupported)
            self.pipeline.close_unless_synchronized()
            if self.is_open:
                self._start_idle_timer()

    def _note_unsupported(self, unsupported: frozenset[str]) -> None:
        """Stop using some extensions from now on.

        The server may still read what was sent with them as commands, so nothing more is sent over
        this connection.
        """
        if unsupported:
            names = ", ".join(sorted(unsupported)).upper()
            _LOGGER.info(
                "%s offers %s but does not accept it, so it is no longer used",
                self.account.server.host,
                names,
            )
            self.account.unsupported.update(unsupported)
            self.pipeline.close()

    def _start_idle_timer(self) -> None:
        """Close the session once it has been idle for too long."""
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(self.account.idle_time, self._close_idle)

    def _stop_idle_timer(self) -> None:
        """Let the session be used or closed."""
        if self._idle_timer:
            self._idle_timer.cancel()
        self._idle_timer = None

    def _close_idle(self) -> None:
        """Close the idle session."""
        self._idle_timer = None
        self._idle_close = asyncio.create_task(self.close(), name="outlook_smtp idle close")


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
