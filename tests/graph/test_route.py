"""A message goes to Microsoft Graph in one request; the response says what happened to it."""

import logging
import re

import aiohttp
import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
    SubmissionError,
)
from custom_components.outlook_smtp.graph.route import GRAPH, GraphRoute
from tests.conftest import ADDRESS
from tests.fake_microsoft import OUTLOOK, FakeGraph, GraphAnswer

from .helpers import (
    ANNA,
    BERT,
    CARL,
    CONTENT,
    NEWER,
    REFRESH,
    TOKEN,
    TRACE,
    Tokens,
    check_failure,
    envelope_to,
    failure,
    large_content,
    route_at,
    route_to,
    send,
)


async def test_a_message_is_sent_unchanged(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """In one request of known length; only status 202 means success."""
    outcome = await send(route)
    [sent], [request] = fake_graph.received, fake_graph.requests
    assert (sent.account, sent.recipients, sent.content) == (ADDRESS, (ANNA,), CONTENT)
    assert (request.path, request.content_type) == ("/v1.0/me/sendMail", "text/plain")
    assert request.length == -(-len(CONTENT) // 3) * 4
    assert outcome.accepted == (ANNA,)
    assert (outcome.is_well, outcome.message_id) == (True, None)
    assert TRACE.fullmatch(outcome.reply.removeprefix("Accepted "))


@pytest.mark.parametrize("size", [524_287, 524_288, 524_289, 1_048_578, 2_000_000])
async def test_a_long_message_arrives_byte_for_byte(
    route: GraphRoute, fake_graph: FakeGraph, size: int
) -> None:
    """Whether or not its pieces are multiples of three bytes."""
    content = large_content(size)
    await route.submit(envelope_to(), content)
    content.file.seek(0)
    assert fake_graph.received[0].content == content.file.read()
    assert fake_graph.requests[0].length == -(-size // 3) * 4


async def test_a_dead_connection_is_replaced(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """Without an error, once the client notices."""
    await send(route)
    fake_graph.stop()
    fake_graph.start()
    assert (await send(route)).accepted
    assert fake_graph.connections == 2


async def test_the_log_shows_no_recipient_and_no_token(
    route: GraphRoute, fake_graph: FakeGraph, caplog: pytest.LogCaptureFixture
) -> None:
    """It shows the outcome, and the request ID that Microsoft's support asks for."""
    caplog.set_level(logging.DEBUG)
    fake_graph.unresolved = {BERT}
    await send(route, ANNA, BERT)
    assert ": 400 ErrorInvalidRecipients " in caplog.text
    assert not re.search(f"{ANNA}|{BERT}|{TOKEN}", caplog.text)


async def test_messages_share_a_connection(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """The HTTP session keeps it open after the route is closed, which saves round trips."""
    for _ in range(3):
        await send(route)
        await route.close()
    assert (fake_graph.connections, len(fake_graph.requests)) == (1, 3)


# Recipients


async def test_the_envelope_decides_who_gets_the_message(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """Bcc recipients are shown to no one."""
    outcome = await send(route, ANNA, BERT, CARL)
    [sent] = fake_graph.received
    assert outcome.accepted == sent.recipients == (ANNA, BERT, CARL)
    assert sent.content == CONTENT
    assert sent.message["Bcc"] is None


async def test_a_retry_names_only_the_remaining_recipients(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """No one gets the message twice."""
    await send(route, BERT)
    [sent] = fake_graph.received
    assert sent.recipients == (BERT,)
    assert sent.message["To"] is None


@pytest.mark.parametrize("bad", ["x@y.z\r\nBcc: eve@example.com", "a b@example.com", "no", ""])
async def test_only_addresses_that_cannot_be_named_are_refused(
    route: GraphRoute, fake_graph: FakeGraph, bad: str
) -> None:
    """No address can add a header, and the other recipients get the message."""
    outcome = await send(route, ANNA, bad)
    refusal = {bad: Fault(Kind.MESSAGE, Problem.RECIPIENT_REFUSED)}
    assert (outcome.accepted, outcome.refused) == ((ANNA,), refusal)
    assert fake_graph.received[0].recipients == (ANNA,)
    outcome = await send(route, bad)
    assert (outcome.accepted, outcome.refused) == ((), refusal)
    assert len(fake_graph.requests) == 1


async def test_international_addresses_are_refused(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """Microsoft Graph is not known to accept them."""
    with pytest.raises(SubmissionError) as caught:
        await route.submit(envelope_to("änna@example.com", utf8=True), Content.of(CONTENT))
    assert caught.value.fault == Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
    assert not fake_graph.requests


async def test_an_unknown_recipient_leaves_the_others_for_another_request(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """Microsoft refuses the whole message, and names the recipient."""
    fake_graph.unresolved = {BERT}
    outcome = await send(route, ANNA, BERT, CARL)
    assert (outcome.accepted, outcome.left) == ((), (ANNA, CARL))
    [(name, fault)] = outcome.refused.items()
    assert (name, fault.kind, fault.problem) == (BERT, Kind.MESSAGE, Problem.RECIPIENT_REFUSED)
    assert f'Recipient "{BERT}" isn\'t resolved.' in fault.reply
    assert fault.reply.startswith("400 ErrorInvalidRecipients ")
    assert not fake_graph.received
    assert (await send(route, *outcome.left)).accepted == (ANNA, CARL)


@pytest.mark.parametrize(
    ("names", "refused", "left"),
    [
        ("", (ANNA, BERT), ()),
        ("somebody@example.com", (ANNA, BERT), ()),
        (f"x{ANNA} {ANNA}.au j.{BERT}", (ANNA, BERT), ()),
        (ANNA.upper(), (ANNA,), (BERT,)),
        (f"<{BERT}>.", (BERT,), (ANNA,)),
        (f"{ANNA},{BERT}", (ANNA, BERT), ()),
    ],
)
async def test_named_recipients_are_refused_or_all_if_none_is_named(
    route: GraphRoute,
    fake_graph: FakeGraph,
    names: str,
    refused: tuple[str, ...],
    left: tuple[str, ...],
) -> None:
    """An address inside a longer one is not named."""
    answer = GraphAnswer(status=400, code="ErrorInvalidRecipients", message=f"Bad: {names}")
    fake_graph.answers.append(answer)
    outcome = await send(route, ANNA, BERT)
    assert (tuple(outcome.refused), outcome.left) == (refused, left)
    assert outcome.is_well


async def test_a_hundred_unknown_recipients_are_recognized(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """Even though only 512 characters of the message are kept."""
    names = [f"{'x' * 240}{number}@example.com" for number in range(100)]
    fake_graph.unresolved = set(names)
    outcome = await send(route, *names, ANNA)
    assert (list(outcome.refused), outcome.left) == (names, (ANNA,))
    fault = outcome.refused[names[0]]
    assert len(fault.text) <= 512
    assert TRACE.search(fault.text)


# Tokens


@pytest.mark.parametrize("checks", [False, True])
@pytest.mark.parametrize(
    ("old", "problem"),
    [
        ({}, Problem.IDENTITY_REFUSED),
        ({"resource": OUTLOOK}, Problem.IDENTITY_REFUSED),
        ({"permitted": False}, Problem.NO_SEND_PERMISSION),
    ],
)
async def test_a_refused_token_is_renewed_once(
    fake_graph: FakeGraph,
    http: aiohttp.ClientSession,
    old: dict[str, object],
    problem: Problem,
    *,
    checks: bool,
) -> None:
    """The message goes out with the new one; if that is refused too, the user has to act."""
    del fake_graph.grants[TOKEN]
    if old:
        fake_graph.grant(TOKEN, ADDRESS, **old)  # type: ignore[arg-type] # Each value fits.
    tokens = Tokens(TOKEN, NEWER)
    route = route_to(fake_graph, http, tokens)
    error = await check_failure(route) if checks else await failure(route)
    assert (error.fault.kind, error.submitting) == (Kind.CREDENTIALS, False)
    assert error.fault.is_refused_identity
    assert (tokens.replaced, len(fake_graph.requests)) == ([TOKEN], 2)

    fake_graph.grant(NEWER, ADDRESS)
    renewing = Tokens(TOKEN, NEWER)
    route = route_to(fake_graph, http, renewing)
    assert await route.check() if checks else (await send(route)).accepted
    assert [request.token for request in fake_graph.requests[2:]] == [TOKEN, NEWER]

    del fake_graph.grants[NEWER]
    loop = route_to(fake_graph, http, Tokens(TOKEN))
    assert (await failure(loop)).fault.problem is problem
    assert fake_graph.connections == 3  # One per route, even if the token is renewed.


async def test_a_failed_renewal_is_the_fault(
    fake_graph: FakeGraph, http: aiohttp.ClientSession
) -> None:
    """The error is the sign-in's, not Microsoft Graph's."""
    reason = SubmissionError(Fault(Kind.CREDENTIALS, Problem.SIGN_IN_REQUIRED))
    route = route_to(fake_graph, http, Tokens("expired", fails=reason))
    assert await failure(route) is reason
    assert len(fake_graph.requests) == 1


async def test_no_quoted_reply_contains_a_token(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """Nor do the diagnostics."""
    fake_graph.answers.append(
        GraphAnswer(status=400, code=f"Bad{TOKEN}", message=f"No: Bearer {TOKEN}, {REFRESH}")
    )
    fault = (await failure(route)).fault
    assert fault.reply.startswith("400 Bad*** No: Bearer ***, *** (request-id ")
    assert TOKEN not in f"{route.describe()}"


@pytest.mark.parametrize("url", ["http://graph.microsoft.com", "ftp://graph.microsoft.com", ""])
async def test_no_token_is_sent_over_an_unencrypted_connection(
    http: aiohttp.ClientSession, url: str
) -> None:
    """Such a route cannot even be created."""
    with pytest.raises(ValueError, match="https"):
        route_at(url, http)
    assert GRAPH == "https://graph.microsoft.com"
    route_at(GRAPH, http)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(
    route: GraphRoute, fake_graph: FakeGraph, status: int
) -> None:
    """Neither the token nor the message goes to its target."""
    target = "https://evil.example.com/v1.0/me/sendMail"
    fake_graph.answers.append(
        GraphAnswer(status=status, body="Moved", headers={"Location": target})
    )
    fault = (await failure(route)).fault
    assert (fault.kind, fault.problem) == (Kind.TRANSIENT, Problem.UNEXPECTED_REPLY)
    assert fault.reply.startswith(f"{status} {target} (request-id ")
    assert len(fake_graph.requests) == 1
