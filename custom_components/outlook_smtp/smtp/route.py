"""The route over SMTP, which keeps a session open for a while for the next messages."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .probe import diagnose, probe
from .session import ServerInfo, Session
from .settings import Account

DEFAULT_SIZE_LIMIT: Final = 157_286_400  # Bytes; what Microsoft advertises.
IDLE_TIME: Final = 90.0  # Seconds; Microsoft hangs up after about 5 minutes.


class SmtpRoute:
    """Holds at most one session; submits messages one after another."""

    name: Final = "smtp"

    def __init__(self, account: Account, *, idle_time: float = IDLE_TIME) -> None:
        """Keep sessions of an account open for `idle_time` seconds after a message."""
        self.server_info: ServerInfo | None = None
        self._account = account
        self._idle_time = idle_time
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._busy: Session | None = None
        self._is_interrupted = False  # Also applies while connecting.
        self.was_interrupted = False

    @property
    def host(self) -> str:
        """Return the name of the submission server."""
        return self._account.server.host

    @property
    def port(self) -> int:
        """Return the port of the submission server."""
        return self._account.server.port

    @property
    def size_limit(self) -> int:
        """Return the largest message that the server accepts, in bytes."""
        return (self.server_info and self.server_info.size_limit) or DEFAULT_SIZE_LIMIT

    @property
    def usual_size_limit(self) -> int:
        """Return the same limit, which the server itself announces, in bytes."""
        return self.size_limit

    async def submit(
        self, envelope: Envelope, content: Content, *, may_have_arrived: bool = False
    ) -> Outcome:
        """Submit a message over the open session, or over a new one.

        A session that has died is replaced without an error. So is one whose credentials were
        refused, if they can be renewed, and one whose server rejects an extension that it offers.

        Args:
            envelope: The sender and the recipients.
            content: The complete message.
            may_have_arrived: Whether to submit in lockstep (see `Session.submit`).

        Raises:
            SubmissionError: As `Session.open` and `Session.submit` do.
            OSError: If the content cannot be read.

        """
        session = await self._take_usable()
        renewed, lockstep = False, may_have_arrived
        while True:
            kept = session is not None
            if session is None:
                session = await Session.open(self._account, may_renew=not renewed)
                self.server_info = session.server_info
                renewed = renewed or session.is_renewed
            try:
                return await self._submit(session, envelope, content, lockstep=lockstep)
            except SubmissionError as error:
                died = not (session.was_answered or session.is_open)
                if not renewed and await self._renew(error.fault):
                    renewed = True
                elif not (session.has_fallen_back or (kept and (died or _is_forgotten(error)))):
                    raise
                lost = error.fault.problem is Problem.ANSWER_LOST
                lockstep = lockstep or lost or (died and not session.has_fallen_back)
            await self.close()
            session = None

    def prepare(self) -> None:
        """Prepare for the next message by forgetting earlier interruptions."""
        self._is_interrupted = self.was_interrupted = False

    def interrupt(self) -> None:
        """Stop waiting for a slow reply soon, because other messages are urgent.

        The interrupted message may have arrived, as after any lost reply.
        """
        self._is_interrupted = True
        if self._busy:
            self._busy.interrupt(interrupted=True)

    async def _renew(self, fault: Fault) -> bool:
        """Renew the credentials if the server refused them; return whether that worked."""
        if not (fault.is_refused_identity or fault.problem is Problem.NOT_AUTHENTICATED):
            return False
        return await self._account.credentials.renew()

    async def _take_usable(self) -> Session | None:
        """Return the kept session, if it can take a message."""
        session = self._take()
        if session and session.is_usable:
            return session
        if session:
            await session.close()
        await self._be_alone()
        return None

    async def check(self, on_stage: Callable[[Stage], None] | None = None) -> dict[Stage, float]:
        """Check the account over a new connection, the only one at that moment.

        Args:
            on_stage: Called with each stage as it begins.

        Raises:
            SubmissionError: With the fault of the stage that failed.

        """
        await self.close()
        report = await probe(self._account, on_stage)
        self.server_info = report.server_info
        return report.timings

    async def diagnose(self, fault: Fault) -> Fault:
        """Return what a fault really means: the wrong port, security or server."""
        return await diagnose(fault, self._account.server, self._account.tls_context)

    def describe(self) -> dict[str, Any] | None:
        """Return the server's extensions, limit, TLS version and certificate."""
        if self.server_info is None:
            return None
        certificate: dict[str, Any] = self.server_info.certificate
        return {
            "extensions": self.server_info.extensions,
            "size_limit": self.server_info.size_limit,
            "tls_version": self.server_info.tls_version,
            "certificate": {
                "not_before": certificate.get("notBefore"),
                "not_after": certificate.get("notAfter"),
                "issuer": {
                    name: value for part in certificate.get("issuer", ()) for name, value in part
                },
            },
        }

    async def close(self) -> None:
        """Close the session, if there is one."""
        if session := self._take():
            await session.close()
        await self._be_alone()

    async def _be_alone(self) -> None:
        """Wait until the idle session is closed: an account has only one connection at a time."""
        if self._leaving:
            await asyncio.wait((self._leaving,))

    async def _submit(
        self, session: Session, envelope: Envelope, content: Content, *, lockstep: bool
    ) -> Outcome:
        """Submit a message over a session, and keep the session if it is still open."""
        self._busy = session
        session.interrupt(interrupted=self._is_interrupted)
        try:
            return await session.submit(envelope, content, lockstep=lockstep)
        finally:
            self._busy = None
            self.was_interrupted = session.was_interrupted
            if session.is_open:
                self._keep(session)

    def _take(self) -> Session | None:
        """Return the kept session and give up ownership of it."""
        if self._timer:
            self._timer.cancel()
        session, self._session, self._timer = self._session, None, None
        return session

    def _keep(self, session: Session) -> None:
        """Keep a session until it has been idle for too long."""
        self._session = session
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._idle_time, self._leave, session)

    def _leave(self, session: Session) -> None:
        """Close the idle session."""
        self._take()
        self._leaving = asyncio.create_task(session.close(), name="outlook_smtp leave")
        self._leaving.add_done_callback(self._forget_leaving)

    def _forget_leaving(self, _: asyncio.Task[None]) -> None:
        """Note that the idle session is closed."""
        self._leaving = None


def _is_forgotten(error: SubmissionError) -> bool:
    """Return whether the server has forgotten that the session is authenticated."""
    return error.fault.problem is Problem.NOT_AUTHENTICATED
