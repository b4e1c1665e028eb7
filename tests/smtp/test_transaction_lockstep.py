"""A message that may have arrived is sent in lockstep, so that its progress is known."""

import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Problem, SubmissionError
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import (
    ANNA,
    BERT,
    CONTENT,
    account_on,
    commands,
    envelope_to,
    nothing_left_open,
    submit_over,
)

SIZE = len(CONTENT)


def turns(fake_server: FakeServer) -> str:
    """Return the sequence of turns after the sign-in: C for client, S for server."""
    transcript = fake_server.sessions[-1]
    signed_in = next(place for place, (_, line) in enumerate(transcript) if line.startswith("235"))
    return "".join(speaker for speaker, _ in transcript[signed_in + 1 :])


async def test_every_reply_is_awaited_before_the_next_command(fake_server: FakeServer) -> None:
    """BDAT is not used either, for servers that offer it and never reply."""
    session = await Session.open(account_on(fake_server))
    outcome = await submit_over(session, ANNA, BERT, lockstep=True)
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


async def test_dead_session_is_retried_once(fake_server: FakeServer) -> None:
    """One more attempt is enough: a third one would cause three copies."""
    route = SmtpRoute(account_on(fake_server))
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    fake_server.script = Script(drop=Step.MAIL, times=1)
    assert (await route.submit(envelope_to(ANNA), Content.of(CONTENT))).accepted == (ANNA,)
    assert turns(fake_server) == "CS" * 4
    assert "DATA" in commands(fake_server)
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert commands(fake_server)[-2] == f"BDAT {SIZE} LAST"
    await route.close()


async def test_unusable_sender_keeps_the_session(fake_server: FakeServer) -> None:
    """Nothing is sent, so the session stays usable, and nothing has to be reset."""
    route = SmtpRoute(account_on(fake_server))
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    with pytest.raises(SubmissionError) as caught:
        await route.submit(envelope_to(ANNA, sender="me\r\n@x"), Content.of(CONTENT))
    assert caught.value.fault.problem is Problem.MESSAGE_REFUSED
    await route.submit(envelope_to(ANNA), Content.of(CONTENT))
    assert fake_server.connections == 1
    assert "RSET" not in commands(fake_server)
    await route.close()
    await nothing_left_open(fake_server)
