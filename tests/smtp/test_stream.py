"""A long message is sent without a pause, as fast as the server reads, no further than needed."""

import asyncio
from io import BytesIO
import socket

import pytest

from custom_components.outlook_smtp.delivery.content import PIECE, Content
from custom_components.outlook_smtp.delivery.faults import Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.session import Session
from tests.conftest import until
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import (
    ANNA,
    BERT,
    CONTENT,
    UNKNOWN,
    account_on,
    commands,
    submit_over,
)


def long_content(pieces: int) -> bytes:
    """Return a message with a number of pieces."""
    return CONTENT.ljust(pieces * PIECE - 2, b"z") + b"\r\n"


async def test_chunks_are_sent_without_waiting(fake_server: FakeServer) -> None:
    """All are sent before any reply to the message."""
    fake_server.script = Script(hold=True)
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, ANNA, BERT, content=long_content(5))
    assert outcome.accepted == (ANNA, BERT)
    assert [mail.chunks for mail in fake_server.received] == [5]


@pytest.mark.parametrize("hold", [False, True], ids=["answers at once", "answers after the end"])
async def test_refused_chunk_refuses_the_message(fake_server: FakeServer, hold: bool) -> None:
    """A refused chunk refuses the message, whatever the replies to later chunks."""
    fake_server.script = Script(without=("SIZE",), size=PIECE + 1, hold=hold)
    async with await Session.open(account_on(fake_server)) as session:
        with pytest.raises(SubmissionError) as caught:
            await submit_over(session, ANNA, content=long_content(3))
        fault = caught.value.fault
        assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_TOO_LARGE)
        assert (await submit_over(session, BERT)).accepted == (BERT,)
    assert [mail.recipients for mail in fake_server.received] == [(BERT,)]


async def test_data_without_recipients_gets_a_single_dot(fake_server: FakeServer) -> None:
    """The server gets a single dot, and nothing of the content (RFC 2920, section 3.1)."""
    fake_server.script = Script(
        without=("CHUNKING",), let_begin=True, refuse_recipients={ANNA: UNKNOWN}
    )
    async with await Session.open(account_on(fake_server)) as session:
        outcome = await submit_over(session, ANNA)
        assert commands(fake_server)[-2:] == ["DATA", "(0 bytes of content)"]
        assert list(outcome.refused) == [ANNA]
        assert (await submit_over(session, BERT)).accepted == (BERT,)
    assert [mail.recipients for mail in fake_server.received] == [(BERT,)]


@pytest.mark.parametrize("without", [(), ("CHUNKING",)], ids=str)
async def test_content_is_read_as_fast_as_the_server(
    fake_server: FakeServer, without: tuple[str, ...]
) -> None:
    """Only as much of a message is read as the connection accepts, and the rest later."""
    fake_server.script = Script(stall=Step.CONTENT, times=1, without=without)
    content = long_content(24)
    file = BytesIO(content)
    places: list[int] = []

    def is_at_rest() -> bool:
        places.append(file.tell())
        return places[-1] > 0 and places[-50:] == places[-1:] * 50

    async with await Session.open(account_on(fake_server)) as session:
        line: socket.socket = session.pipeline._transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE // 4)
        submitting = asyncio.create_task(
            submit_over(session, ANNA, content=Content(file, len(content)))
        )
        await until(is_at_rest)
        assert places[-1] < len(content) / 2
        assert not submitting.done()
        fake_server.go_on()
        assert (await submitting).accepted == (ANNA,)
    assert [mail.content for mail in fake_server.received] == [content]
