"""Every response has a meaning, whether it comes from Microsoft or a proxy."""

from io import BytesIO

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import (
    Fault,
    Kind,
    Problem,
)
from custom_components.outlook_smtp.graph.answers import REQUEST_LIMIT, SOFT_SIZE_LIMIT
from custom_components.outlook_smtp.graph.route import GraphRoute
from tests.fake_microsoft import GRAPH_CATALOGUE, FakeGraph, GraphAnswer, GraphRow

from .helpers import (
    CONTENT,
    TRACE,
    envelope_to,
    failure,
    large_content,
    send,
)

HTML = "<html><title>Hotel</title><p>Please sign in</p></html>"


@pytest.mark.parametrize("row", GRAPH_CATALOGUE, ids=lambda row: row.name)
async def test_every_error_has_a_meaning(
    route: GraphRoute, fake_graph: FakeGraph, row: GraphRow
) -> None:
    """The fault quotes it, with the request ID that Microsoft's support asks for."""
    fake_graph.answers.extend([row.answer] * 2)
    error = await failure(route)
    assert f"{error.fault.kind} {error.fault.problem}" == row.meaning
    assert error.fault.code == row.answer.status
    assert error.fault.enhanced
    assert TRACE.search(error.fault.text)
    assert row.answer.message in error.fault.reply
    assert error.submitting is (error.fault.kind is not Kind.CREDENTIALS)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, (Kind.TRANSIENT, Problem.ANSWER_LOST)),
        (204, (Kind.TRANSIENT, Problem.ANSWER_LOST)),
        (401, (Kind.CREDENTIALS, Problem.IDENTITY_REFUSED)),
        (403, (Kind.TRANSIENT, Problem.UNEXPECTED_REPLY)),
        (404, (Kind.TRANSIENT, Problem.UNEXPECTED_REPLY)),
        (413, (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE)),
        (429, (Kind.TRANSIENT, Problem.SENDER_THROTTLED)),
        (503, (Kind.TRANSIENT, Problem.SERVICE_UNAVAILABLE)),
        (504, (Kind.TRANSIENT, Problem.ANSWER_LOST)),
    ],
)
@pytest.mark.parametrize(
    "body",
    [HTML, "", "[1]", "null", '{"error": "invalid"}', '{"error": {"code": 7}}', "[" * 1_000_000],
)
async def test_an_unknown_body_is_classified_by_its_status(
    route: GraphRoute, fake_graph: FakeGraph, status: int, meaning: tuple[Kind, Problem], body: str
) -> None:
    """Neither a proxy's page nor unexpected JSON crashes the route."""
    body = "" if status == 204 else body
    answer = GraphAnswer(status=status, body=body, content_type="text/html")
    fake_graph.answers.extend([answer] * 2)
    error = await failure(route)
    if (status, body) == (200, HTML):  # No message got past that proxy.
        meaning = (Kind.TRANSIENT, Problem.UNEXPECTED_REPLY)
    assert (error.fault.kind, error.fault.problem) == meaning
    assert (error.fault.code, error.fault.enhanced) == (status, None)
    assert len(error.fault.text) <= 512
    assert error.submitting is (meaning[1] is Problem.ANSWER_LOST)


@pytest.mark.parametrize("answered", [False, True])
async def test_a_message_over_the_limit_is_still_tried(
    route: GraphRoute, fake_graph: FakeGraph, *, answered: bool
) -> None:
    """Some tenants accept requests over 4 MB; others refuse them, even with an empty 200."""
    assert (REQUEST_LIMIT, SOFT_SIZE_LIMIT) == (4_194_304, 3_145_728)
    assert route.size_limit == 157_286_400
    await route.submit(envelope_to(), large_content(SOFT_SIZE_LIMIT))
    if answered:
        fake_graph.answers.append(GraphAnswer(status=200, body=HTML))
        error = await failure(route, content=large_content(SOFT_SIZE_LIMIT + 1))
        assert error.fault.problem is Problem.UNEXPECTED_REPLY
        fake_graph.answers.append(GraphAnswer(status=200, body=""))
    error = await failure(route, content=large_content(SOFT_SIZE_LIMIT + 1))
    assert (error.fault.kind, error.fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE)
    fake_graph.limit = 2**30
    await route.submit(envelope_to(), large_content(SOFT_SIZE_LIMIT + 1))
    assert len(fake_graph.received) == 2


async def test_an_unreadable_file_raises_oserror(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """Nothing is sent, and the next message goes out normally."""
    for size in (len(CONTENT), 3_000_000):
        short = Content(BytesIO(CONTENT.ljust(size)), size + 1)
        with pytest.raises(OSError, match="shorter"):
            await route.submit(envelope_to(), short)
    assert not fake_graph.received
    assert (await send(route)).accepted


async def test_a_header_with_a_bare_line_feed_is_not_sent(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """A server might read another header after it."""
    content = Content.of(CONTENT.replace(b"Test", b"Test\nBcc: eve@example.com"))
    error = await failure(route, content=content)
    assert error.fault == Fault(Kind.MESSAGE, Problem.BARE_LINEFEED)
    assert not fake_graph.requests
