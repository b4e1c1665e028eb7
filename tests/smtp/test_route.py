"""The session is kept for further messages, and replaced without an error."""

import asyncio

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp import pipeline, session as session_module
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from tests.fake_microsoft import CATALOGUE as ROWS, FakeServer, Script, Step
from tests.promises import IDLE_TIME

from .helpers import (
    ANNA,
    CONTENT,
    account_on,
    commands,
    envelope_to,
    nothing_left_open,
    shorten_timeouts,
)


async def submit(route: SmtpRoute, recipient: str = ANNA) -> Outcome:
    """Submit the message to one recipient."""
    return await route.submit(envelope_to(recipient), Content.of(CONTENT))


async def test_messages_share_a_session(fake_server: FakeServer) -> None:
    """One sign-in is enough for all messages, and QUIT is sent at the end."""
    route = SmtpRoute(account_on(fake_server))
    for _ in range(3):
        await submit(route)
    assert fake_server.connections == fake_server.open_connections == 1
    assert route.server_info
    await route.close()
    await nothing_left_open(fake_server)
    assert commands(fake_server)[-1] == "QUIT"
    await route.close()


async def test_refused_message_keeps_the_session(fake_server: FakeServer) -> None:
    """The next message still uses it."""
    fake_server.script = Script(replies={Step.FINAL: "554 5.6.0 Not this one"}, times=1)
    route = SmtpRoute(account_on(fake_server))
    with pytest.raises(SubmissionError, match="Not this one"):
        await submit(route)
    await submit(route)
    assert fake_server.connections == 1
    await route.close()


async def test_idle_session_is_closed(fake_server: FakeServer) -> None:
    """A session is only kept while it is useful; then there is a new one."""
    route = SmtpRoute(account_on(fake_server, idle_time=0))
    await submit(route)
    await nothing_left_open(fake_server)
    assert commands(fake_server)[-1] == "QUIT"
    await submit(route)
    assert fake_server.connections == 2
    await route.close()


async def test_session_is_kept_for_the_idle_time(
    fake_server: FakeServer, freezer: FrozenDateTimeFactory
) -> None:
    """A session is kept exactly until it was idle for the usual time."""
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    freezer.tick(IDLE_TIME - 1)
    await submit(route)
    freezer.tick(IDLE_TIME - 1)
    for _ in range(5):  # A timer that is due gets its turn.
        await asyncio.sleep(0)
    assert route._session
    assert route._session.is_usable
    freezer.tick(2)
    await nothing_left_open(fake_server)
    assert commands(fake_server)[-1] == "QUIT"
    assert fake_server.connections == 1


async def test_closing_waits_for_quit(fake_server: FakeServer) -> None:
    """Closing waits for a QUIT in progress."""
    route = SmtpRoute(account_on(fake_server, idle_time=0))
    await submit(route)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await route.close()
    assert commands(fake_server)[-1] == "QUIT"
    await nothing_left_open(fake_server)


async def test_old_session_is_closed(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session is closed before the server ends it in the middle of a message."""
    monkeypatch.setattr(session_module, "MAX_AGE", 0.0)
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    await submit(route)
    assert (fake_server.connections, fake_server.open_connections) == (2, 1)
    assert commands(fake_server, 0)[-1] == "QUIT"
    await route.close()


@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")], ids=str)
@pytest.mark.parametrize(
    "spoil",
    [
        {"drop": Step.MAIL},
        {"drop": Step.MAIL, "reset": True},
        {"stall": Step.MAIL},
        {"replies": {Step.MAIL: "421 4.4.1 Connection timed out"}},
    ],
    ids=str,
)
async def test_session_that_dies_in_use_is_replaced(
    fake_server: FakeServer, spoil: dict[str, object], without: tuple[str, ...]
) -> None:
    """The message is sent over a new one, and arrives once."""
    fake_server.script = Script(without=without)
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    assert route._session
    shorten_timeouts(route._session)
    fake_server.script = Script(times=1, without=without, **spoil)  # type: ignore[arg-type]
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections == len(fake_server.received) == 2
    await route.close()
    await nothing_left_open(fake_server)


@pytest.mark.parametrize("last_reply", [None, "421 4.4.2 Connection dropped due to SocketError"])
async def test_dead_session_is_replaced_without_an_error(
    fake_server: FakeServer, last_reply: str | None
) -> None:
    """There is no error."""
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    await asyncio.to_thread(fake_server.hang_up, last_reply)
    await nothing_left_open(fake_server)
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections == 2
    await route.close()


async def test_lost_reply_is_a_fault(fake_server: FakeServer) -> None:
    """A session that breaks after the server has accepted the envelope is an ordinary fault."""
    route = SmtpRoute(account_on(fake_server))
    await submit(route)
    fake_server.script = Script(drop=Step.FINAL, keep=True)
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert caught.value.fault.problem is Problem.ANSWER_LOST
    assert fake_server.connections == 1


async def test_failed_sign_in_submits_nothing(fake_server: FakeServer) -> None:
    """A client that could not sign in has submitted nothing."""
    fake_server.script = Script.for_row(next(row for row in ROWS if row.name == "server_busy"))
    route = SmtpRoute(account_on(fake_server))
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert caught.value.submitting
    fake_server.script = Script(replies={Step.AUTH: "454 4.7.0 Temporary authentication failure"})
    await route.close()
    with pytest.raises(SubmissionError) as caught:
        await submit(route)
    assert not caught.value.submitting


async def test_interruption_is_forgotten_before_the_next_message(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that then fails to connect keeps its place in the order."""
    monkeypatch.setattr(pipeline, "URGENT_PATIENCE", 0.3)
    fake_server.script = Script(stall=Step.FINAL)
    route = SmtpRoute(account_on(fake_server))
    route.interrupt()
    with pytest.raises(SubmissionError):
        await submit(route)
    before = route.was_interrupted
    route.prepare()
    assert (before, route.was_interrupted) == (True, False)
    await route.close()
