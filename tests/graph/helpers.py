"""Helpers for tests of the route: tokens, messages and results."""

import re
from typing import Any

import aiohttp
import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.delivery.faults import SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.graph.request import Timeouts
from custom_components.outlook_smtp.graph.route import GraphRoute
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeGraph
from tests.fake_microsoft.certificates import authority

ANNA, BERT, CARL = "anna@example.com", "bert@example.com", "carl@example.com"
CONTENT = (
    f"From: {ADDRESS}\r\nTo: Anna <{ANNA}>\r\nSubject: Test\r\nMessage-ID: <1@outlook.com>\r\n"
    "\r\nIt works.\r\n"
).encode()
TOKEN, NEWER, REFRESH = "first-access-token", "newer-access-token", "the-refresh-token"
LONG = 30.0  # Seconds; no test waits this long.
SHORT = 0.2
TRACE = re.compile(r"\(request-id [0-9a-f-]{36}\)")
LARGE = 20 * 1024 * 1024  # Bytes; more than the buffers of a connection hold.


class Tokens:
    """Prepared access tokens: each is replaced by the next one; the last one stays."""

    def __init__(self, *values: str, fails: SubmissionError | None = None) -> None:
        """Start with the first; `fails` is raised when a token is replaced."""
        self._values = list(values)
        self._fails = fails
        self.replaced: list[str] = []

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secrets to mask."""
        return self._values[0], REFRESH

    async def get(self) -> str:
        """Return the current token."""
        return self._values[0]

    async def replace(self, refused: str) -> None:
        """Move on to the next token."""
        self.replaced.append(refused)
        if self._fails:
            raise self._fails
        if len(self._values) > 1:
            self._values.pop(0)


def route_to(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens, **changes: Any
) -> GraphRoute:
    """Return a route to a fake, with long timeouts except for `changes`."""
    timeouts = {"timeout": LONG, "content_timeout": LONG, "final_timeout": LONG} | changes
    return GraphRoute(
        http,
        tokens,
        Timeouts(**timeouts),
        tls_context=fake_graph.client_context(),
        base_url=fake_graph.base_url,
    )


def route_at(url: str, http: aiohttp.ClientSession, timeout: float = 5.0) -> GraphRoute:
    """Return a route to a URL."""
    return GraphRoute(
        http,
        Tokens(TOKEN),
        Timeouts(timeout=timeout),
        tls_context=authority().client_context(),
        base_url=url,
    )


def envelope_to(*recipients: str, utf8: bool = False) -> Envelope:
    """Return an envelope from the account's own address, to Anna by default."""
    return Envelope(ADDRESS, recipients or (ANNA,), utf8)


def large_content(size: int = LARGE) -> Content:
    """Return a message of the given size."""
    line = b"x" * 76 + b"\r\n"
    return Content.of((CONTENT + line * (size // len(line) + 1))[:size])


async def send(route: GraphRoute, *recipients: str) -> Outcome:
    """Submit the test message."""
    return await route.submit(envelope_to(*recipients), Content.of(CONTENT))


async def failure(
    route: GraphRoute, *recipients: str, content: Content | None = None
) -> SubmissionError:
    """Submit a message that must fail, and return the error."""
    with pytest.raises(SubmissionError) as caught:
        await route.submit(envelope_to(*recipients), content or Content.of(CONTENT))
    return caught.value


async def check_failure(route: GraphRoute) -> SubmissionError:
    """Check a route that must fail, and return the error."""
    with pytest.raises(SubmissionError) as caught:
        await route.check()
    return caught.value
