"""What may have arrived already is handed in with care: it is known where it came to."""

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Problem, SubmissionError
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import ANNA, BERT, CONTENT, account_on, commands, envelope_to, nothing_left_open

SIZE = len(CONTENT)


def turns(fake_server: FakeServer) -> str:
    """Return who spoke after the sign-in, message by outgoing: C for client, S for server."""
    transcript = fake_server.sessions[-1]
    signed_in = next(place for place, (_, line) in enumerate(transcript) if line.startswith("235"))
    return "".join(speaker for speaker, _ in transcript[signed_in + 1 :])


async def test_every_answer_is_heard_before_the_next_command(fake_server: FakeServer) -> None:
    """It goes without BDAT too, for servers that promise it and never answer."""
    session = await Session.open(account_on(fake_server))
    outcome = await session.submit(envelope_to(ANNA, BERT), Content.of(CONTENT), lockstep=True)
    assert outcome.accepted == (ANNA, BERT)
    assert turns(fake_server) == "CS" * 4 + "CS"
    assert commands(fake_server)[-5:] == [
        f"MAIL FROM:<{ADDRESS}> SIZE={SIZE} BODY=8BITMIME",
        f"RCPT TO:<{ANNA}>",
        f"RCPT TO:<{BERT}>",
        "DATA",
        f"({SIZE} bytes of content)",
    ]
    await session.close()


async def test_after_a_session_that_died_unheard(fake_server: FakeServer) -> None:
    """Once more is enough: the third time there would be three copies."""
    route = SmtpRoute(account_on(fake_server))
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    fake_server.script = Script(drop=Step.MAIL, times=1)
    assert (await route.submit(envelope_to(ANNA), Content.of(CONTENT))).accepted == (ANNA,)
    assert turns(fake_server) == "CS" * 4
    assert "DATA" in commands(fake_server)
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert commands(fake_server)[-2] == f"BDAT {SIZE} LAST"
    await route.close()


async def test_a_sender_who_cannot_be_named(fake_server: FakeServer) -> None:
    """Nothing is said of it, so the session stays, alone."""
    route = SmtpRoute(account_on(fake_server))
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    with pytest.raises(SubmissionError) as caught:
        await route.submit(envelope_to(ANNA, sender="me\r\n@x"), Content.of(CONTENT))
    assert caught.value.fault.problem is Problem.MESSAGE_REFUSED
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert fake_server.connections == 1
    await route.close()
    await nothing_left_open(fake_server)
