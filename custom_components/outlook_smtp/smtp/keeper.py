"""Keeps the session of an account open for a while, for the messages that follow."""

import asyncio
from typing import Final

from .account import Account
from .content import Content
from .faults import SubmissionError
from .session import ServerInfo, Session
from .submission import Envelope, Outcome

IDLE_TIME: Final = 90.0  # Seconds; Microsoft hangs up after about 5 minutes.


class SessionKeeper:
    """Holds one session at most; messages are submitted one after the other."""

    def __init__(self, account: Account, *, idle_time: float = IDLE_TIME) -> None:
        """Keep sessions of an account open for so many seconds after a message."""
        self.server_info: ServerInfo | None = None
        self._account = account
        self._idle_time = idle_time
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def submit(
        self, envelope: Envelope, content: Content, *, careful: bool = False
    ) -> Outcome:
        """Submit a message over the session that is open, or over a new one.

        A session that has died in the meantime is replaced, and nobody hears of it.

        Args:
            envelope: The addresses that the server is told.
            content: The whole message.
            careful: Whether the message may have arrived already, as `Session.submit` tells.

        Raises:
            SubmissionError: As `Session.open` and `Session.submit` do.
            OSError: If the content cannot be read.

        """
        session = self._take()
        if session and session.is_usable:
            try:
                return await self._submit(session, envelope, content, careful=careful)
            except SubmissionError:
                if session.was_answered or session.is_open:
                    raise
                careful = True
        elif session:
            await session.close()
        session = await Session.open(self._account)
        self.server_info = session.server_info
        return await self._submit(session, envelope, content, careful=careful)

    async def close(self) -> None:
        """Take leave of the server, if there is a session."""
        if session := self._take():
            await session.close()
        if self._leaving:
            await asyncio.wait((self._leaving,))

    async def _submit(
        self, session: Session, envelope: Envelope, content: Content, *, careful: bool
    ) -> Outcome:
        """Submit a message over a session, and keep that if it is still good."""
        try:
            return await session.submit(envelope, content, careful=careful)
        finally:
            if session.is_open:
                self._keep(session)

    def _take(self) -> Session | None:
        """Return the session that was kept, for the one who asks alone."""
        if self._timer:
            self._timer.cancel()
        session, self._session, self._timer = self._session, None, None
        return session

    def _keep(self, session: Session) -> None:
        """Keep a session until it was idle for too long."""
        self._session = session
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._idle_time, self._leave, session)

    def _leave(self, session: Session) -> None:
        """Take leave after a time of silence."""
        self._take()
        self._leaving = asyncio.create_task(session.close(), name="outlook_smtp leave")
        self._leaving.add_done_callback(self._forget_leaving)

    def _forget_leaving(self, _: asyncio.Task[None]) -> None:
        """Note that leave was taken."""
        self._leaving = None
