"""The route over SMTP: one session at a time, for one message after another."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from .probe import diagnose, probe
from .session import ServerInfo, Session
from .settings import Account
from .transaction import Transaction

DEFAULT_SIZE_LIMIT: Final = 157_286_400  # Bytes; what Microsoft advertises.


class SmtpRoute:
    """Holds at most one session; submits messages one after another.

    A session that has died is replaced without an error. So is one whose credentials were refused,
    if they can be renewed, and one whose server rejects an extension that it offers.
    """

    name: Final = "smtp"

    def __init__(self, account: Account) -> None:
        """Submit messages of an account."""
        self.server_info: ServerInfo | None = None
        self.was_interrupted = False
        self._account = account
        self._session: Session | None = None
        self._is_interrupted = False  # Also applies while connecting.

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

    def set_timeout(self, timeout: float) -> None:
        """Set the longest wait for one step from the next connection on, in seconds."""
        self._account = replace(self._account, timeout=timeout)

    async def open(self) -> None:
        """Open a session for the next message, unless one is open.

        Raises `SubmissionError` as `Session.open` does.
        """
        if not self._usable_session:
            await self._open_session(may_renew=True)

    async def submit(
        self,
        envelope: Envelope,
        content: Content,
        *,
        may_have_arrived: bool = False,
        on_begin: Callable[[], None] | None = None,
    ) -> Outcome:
        """Submit a message over the open session, or over a new one.

        Args:
            envelope: The sender and the recipients.
            content: The complete message.
            may_have_arrived: Whether to submit in lockstep (see `Transaction`).
            on_begin: Called when the account is signed in and the message follows.

        Raises:
            SubmissionError: As `Session.open` and `Transaction.run` do.
            OSError: If the content cannot be read.
        """
        renewed, lockstep = False, may_have_arrived
        while True:
            kept = self._usable_session
            session = kept or await self._open_session(may_renew=not renewed)
            renewed |= kept is None and session.is_renewed
            session.pipeline.interrupt(interrupted=self._is_interrupted)
            transaction = Transaction(session, envelope, content, lockstep=lockstep)
            if on_begin:
                on_begin()
            try:
                return await transaction.run()
            except SubmissionError as error:
                if not renewed and await self._renew(error.fault):
                    renewed = True
                elif not (transaction.unsupported or (kept and _is_stale(error, transaction))):
                    raise
                lockstep |= _may_have_arrived(error, transaction)
            finally:
                self.was_interrupted = session.pipeline.was_interrupted
            await self.close()

    def beside(self) -> SmtpRoute:
        """Return a route for a second session of the account."""
        return SmtpRoute(self._account)

    def prepare(self) -> None:
        """Prepare for the next message by forgetting earlier interruptions."""
        self._is_interrupted = self.was_interrupted = False

    def interrupt(self) -> None:
        """Stop waiting for a slow reply soon, because other messages are urgent.

        The interrupted message may have arrived, as after any lost reply.
        """
        self._is_interrupted = True
        if self._session:
            self._session.pipeline.interrupt()

    async def _renew(self, fault: Fault) -> bool:
        """Renew the credentials if the server refused them; return whether that worked."""
        if not (fault.is_refused_identity or fault.problem is Problem.NOT_AUTHENTICATED):
            return False
        return await self._account.credentials.renew()

    @property
    def _usable_session(self) -> Session | None:
        """Return the kept session, if it can take a message."""
        return self._session if self._session and self._session.is_usable else None

    async def _open_session(self, *, may_renew: bool) -> Session:
        """Open a session when none is left: a route has only one connection at a time."""
        await self.close()
        self._session = await Session.open(self._account, may_renew=may_renew)
        self.server_info = self._session.server_info
        return self._session

    async def check(self, on_stage: Callable[[Stage], None] | None = None) -> dict[Stage, float]:
        """Check the account over a new connection, the route's only one at that moment.

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
        """Close the session, if one is open."""
        if self._session:
            await self._session.close()


def _is_stale(error: SubmissionError, transaction: Transaction) -> bool:
    """Return whether a kept session failed because it had died, or was no longer signed in."""
    return transaction.has_died or error.fault.problem is Problem.NOT_AUTHENTICATED


def _may_have_arrived(error: SubmissionError, transaction: Transaction) -> bool:
    """Return whether the server may have accepted the message in spite of an error."""
    died = transaction.has_died and not transaction.unsupported
    return died or error.fault.problem is Problem.ANSWER_LOST
