"""What may have arrived already is handed in with care: it is known where it came to."""

import pytest

from custom_components.outlook_smtp.smtp.content import Content
from custom_components.outlook_smtp.smtp.faults import Problem, SubmissionError
from custom_components.outlook_smtp.smtp.keeper import SessionKeeper
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import ADDRESS
from tests.standin import Script, StandIn, Step

from .helpers import ANNA, BERT, CONTENT, account_on, commands, envelope_to, nothing_left_open

SIZE = len(CONTENT)


def turns(standin: StandIn) -> str:
    """Return who spoke after the sign-in, letter by letter: C for client, S for server."""
    transcript = standin.sessions[-1]
    signed_in = next(place for place, (_, line) in enumerate(transcript) if line.startswith("235"))
    return "".join(speaker for speaker, _ in transcript[signed_in + 1 :])


async def test_every_answer_is_heard_before_the_next_command(standin: StandIn) -> None:
    """It goes without BDAT too, for servers that promise it and never answer."""
    session = await Session.open(account_on(standin))
    outcome = await session.submit(envelope_to(ANNA, BERT), Content.of(CONTENT), careful=True)
    assert outcome.accepted == (ANNA, BERT)
    assert turns(standin) == "CS" * 4 + "CS"
    assert commands(standin)[-5:] == [
        f"MAIL FROM:<{ADDRESS}> SIZE={SIZE} BODY=8BITMIME",
        f"RCPT TO:<{ANNA}>",
        f"RCPT TO:<{BERT}>",
        "DATA",
        f"({SIZE} bytes of content)",
    ]
    await session.close()


async def test_after_a_session_that_died_unheard(standin: StandIn) -> None:
    """Once more is enough: the third time there would be three copies."""
    keeper = SessionKeeper(account_on(standin))
    await keeper.submit(envelope_to(ANNA), Content.of(CONTENT))
    standin.script = Script(drop=Step.MAIL, times=1)
    assert (await keeper.submit(envelope_to(ANNA), Content.of(CONTENT))).accepted == (ANNA,)
    assert turns(standin) == "CS" * 4
    assert "DATA" in commands(standin)
    await keeper.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert commands(standin)[-2] == f"BDAT {SIZE} LAST"
    await keeper.close()


async def test_a_sender_who_cannot_be_named(standin: StandIn) -> None:
    """Nothing is said of it, so the session stays, alone."""
    keeper = SessionKeeper(account_on(standin))
    await keeper.submit(envelope_to(ANNA), Content.of(CONTENT))
    with pytest.raises(SubmissionError) as caught:
        await keeper.submit(envelope_to(ANNA, sender="me\r\n@x"), Content.of(CONTENT))
    assert caught.value.fault.problem is Problem.MESSAGE_REFUSED
    await keeper.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert standin.connections == 1
    await keeper.close()
    await nothing_left_open(standin)
