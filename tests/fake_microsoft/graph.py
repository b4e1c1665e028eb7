"""A local fake of Microsoft Graph's `sendMail`, over real TLS."""

import asyncio
from base64 import b64decode
from binascii import Error
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
import re
import ssl
from uuid import uuid4

from aiohttp import web

from .certificates import Certificate, authority
from .graph_line import Cut, Line
from .graph_rows import DENIED, GraphAnswer
from .identity_grants import Resource
from .mailbox import Received
from .receiver import MailReceiver

LOOPBACK = "127.0.0.1"
GRAPH = "https://graph.microsoft.com"
OUTLOOK = "https://outlook.office.com"
MICROSOFT_LIMIT = 4 * 1024 * 1024
_BCC = re.compile(rb"^Bcc:.*?\r\n(?![ \t])", re.DOTALL | re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What an access token grants: a mailbox at a resource, with or without permission to send."""

    address: str
    resource: str = GRAPH
    permitted: bool = True


@dataclass(frozen=True, kw_only=True)
class GraphRequest:
    """One request as received; `length` is None if it was chunked."""

    path: str
    token: str
    content_type: str
    length: int | None


class FakeGraph(MailReceiver):
    """The endpoint `sendMail` on the loopback interface, and the ways it can misbehave."""

    def __init__(
        self, port: int = 0, certificate: Certificate = Certificate.VALID, host: str = LOOPBACK
    ) -> None:
        """Prepare the server; port 0 picks a free port at the first start and keeps it."""
        super().__init__("fake-graph", port)
        self.grants: dict[str, Grant] = {}
        # The owners of an identity platform's access tokens, by what the tokens open.
        self.access_tokens: Mapping[str, Mapping[str, str]] = {}
        self.limit = MICROSOFT_LIMIT
        self.unresolved: set[str] = set()
        self.answers: deque[GraphAnswer] = deque()
        self.cuts: deque[Cut] = deque()
        self.requests: list[GraphRequest] = []
        self.connections = 0
        self.most_requests = 0  # Under way at the same time.
        self._requests_under_way = 0
        self._bind = host
        self._tls = authority().server_context(certificate)
        self._goes_on = asyncio.Event()

    @property
    def base_url(self) -> str:
        """Return the URL that replaces https://graph.microsoft.com."""
        return f"https://{LOOPBACK}:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context for clients that trusts the server."""
        return authority().client_context()

    def grant(
        self, token: str, address: str, *, resource: str = GRAPH, permitted: bool = True
    ) -> None:
        """Accept an access token for a resource."""
        self.grants[token] = Grant(address=address, resource=resource, permitted=permitted)

    def go_on(self) -> None:
        """Send the responses that hang."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._goes_on.set)

    @asynccontextmanager
    async def listening(self, stopping: asyncio.Event) -> AsyncIterator[int]:
        """Listen, yield the port, and close all connections at the end."""
        self._goes_on = asyncio.Event()
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._respond)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await runner.setup()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self._welcome(runner), self._bind, self.port, ssl=self._tls, reuse_address=True
        )
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self._goes_on.set()
            server.close()
            server.abort_clients()
            await runner.cleanup()

    def _welcome(self, runner: web.AppRunner) -> Line:
        """Accept a connection."""
        assert runner.server
        cut = self.cuts.popleft() if self.cuts else Cut()
        return Line(runner.server(), cut, self._count)

    def _count(self) -> None:
        """Count an encrypted connection."""
        self.connections += 1

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        """Respond to one request."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.requests.append(
            GraphRequest(
                path=request.path,
                token=token,
                content_type=request.content_type,
                length=request.content_length,
            )
        )
        answer = self.answers.popleft() if self.answers else None
        self._requests_under_way += 1
        self.most_requests = max(self.most_requests, self._requests_under_way)
        try:
            if answer and not answer.accepts:
                return await self._say(answer, request)
            refusal = self._refusal(request, token) or await self._take(request, token)
            return await self._say(refusal or answer or GraphAnswer(status=202, body=""), request)
        finally:
            self._requests_under_way -= 1

    def _refusal(self, request: web.Request, token: str) -> GraphAnswer | None:
        """Return the error of a request that is refused before it is read, if any."""
        grant = self._find_grant(token)
        if grant is None or grant.resource != GRAPH:
            words = "Invalid audience." if grant else "Lifetime validation failed."
            return GraphAnswer(
                status=401,
                code="InvalidAuthenticationToken",
                message=f"Access token validation failure. {words}",
            )
        if not grant.permitted:
            return GraphAnswer(status=403, code="ErrorAccessDenied", message=DENIED)
        if request.path != "/v1.0/me/sendMail" or request.method != "POST":
            return GraphAnswer(status=404, code="ResourceNotFound", message="Resource not found.")
        if (request.content_length or 0) > self.limit:
            limit = self.limit // 1024 // 1024
            words = f"The maximum request length supported is {limit}MB."
            return GraphAnswer(status=413, code="BadRequest", message=words)
        return None

    def _find_grant(self, token: str) -> Grant | None:
        """Return what an access token opens, if it is good."""
        for name, owners in self.access_tokens.items():
            if owner := owners.get(token):
                resource = GRAPH if name == Resource.GRAPH else OUTLOOK
                return Grant(address=owner, resource=resource)
        return self.grants.get(token)

    async def _take(self, request: web.Request, token: str) -> GraphAnswer | None:
        """Accept a message as its recipients see it, without Bcc, or return an error."""
        try:
            content = b64decode(await request.read(), validate=True)
        except Error:
            return GraphAnswer(
                status=400,
                code="ErrorMimeContentInvalidBase64String",
                message="Invalid base64 string for MIME content.",
            )
        message = message_from_bytes(content, policy=policy.default)
        grant = self._find_grant(token)
        assert grant
        account = grant.address
        if message["From"].addresses[0].addr_spec != account:
            words = "The user account which was used to submit this request does not have the right"
            return GraphAnswer(status=403, code="ErrorSendAsDenied", message=words)
        recipients = tuple(
            address.addr_spec
            for name in ("To", "Cc", "Bcc")
            for field in message.get_all(name, ())
            for address in field.addresses
        )
        if unresolved := self._unresolved(recipients):
            return unresolved
        assert request.transport
        self.keep(
            Received(
                sender=account,
                recipients=recipients,
                content=_BCC.sub(b"", content, count=1),
                account=account,
                tls_version=request.transport.get_extra_info("ssl_object").version(),
                message_id_given=None,
                at=datetime.now(UTC),
            )
        )
        return None

    def _unresolved(self, recipients: tuple[str, ...]) -> GraphAnswer | None:
        """Return the error that refuses a message with no recipient or an unknown one."""
        names = [name for name in recipients if name in self.unresolved]
        if recipients and not names:
            return None
        words = " ".join(f'Recipient "{name}" isn\'t resolved.' for name in names)
        message = f"At least one recipient isn't valid., {words}".rstrip(", ")
        return GraphAnswer(status=400, code="ErrorInvalidRecipients", message=message)

    async def _say(self, answer: GraphAnswer, request: web.Request) -> web.StreamResponse:
        """Send a response, at once or after `go_on`."""
        if answer.hangs:
            await self._goes_on.wait()
        request_id = str(uuid4())
        headers = {"request-id": request_id} | answer.headers
        if answer.body is not None:
            return web.Response(
                status=answer.status,
                text=answer.body,
                content_type=answer.content_type,
                headers=headers,
            )
        return web.json_response(answer.error(request_id), status=answer.status, headers=headers)
