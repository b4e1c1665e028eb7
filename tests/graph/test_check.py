"""A check finds out whether a message could be sent, without sending one."""

from dataclasses import replace

import pytest

from custom_components.outlook_smtp.delivery.faults import (
    Problem,
    Stage,
)
from custom_components.outlook_smtp.graph.route import GraphRoute
from tests.fake_microsoft import GRAPH_CATALOGUE, FakeGraph, GraphAnswer, GraphRow

from .helpers import (
    check_failure,
    failure,
)


async def test_a_check_sends_nothing(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """Microsoft only reports that the Base64 is invalid."""
    timings = await route.check()
    assert list(timings) == [Stage.CONNECT, Stage.AUTH]
    assert all(0 < seconds < 5 for seconds in timings.values())
    assert len(fake_graph.requests) == 1
    assert not fake_graph.received


@pytest.mark.parametrize("row", GRAPH_CATALOGUE, ids=lambda row: row.name)
async def test_a_check_reports_what_is_wrong_with_the_account(
    route: GraphRoute, fake_graph: FakeGraph, row: GraphRow
) -> None:
    """A message fault counts as unexpected, and a lost answer as a temporary error."""
    fake_graph.answers.extend([row.answer] * 2)
    error = await check_failure(route)
    meaning = row.meaning.replace("answer_lost", "temporary_server_error")
    if meaning.startswith("message "):
        meaning = "transient unexpected_reply"
    assert f"{error.fault.kind} {error.fault.problem}" == meaning
    assert not error.submitting


async def test_an_inner_code_does_not_hide_a_passed_check(
    route: GraphRoute, fake_graph: FakeGraph
) -> None:
    """Codes are compared without regard to case."""
    code = "errorMimeContentInvalidBase64String"
    fake_graph.answers.append(GraphAnswer(status=400, code=code, inner={"code": "New"}))
    assert await route.check()


async def test_an_accepted_check_fails(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """A server that accepts invalid Base64 has not read it."""
    fake_graph.answers.append(GraphAnswer(status=202, body=""))
    error = await check_failure(route)
    assert error.fault.problem is Problem.UNEXPECTED_REPLY


async def test_diagnostics_show_the_last_response(route: GraphRoute, fake_graph: FakeGraph) -> None:
    """There are none before the first response."""
    assert route.describe() is None
    fake_graph.answers.append(replace(GRAPH_CATALOGUE[-1].answer, headers={"request-id": "1-a"}))
    await failure(route)
    assert route.describe() == {
        "host": "127.0.0.1",
        "status": 400,
        "error_code": "errorMessageblocked",
        "request_id": "1-a",
    }
