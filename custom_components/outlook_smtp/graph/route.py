"""The Microsoft Graph route: one HTTP request per message."""

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import replace
import logging
import re
import ssl
from typing import Any, Final

import aiohttp
from yarl import URL

from ..delivery.access_tokens import AccessTokens
from ..delivery.content import Content
from ..delivery.envelope import Envelope
from ..delivery.faults import Fault, Kind, Problem, Stage, SubmissionError
from ..delivery.outcome import Outcome
from ..delivery.secrets import Secrets
from .answers import ACCEPTED, NOT_BASE64, SOFT_SIZE_LIMIT, Answer
from .body import Body
from .headers import is_nameable
from .request import Request, Timeouts

_LOGGER = logging.getLogger(__name__)

GRAPH: Final = "https://graph.microsoft.com"
# Bytes of the largest message to try: what Microsoft's mailboxes send over SMTP. How much of it
# Graph accepts differs between mailboxes; see `SOFT_SIZE_LIMIT`.
SIZE_LIMIT: Final = 157_286_400
_PROBE: Final = b"!"  # Invalid Base64, so that nothing is sent.


class GraphRoute:
    """Submits messages one after another, over connections that the HTTP session keeps open."""

    name: Final = "graph"

    def __init__(
        self,
        http: aiohttp.ClientSession,
        tokens: AccessTokens,
        timeouts: Timeouts,
        *,
        tls_context: ssl.SSLContext,
        base_url: str = GRAPH,
        secrets: Secrets | None = None,
    ) -> None:
        """Send from the account that the tokens belong to.

        Args:
            http: The HTTP session to use; it is not closed.
            tokens: Access tokens for Microsoft Graph.
            timeouts: The timeouts.
            tls_context: Verifies the server, whatever TLS context the session has.
            base_url: The URL of Microsoft Graph, without a version.
            secrets: What to mask in the server's texts, in addition to the tokens.

        Raises:
            ValueError: If the token would be sent over an unencrypted connection.

        """
        self._url = URL(base_url) / "v1.0" / "me" / "sendMail"
        if self._url.scheme != "https":
            raise ValueError("Microsoft Graph is reached over https only")
        self._http = http
        self._tokens = tokens
        self._timeouts = timeouts
        self._tls_context = tls_context
        self._secrets = secrets or Secrets()
        self._request: Request | None = None
        self._last: Answer | None = None
        self._timings: dict[Stage, float] = {}
        self._is_interrupted = False
        self.was_interrupted = False

    @property
    def host(self) -> str:
        """Return the host of Microsoft Graph."""
        return str(self._url.host)

    @property
    def port(self) -> int:
        """Return the port of Microsoft Graph."""
        return self._url.port or 443

    @property
    def size_limit(self) -> int:
        """Return the size of the largest message to try, in bytes."""
        return SIZE_LIMIT

    @property
    def usual_size_limit(self) -> int:
        """Return the largest message that Microsoft documents, in bytes."""
        return SOFT_SIZE_LIMIT

    def set_timeout(self, timeout: float) -> None:
        """Set the longest wait for one step from the next request on, in seconds."""
        self._timeouts = replace(self._timeouts, timeout=timeout)

    async def open(self) -> None:
        """Get a token for the next message; aiohttp opens connections for requests only.

        Raises `SubmissionError` if there is none.
        """
        await self._tokens.get()

    async def submit(
        self,
        envelope: Envelope,
        content: Content,
        *,
        may_have_arrived: bool = False,
        on_begin: Callable[[], None] | None = None,
    ) -> Outcome:
        """Submit a message in one request.

        Args:
            envelope: The recipients; the sender is the account that signed in.
            content: The complete message.
            may_have_arrived: Ignored, because there is only one way to submit.
            on_begin: Called when there is a token and the request follows.

        Raises:
            SubmissionError: If no recipient gets the message; `answer_lost` says that it may have
                arrived anyway.
            OSError: If the content cannot be read.

        """
        if envelope.utf8:  # Microsoft Graph is not known to accept these in MIME.
            raise SubmissionError(Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED), submitting=True)
        recipients = tuple(filter(is_nameable, envelope.recipients))
        refused = {
            name: Fault(Kind.MESSAGE, Problem.RECIPIENT_REFUSED)
            for name in envelope.recipients
            if name not in recipients
        }
        if not recipients:
            return Outcome(refused=refused)
        outcome = await self._submit(recipients, content, on_begin)
        return replace(outcome, refused={**refused, **outcome.refused})

    async def _submit(
        self, recipients: Sequence[str], content: Content, on_begin: Callable[[], None] | None
    ) -> Outcome:
        """Submit a message to recipients that the headers can name."""
        length = 0

        async def post(token: str) -> Answer:
            """Post the message from the beginning."""
            nonlocal length
            body = await Body.of_message(content, recipients)
            length = body.length
            if on_begin:
                on_begin()
            return await self._post(token, body)

        answer = await self._renewing(post)
        if answer.status == ACCEPTED:
            return Outcome(accepted=tuple(recipients), reply=f"Accepted {answer.words}".strip())
        fault = answer.fault(length)
        if fault.problem is Problem.RECIPIENT_REFUSED:
            return _restricted(recipients, fault, answer.message)
        raise SubmissionError(fault, submitting=_is_signed_in(fault))

    async def check(self, on_stage: Callable[[Stage], None] | None = None) -> dict[Stage, float]:
        """Check whether a message could be sent, without sending one.

        The request is invalid Base64: Microsoft says so if the token permits sending.

        Args:
            on_stage: Called with each stage as it begins.

        Raises:
            SubmissionError: With the server's reply, if the token does not permit sending.

        """
        if on_stage:
            on_stage(Stage.CONNECT)

        async def post(token: str) -> Answer:
            """Post the probe."""
            return await self._post(token, Body.of(_PROBE), sends=False)

        answer = await self._renewing(post)
        if answer.code.casefold() != NOT_BASE64.casefold():
            raise SubmissionError(_of_check(answer.fault()))
        return self._timings

    async def diagnose(self, fault: Fault) -> Fault:
        """Return the fault unchanged: there is no other server, port or security to try."""
        return fault

    async def _renewing(self, post: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Post, and retry once with a renewed token if the first is refused.

        A token that was issued just before the permission was granted is refused, too.
        """
        token = await self._tokens.get()
        answer = await post(token)
        if answer.fault().kind is Kind.CREDENTIALS:
            await self._tokens.replace(token)
            answer = await post(await self._tokens.get())
        return answer

    async def _post(self, token: str, body: Body, *, sends: bool = True) -> Answer:
        """Post a body in a request that `interrupt` can cut short."""
        self._secrets.add(token, *self._tokens.secrets)
        request = Request(self._http, self._tls_context, self._timeouts, self._secrets, sends=sends)
        self._request = request
        if self._is_interrupted:
            request.interrupt()
        try:
            self._last = await request.post(str(self._url), token, body)
        finally:
            self._request = None
            self.was_interrupted = request.was_interrupted
        self._timings = request.timings
        # Without the message, which may name a Bcc recipient.
        _LOGGER.debug(
            "%s: %s %s %s", self._url, self._last.status, self._last.code, self._last.request_id
        )
        return self._last

    def beside(self) -> GraphRoute:
        """Return a route for a second request of the account; Microsoft allows four at once."""
        beside = copy(self)
        beside._request, beside._timings = None, {}
        beside.prepare()
        return beside

    def prepare(self) -> None:
        """Prepare for the next message by forgetting earlier interruptions."""
        self._is_interrupted = self.was_interrupted = False

    def interrupt(self) -> None:
        """Cut a slow request short soon, because other messages are urgent.

        Its message may have arrived, as after any lost answer.
        """
        self._is_interrupted = True
        if self._request:
            self._request.interrupt()

    async def close(self) -> None:
        """Leave the connections to the HTTP session, which closes them when they are idle."""

    def describe(self) -> dict[str, Any] | None:
        """Return the host and the last response, for diagnostics."""
        if self._last is None:
            return None
        return {
            "host": self._url.host,
            "status": self._last.status,
            "error_code": self._last.code,
            "request_id": self._last.request_id,
        }


def _restricted(recipients: Sequence[str], fault: Fault, message: str) -> Outcome:
    """Return which recipients are refused, and which are left for another request.

    Microsoft refuses the whole message, and names the recipients that it does not know. If it
    names none, all are refused.
    """
    named = [name for name in recipients if _is_named(name, message)]
    refused = dict.fromkeys(named or recipients, fault)
    return Outcome(refused=refused, left=tuple(name for name in recipients if name not in refused))


def _is_named(address: str, message: str) -> bool:
    """Return whether a message names an address, rather than a longer one that contains it."""
    pattern = rf"(?<![\w.+@-]){re.escape(address)}(?![\w@-]|\.\w)"
    return re.search(pattern, message, re.IGNORECASE) is not None


def _is_signed_in(fault: Fault) -> bool:
    """Return whether the account was signed in when a fault occurred."""
    by_graph = fault.enhanced is not None or fault.problem is Problem.ANSWER_LOST
    return by_graph and fault.kind is not Kind.CREDENTIALS


def _of_check(fault: Fault) -> Fault:
    """Return a fault as that of a check, which sends no message."""
    if fault.problem is Problem.ANSWER_LOST:
        is_error = fault.code is None or fault.code >= 500
        problem = Problem.TEMPORARY_SERVER_ERROR if is_error else Problem.UNEXPECTED_REPLY
        return replace(fault, problem=problem)
    if fault.kind is Kind.MESSAGE:
        return replace(fault, kind=Kind.TRANSIENT, problem=Problem.UNEXPECTED_REPLY)
    return fault
