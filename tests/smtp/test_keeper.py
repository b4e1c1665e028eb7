"""The session is kept for the messages that follow, and replaced before anybody hears of it."""

import asyncio

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.outlook_smtp.smtp import session as session_module
from custom_components.outlook_smtp.smtp.content import Content
from custom_components.outlook_smtp.smtp.faults import Problem, SubmissionError
from custom_components.outlook_smtp.smtp.keeper import SessionKeeper
from custom_components.outlook_smtp.smtp.submission import Outcome
from tests.promises import IDLE_TIME
from tests.standin import CATALOGUE as ROWS, Script, StandIn, Step

from .helpers import (
    ANNA,
    CONTENT,
    account_on,
    commands,
    envelope_to,
    grow_impatient,
    nothing_left_open,
)


async def submit(keeper: SessionKeeper, recipient: str = ANNA) -> Outcome:
    """Submit the message to one recipient."""
    return await keeper.submit(envelope_to(recipient), Content.of(CONTENT))


async def test_one_session_for_all(standin: StandIn) -> None:
    """One sign-in serves all messages, and leave is taken in the end."""
    keeper = SessionKeeper(account_on(standin))
    for _ in range(3):
        await submit(keeper)
    assert standin.connections == standin.open_connections == 1
    assert keeper.server_info
    await keeper.close()
    await nothing_left_open(standin)
    assert commands(standin)[-1] == "QUIT"
    await keeper.close()


async def test_a_refused_message_keeps_the_session(standin: StandIn) -> None:
    """The next message goes over it all the same."""
    standin.script = Script(replies={Step.FINAL: "554 5.6.0 Not this one"}, times=1)
    keeper = SessionKeeper(account_on(standin))
    with pytest.raises(SubmissionError, match="Not this one"):
        await submit(keeper)
    await submit(keeper)
    assert standin.connections == 1
    await keeper.close()


async def test_leave_is_taken_after_a_time_of_silence(standin: StandIn) -> None:
    """A session is not held for longer than it is useful, and then there is a new one."""
    keeper = SessionKeeper(account_on(standin), idle_time=0)
    await submit(keeper)
    await nothing_left_open(standin)
    assert commands(standin)[-1] == "QUIT"
    await submit(keeper)
    assert standin.connections == 2
    await keeper.close()


async def test_the_time_of_silence(standin: StandIn, freezer: FrozenDateTimeFactory) -> None:
    """A session is held until nobody needed it for the usual time, and no shorter."""
    keeper = SessionKeeper(account_on(standin))
    await submit(keeper)
    freezer.tick(IDLE_TIME - 1)
    await submit(keeper)
    freezer.tick(IDLE_TIME - 1)
    for _ in range(5):  # A timer that is due has its turn.
        await asyncio.sleep(0)
    assert keeper._session
    freezer.tick(2)
    await nothing_left_open(standin)
    assert commands(standin)[-1] == "QUIT"
    assert standin.connections == 1


async def test_the_end_waits_for_the_leave(standin: StandIn) -> None:
    """Whoever closes while leave is taken comes back when it was taken."""
    keeper = SessionKeeper(account_on(standin), idle_time=0)
    await submit(keeper)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await keeper.close()
    assert commands(standin)[-1] == "QUIT"
    await nothing_left_open(standin)


async def test_too_old(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is left before the server ends it in the middle of a message."""
    monkeypatch.setattr(session_module, "MAX_AGE", 0.0)
    keeper = SessionKeeper(account_on(standin))
    await submit(keeper)
    await submit(keeper)
    assert (standin.connections, standin.open_connections) == (2, 1)
    assert commands(standin, 0)[-1] == "QUIT"
    await keeper.close()


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
async def test_a_session_that_dies_while_it_is_used(
    standin: StandIn, spoil: dict[str, object], without: tuple[str, ...]
) -> None:
    """The message goes over a new one, and arrives once."""
    standin.script = Script(without=without)
    keeper = SessionKeeper(account_on(standin))
    await submit(keeper)
    assert keeper._session
    grow_impatient(keeper._session)
    standin.script = Script(times=1, without=without, **spoil)  # type: ignore[arg-type]
    assert (await submit(keeper)).accepted == (ANNA,)
    assert standin.connections == len(standin.received) == 2
    await keeper.close()
    await nothing_left_open(standin)


@pytest.mark.parametrize("farewell", [None, "421 4.4.2 Connection dropped due to SocketError"])
async def test_a_session_that_died_before_it_is_used(
    standin: StandIn, farewell: str | None
) -> None:
    """Nobody hears of it."""
    keeper = SessionKeeper(account_on(standin))
    await submit(keeper)
    await asyncio.to_thread(standin.hang_up, farewell)
    await nothing_left_open(standin)
    assert (await submit(keeper)).accepted == (ANNA,)
    assert standin.connections == 2
    await keeper.close()


async def test_an_answer_that_is_lost_is_told(standin: StandIn) -> None:
    """A session that breaks after the server has taken the envelope is a fault like any other."""
    keeper = SessionKeeper(account_on(standin))
    await submit(keeper)
    standin.script = Script(drop=Step.FINAL, keep=True)
    with pytest.raises(SubmissionError) as caught:
        await submit(keeper)
    assert caught.value.fault.problem is Problem.ANSWER_LOST
    assert standin.connections == 1


async def test_a_new_session_that_cannot_be_had(standin: StandIn) -> None:
    """Whoever has not been let in has handed nothing in."""
    standin.script = Script.for_row(next(row for row in ROWS if row.name == "server_busy"))
    keeper = SessionKeeper(account_on(standin))
    with pytest.raises(SubmissionError) as caught:
        await submit(keeper)
    assert caught.value.handed_in
    standin.script = Script(replies={Step.AUTH: "454 4.7.0 Temporary authentication failure"})
    await keeper.close()
    with pytest.raises(SubmissionError) as caught:
        await submit(keeper)
    assert not caught.value.handed_in
