"""One request: its progress, and the timeout of each step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
import ssl
from typing import Final

import aiohttp

from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.route import URGENT_PATIENCE
from ..delivery.secrets import Secrets
from .answers import MAX_ANSWER, Answer, read_answer
from .body import Body
from .errors import masked_text, read_error

_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None)  # Each step has its own limit.


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts, in seconds.

    `timeout` limits connecting, and reading the rest of a response that has begun;
    `content_timeout` limits sending half a megabyte of content, which a slow connection delays;
    `final_timeout` limits the wait for the response to a message. It is long, because without a
    response the message is sent again and may arrive twice.
    """

    timeout: float
    content_timeout: float = 180.0
    final_timeout: float = 600.0


class Request:
    """One request; `sends` says whether it can send a message."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        tls_context: ssl.SSLContext,
        timeouts: Timeouts,
        secrets: Secrets,
        *,
        sends: bool = True,
    ) -> None:
        """Prepare a request with its own TLS context, which replaces the HTTP session's."""
        self._http = http
        self._tls_context = tls_context
        self._timeouts = timeouts
        self._secrets = secrets
        self._sends = sends
        self._limit = asyncio.timeout(None)
        self._unreadable: OSError | None = None
        self._started = self._begun = self._complete = self._answered = 0.0
        self._is_interrupted = False
        self.was_interrupted = False

    @property
    def timings(self) -> dict[Stage, float]:
        """Return how long it took to connect and to get a response, in seconds."""
        return {
            Stage.CONNECT: self._begun - self._started,
            Stage.AUTH: self._answered - self._begun,
        }

    async def post(self, url: str, token: str, body: Body) -> Answer:
        """Post a body and return the response, whatever its status.

        Args:
            url: The URL to post to; redirects are not followed.
            token: The access token.
            body: The body to post.

        Raises:
            SubmissionError: If there is no response.
            OSError: If the content cannot be read.

        """
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "text/plain",
            "Content-Length": str(body.length),
        }
        self._started = asyncio.get_running_loop().time()
        self._limit = asyncio.timeout(self._timeouts.timeout)
        try:
            async with (
                self._limit,
                self._http.post(
                    url,
                    data=self._sent(body),
                    headers=headers,
                    ssl=self._tls_context,
                    timeout=_NO_LIMIT,
                    allow_redirects=False,
                ) as response,
            ):
                return await self._read(response)
        except (aiohttp.ClientError, OSError) as error:
            failure = self._failure(error)
        # Raised out here so that `error`, which may contain what was sent, is not its context.
        raise failure

    @property
    def _final_timeout(self) -> float:
        """Return how long the answer may take; only that to a message is worth a long wait."""
        return self._timeouts.final_timeout if self._sends else self._timeouts.timeout

    def interrupt(self) -> None:
        """Wait at most `URGENT_PATIENCE` for the response, once everything is sent."""
        self._is_interrupted = True
        end = self._complete + URGENT_PATIENCE
        if self._complete and end < (self._limit.when() or 0.0):
            self._limit.reschedule(end)

    async def _sent(self, body: Body) -> AsyncIterator[bytes]:
        """Yield the content as it is sent, and track the progress."""
        loop = asyncio.get_running_loop()
        self._begun, sent = loop.time(), 0
        try:
            async for piece in body.pieces:
                sent += len(piece)
                if sent == body.length:  # From here on it may have arrived.
                    self._complete = loop.time()
                    final = self._final_timeout
                    self._expect(min(final, URGENT_PATIENCE) if self._is_interrupted else final)
                else:
                    self._expect(self._timeouts.content_timeout)
                yield piece
        except OSError as error:
            self._unreadable = error
            raise

    def _expect(self, seconds: float | None) -> None:
        """Set the time limit of the next step."""
        end = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with suppress(RuntimeError):  # The request has ended.
            self._limit.reschedule(end)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        """Read a response; if it breaks off, use what has arrived."""
        self._answered = asyncio.get_running_loop().time()
        self._expect(None)
        body = bytearray()
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(self._timeouts.timeout):
                while len(body) < MAX_ANSWER and (
                    piece := await response.content.read(MAX_ANSWER - len(body))
                ):
                    body += piece
        return read_answer(response.status, response.headers, bytes(body), self._secrets)

    def _failure(self, error: Exception) -> Exception:
        """Return the exception to raise if there is no response."""
        if self._unreadable:
            return self._unreadable
        cut_short = self._is_interrupted and self._final_timeout > URGENT_PATIENCE
        self.was_interrupted = cut_short and self._complete > 0 and isinstance(error, TimeoutError)
        text = masked_text(error, self._secrets)
        if self._complete and self._sends:
            fault = Fault(Kind.TRANSIENT, Problem.ANSWER_LOST, detail=text)
        else:
            fault = read_error(error)
            fault = replace(fault, detail=fault.detail or text)
        return SubmissionError(fault, submitting=self._sends and self._begun > 0)
