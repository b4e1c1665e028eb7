"""A request may fail at any byte; what matters is whether the message may have arrived."""

import asyncio
from datetime import UTC, datetime
import time
from typing import Any

import aiohttp
import pytest

from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.network import RELEASED
from custom_components.outlook_smtp.delivery.route import URGENT_PATIENCE
from custom_components.outlook_smtp.graph import request as request_module
from custom_components.outlook_smtp.graph.request import Timeouts
from custom_components.outlook_smtp.graph.route import GraphRoute
from tests.conftest import ADDRESS, until
from tests.fake_microsoft import (
    Certificate,
    Cut,
    FakeGraph,
    FakeServer,
    GraphAnswer,
    blocked_port,
    closed_port,
)

from .helpers import (
    ANNA,
    LARGE,
    SHORT,
    TOKEN,
    Tokens,
    check_failure,
    envelope_to,
    failure,
    large_content,
    route_at,
    route_to,
    send,
)

LOST = (Kind.TRANSIENT, Problem.ANSWER_LOST)
# Bytes of a response: its status line, less than any line of its header, and most of that.
LINE, PART, MOST = 25, 8, 190
HANGS = GraphAnswer(status=202, body="", accepts=True, hangs=True)


def meaning(error: SubmissionError) -> tuple[Kind, Problem]:
    """Return what an error means."""
    return error.fault.kind, error.fault.problem


# Before anything is sent


async def test_a_refused_connection_is_reported(http: aiohttp.ClientSession) -> None:
    """The message has not arrived."""
    port = closed_port()
    error = await failure(route_at(f"https://127.0.0.1:{port}", http))
    assert meaning(error) == (Kind.TRANSIENT, Problem.CONNECTION_REFUSED)
    assert not error.submitting
    assert error.fault.detail.startswith(f"Cannot connect to 127.0.0.1, port {port}: Connect call")


async def test_an_unknown_host_is_reported(http: aiohttp.ClientSession) -> None:
    """The host name cannot be resolved."""
    error = await failure(route_at("https://graph.invalid", http))
    assert meaning(error) == (Kind.TRANSIENT, Problem.HOST_NOT_FOUND)
    assert error.fault.detail.startswith("Cannot connect to graph.invalid, port 443: ")
    assert "SSLContext" not in error.fault.detail
    assert not error.submitting


async def test_a_connection_that_is_never_answered_times_out(http: aiohttp.ClientSession) -> None:
    """`timeout` limits how long connecting may take."""
    with blocked_port() as port:
        error = await failure(route_at(f"https://127.0.0.1:{port}", http, SHORT))
    assert meaning(error) == (Kind.TRANSIENT, Problem.TIMEOUT)
    assert (error.submitting, error.fault.detail) == (False, "TimeoutError")


async def test_nothing_is_sent_to_a_server_without_tls(http: aiohttp.ClientSession) -> None:
    """It receives neither the token nor the message."""
    with FakeServer() as smtp:
        error = await failure(route_at(f"https://127.0.0.1:{smtp.port}", http))
    assert meaning(error) == (Kind.SETUP, Problem.WRONG_SECURITY)


@pytest.mark.parametrize(
    ("certificate", "kind", "problem"),
    [
        (Certificate.EXPIRED, Kind.SETUP, Problem.CERTIFICATE_EXPIRED),
        (Certificate.NOT_YET_VALID, Kind.TRANSIENT, Problem.CLOCK_WRONG),
        (Certificate.WRONG_HOST, Kind.SETUP, Problem.CERTIFICATE_WRONG_HOST),
        (Certificate.UNTRUSTED, Kind.SETUP, Problem.CERTIFICATE_UNTRUSTED),
        (Certificate.NO_KEY_IDENTIFIER, Kind.SETUP, Problem.CERTIFICATE_NONCOMPLIANT),
        (Certificate.OLD_TLS, Kind.SETUP, Problem.TLS_TOO_OLD),
    ],
)
async def test_nothing_is_sent_to_an_untrusted_server(
    http: aiohttp.ClientSession,
    certificate: Certificate,
    kind: Kind,
    problem: Problem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The route verifies certificate and host name, although the HTTP session does not."""
    monkeypatch.setattr(time, "time", lambda: RELEASED + 1.0)
    with FakeGraph(certificate=certificate) as server:
        error = await failure(route_to(server, http, Tokens(TOKEN)))
        assert meaning(error) == (kind, problem)
        assert (error.submitting, server.requests) == (False, [])


# While the message is sent


async def test_an_incomplete_message_has_not_arrived(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """No server accepts less than the announced length, so there is no doubt."""
    fake_graph.limit = 2**30
    fake_graph.cuts.append(Cut(received=LARGE // 4))
    error = await failure(route, content=large_content())
    assert meaning(error) == (Kind.TRANSIENT, Problem.CONNECTION_LOST)
    assert error.submitting
    assert not fake_graph.received


async def test_a_stalled_message_has_not_arrived(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens
) -> None:
    """`content_timeout` limits each half megabyte; an interruption does not change it."""
    fake_graph.limit = 2**30
    fake_graph.cuts.append(Cut(received=LARGE // 4, stalls=True))
    route = route_to(fake_graph, http, tokens, content_timeout=SHORT)
    sending = asyncio.create_task(failure(route, content=large_content()))
    await until(lambda: fake_graph.connections)
    route.interrupt()
    error = await sending
    assert meaning(error) == (Kind.TRANSIENT, Problem.TIMEOUT)
    assert (error.submitting, route.was_interrupted) == (True, False)


@pytest.mark.parametrize("received", [0, 1, 100, 300])
async def test_a_short_message_may_have_arrived_when_the_connection_breaks(
    route: GraphRoute, fake_graph: FakeGraph, received: int
) -> None:
    """It is completely sent before the client can notice."""
    fake_graph.cuts.append(Cut(received=received))
    error = await failure(route)
    assert (*meaning(error), error.submitting) == (*LOST, True)
    assert (await send(route)).accepted


async def test_a_response_may_break_off_at_any_byte(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """The message has arrived; the client knows once the response's header is complete."""
    sent, outcome, problems = 0, None, set()
    while outcome is None:
        fake_graph.cuts.append(Cut(sent=sent))
        try:
            outcome = await send(route)
        except SubmissionError as error:
            problems.add((*meaning(error), error.submitting))
            # The status line, parts of the next lines, and the end of the header.
            sent += PART if LINE < sent < MOST else 1
    assert problems == {(*LOST, True)}
    assert outcome.accepted == (ANNA,)
    assert MOST < sent < 500
    assert len(fake_graph.received) == fake_graph.connections


@pytest.mark.parametrize("stalls", [False, True])
async def test_an_incomplete_error_is_classified_by_its_status(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens, *, stalls: bool
) -> None:
    """The rest of the response would only explain it."""
    answer = GraphAnswer(status=503, body="x" * 5000, content_type="text/html")
    fake_graph.answers.append(answer)
    fake_graph.cuts.append(Cut(sent=1000, stalls=stalls))
    error = await failure(route_to(fake_graph, http, tokens, timeout=1.0))
    assert meaning(error) == (Kind.TRANSIENT, Problem.SERVICE_UNAVAILABLE)
    assert error.fault.text.startswith("xxx")


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_gateway_may_have_forwarded_the_message(
    route: GraphRoute, fake_graph: FakeGraph, status: int
) -> None:
    """Four 504 responses once meant four copies, so a retry keeps the Message-ID."""
    answer = GraphAnswer(status=status, body="Gateway", content_type="text/html", accepts=True)
    fake_graph.answers.append(answer)
    error = await failure(route)
    assert (*meaning(error), error.submitting) == (*LOST, True)
    await route.submit(envelope_to(), large_content(1000), may_have_arrived=True)
    assert len({sent.message["Message-ID"] for sent in fake_graph.received}) == 1


# While waiting for the response


async def test_a_missing_response_is_a_lost_answer(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens
) -> None:
    """The wait is long, but limited."""
    fake_graph.answers.append(HANGS)
    error = await failure(route_to(fake_graph, http, tokens, final_timeout=SHORT))
    assert (*meaning(error), error.submitting) == (*LOST, True)
    timeouts = Timeouts(timeout=1.0)
    assert (timeouts.content_timeout, timeouts.final_timeout) == (180.0, 600.0)


async def test_a_slow_response_is_awaited(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """As long as no other message is urgent."""
    fake_graph.answers.append(HANGS)
    sending = asyncio.create_task(send(route))
    await until(lambda: fake_graph.received)
    fake_graph.go_on()
    assert (await sending).accepted


@pytest.mark.parametrize("final_timeout", [0.3, 30.0])
async def test_an_interruption_ends_the_wait_for_a_response(
    fake_graph: FakeGraph,
    http: aiohttp.ClientSession,
    tokens: Tokens,
    final_timeout: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the wait times out sooner; the next message uses a new connection."""
    assert URGENT_PATIENCE == 5.0
    monkeypatch.setattr(request_module, "URGENT_PATIENCE", 0.5)
    fake_graph.answers.append(HANGS)
    route = route_to(fake_graph, http, tokens, final_timeout=final_timeout)
    route.interrupt()
    sending = asyncio.create_task(failure(route))
    await until(lambda: fake_graph.received)
    route.interrupt()
    route.interrupt()
    error = await sending
    assert meaning(error) == LOST
    assert route.was_interrupted is (final_timeout > 0.5)
    assert (await send(route)).accepted
    assert (route.was_interrupted, fake_graph.connections) == (False, 2)


async def test_a_check_never_loses_an_answer(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, tokens: Tokens
) -> None:
    """It sends nothing that could arrive, so it does not wait long for the answer either."""
    fake_graph.answers.append(GraphAnswer(status=400, hangs=True))
    route = route_to(fake_graph, http, tokens, timeout=SHORT)
    error = await check_failure(route)
    assert (*meaning(error), error.submitting) == (Kind.TRANSIENT, Problem.TIMEOUT, False)
    fake_graph.cuts.append(Cut(received=0))
    error = await check_failure(route_to(fake_graph, http, tokens))
    assert meaning(error) == (Kind.TRANSIENT, Problem.CONNECTION_LOST)


# How long to wait before the next request


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "9" * 500}, 86_400.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sat, 99 Nov 99999999 12:00:00 GMT"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
        (
            {
                "Date": "Sat, 28 Nov 2026 12:00:00 GMT",
                "Retry-After": "Sat, 28 Nov 2026 12:02:30 GMT",
            },
            150.0,
        ),
        (
            {
                "Date": "Sat, 28 Nov 2026 12:00:00 GMT",
                "Retry-After": "Fri, 27 Nov 2026 12:00:00 GMT",
            },
            0.0,
        ),
        (
            {
                "Date": "Sat, 28 Nov 2026 12:00:00 GMT",
                "Retry-After": "Sat, 28 Nov 2099 12:00:00 GMT",
            },
            86_400.0,
        ),
        ({"Date": "today", "Retry-After": "Sat, 28 Nov 2026 00:01:00 GMT"}, 60.0),
    ],
    ids=repr,
)
async def test_retry_after_is_kept_in_the_fault(
    route: GraphRoute,
    fake_graph: FakeGraph,
    headers: dict[str, Any],
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is a number of seconds, or a date by the server's clock, and a day at most."""
    release = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    monkeypatch.setattr(time, "time", lambda: release)
    for status in (429, 503):
        fake_graph.answers.append(GraphAnswer(status=status, code="Busy", headers=headers))
        error = await failure(route)
        assert error.fault.kind is Kind.TRANSIENT
        assert error.fault.retry_after == seconds


async def test_two_accounts_share_no_state(
    fake_graph: FakeGraph, http: aiohttp.ClientSession, route: GraphRoute
) -> None:
    """Each one sends as itself over the same HTTP session."""
    fake_graph.grant("another", "b@outlook.com")
    other = route_to(fake_graph, http, Tokens("another"))
    error = await failure(other)
    assert meaning(error) == (Kind.MESSAGE, Problem.SENDER_NOT_ALLOWED)
    assert (await send(route)).accepted
    assert [sent.account for sent in fake_graph.received] == [ADDRESS]
