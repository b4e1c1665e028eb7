"""A fake of Microsoft Graph that breaks connections, loses answers and refuses mail at random."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from random import Random
from typing import Final, override

from aiohttp import web

from tests.fake_microsoft import Cut, FakeGraph, GraphAnswer
from tests.fake_microsoft.graph_line import Line

from .messages import GONE

# Some messages are as long as this; few connections take as many bytes.
LONGEST_REQUEST: Final = 200_000
SHORT_REQUESTS: Final = 12_000  # Bytes of the first few.
SHORT_ANSWERS: Final = 1_000


def _throttled(seconds: int) -> GraphAnswer:
    """Return an answer that asks to be left alone for some seconds."""
    headers = {"Retry-After": str(seconds)}
    return GraphAnswer(status=429, code="ApplicationThrottled", headers=headers)


# Weighted by frequency. What was accepted before a 504 must be sent again: nobody can tell.
_ANSWERS: Final[tuple[tuple[GraphAnswer, int], ...]] = (
    (GraphAnswer(status=504, code="UnknownError", accepts=True), 6),
    (GraphAnswer(status=502, body="<html></html>", content_type="text/html", accepts=True), 2),
    (GraphAnswer(status=504, code="UnknownError"), 3),
    (GraphAnswer(status=503, code="serviceNotAvailable"), 2),
    (_throttled(0), 3),
    (_throttled(1), 1),
)
# One that refuses a message permanently.
_REFUSAL: Final = GraphAnswer(status=400, code="ErrorMessageBlocked", message="Something else")


class FlakyGraph(FakeGraph):
    """The same account over Microsoft Graph, where every request and connection may fail."""

    def __init__(self, chances: Random, owners: Mapping[str, str]) -> None:
        """Start with normal behavior, and let in the owners of access tokens."""
        super().__init__()
        self.trouble = 0.0  # The share of requests, and of connections, in which something fails.
        self.refuses: dict[str, str] | None = None  # Recipients to refuse permanently.
        self._chances = chances
        self._owners = owners

    def wait_for_silence(self) -> None:
        """Close all connections: data sent by a dead process may not be read later."""
        self.stop()
        self.start()

    @override
    def _welcome(self, runner: web.AppRunner) -> Line:
        """Take a connection, which may break after some bytes in one direction."""
        if self._chances.random() < self.trouble / 2:
            longest = self._chances.choice((SHORT_REQUESTS, SHORT_REQUESTS, LONGEST_REQUEST))
            received, sent = (
                self._chances.randrange(longest),
                self._chances.randrange(SHORT_ANSWERS),
            )
            is_answer = self._chances.random() < 0.5
            self.cuts.append(Cut(sent=sent) if is_answer else Cut(received=received))
        return super()._welcome(runner)

    @override
    async def _respond(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, perhaps wrongly."""
        self.unresolved = {GONE}.intersection(self.refuses or ())
        if self._chances.random() < self.trouble / 2:
            answers = _ANSWERS if self.refuses is None else (*_ANSWERS, (_REFUSAL, 2))
            weights = [weight for _, weight in answers]
            ((answer, _),) = self._chances.choices(answers, weights)
            self.answers.append(answer)
        return await super()._respond(request)

    @override
    def _refusal(self, request: web.Request, token: str) -> GraphAnswer | None:
        """Return why a request is not even read."""
        if owner := self._owners.get(token):
            self.grant(token, owner)
        return super()._refusal(request, token)

    @override
    async def _take(self, request: web.Request, token: str) -> GraphAnswer | None:
        """Take a message, or return why not."""
        refusal = await super()._take(request, token)
        if refusal is None:
            request["place"] = len(self.received) - 1
        return refusal

    @override
    async def _say(self, answer: GraphAnswer, request: web.Request) -> web.StreamResponse:
        """Answer, and note if that accepts a message and has gone out."""
        response = await super()._say(answer, request)
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
        line, place = request.transport, request.get("place")
        is_heard = answer.status == HTTPStatus.ACCEPTED and line and not line.is_closing()
        if place is not None and is_heard:
            mail = self.received[place]
            # Graph keeps the sender's, and does not quote it.
            self.received[place] = replace(mail, message_id_given=mail.message["Message-ID"])
        return response
