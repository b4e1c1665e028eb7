"""Extensions that a server offers but does not accept are dropped, and the message is sent."""

import re

import pytest

from custom_components.outlook_smtp.delivery.content import PIECE, Content
from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.delivery.outcome import Outcome
from custom_components.outlook_smtp.smtp.route import SmtpRoute
from custom_components.outlook_smtp.smtp.session import Session
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import (
    ANNA,
    BERT,
    CONTENT,
    account_on,
    commands,
    envelope_to,
    nothing_left_open,
    probe_fault,
    send,
    session_to,
    submit_over,
)
from .test_transaction import ACCEPTED, MAIL_OK, RCPT_OK

# Replies to an unknown command or form (RFC 5321, section 4.2.4).
UNKNOWN_COMMAND = [
    "500 5.3.3 Unrecognized command",
    "500 Line too long",
    "501 5.5.4 Invalid arguments",
    "502 5.5.1 Command not implemented",
    "503 Bad sequence of commands",
    "504 5.5.4 Parameter not implemented",
]
BAD_SEQUENCE = "503 5.5.1 Bad sequence of commands"


async def submit(route: SmtpRoute, *, utf8: bool = False, content: bytes = CONTENT) -> Outcome:
    """Submit a message."""
    return await route.submit(envelope_to(ANNA, utf8=utf8), Content.of(content))


async def fault_of(route: SmtpRoute, *, utf8: bool = False) -> Fault:
    """Submit a message, and return why it is refused."""
    with pytest.raises(SubmissionError) as caught:
        await submit(route, utf8=utf8)
    await route.close()
    return caught.value.fault


async def assert_remembered(fake_server: FakeServer, route: SmtpRoute, *without: str) -> None:
    """Check that another message needs at most one more session, and how it is sent."""
    await route.close()
    before = fake_server.connections
    assert (await submit(route)).accepted == (ANNA,)
    await route.close()
    await nothing_left_open(fake_server)
    assert fake_server.connections == before + 1
    assert not re.search("|".join(without), "\n".join(commands(fake_server)))


@pytest.mark.parametrize(
    "content",
    [CONTENT, CONTENT.ljust(3 * PIECE - 2, b"z") + b"\r\n"],
    ids=["one chunk", "three chunks"],
)
@pytest.mark.parametrize("reply", UNKNOWN_COMMAND)
async def test_bdat_unknown_to_a_proxy_is_replaced_by_data(
    fake_server: FakeServer, reply: str, content: bytes
) -> None:
    """The server's EHLO is passed on, and BDAT is not; from then on, content is sent with DATA."""
    fake_server.script = Script(unknown={"BDAT": reply})
    route = SmtpRoute(account_on(fake_server))
    assert (await submit(route, content=content)).accepted == (ANNA,)
    [mail] = fake_server.received
    assert (mail.chunks, mail.content) == (0, content)
    assert fake_server.connections == 2
    await assert_remembered(fake_server, route, "BDAT")


async def test_refused_bdat_is_replaced_by_data(fake_server: FakeServer) -> None:
    """The same applies to a server that reads the octets and rejects them."""
    fake_server.script = Script(replies={Step.DATA: "502 5.5.1 Not implemented"}, times=1)
    route = SmtpRoute(account_on(fake_server))
    assert (await submit(route)).accepted == (ANNA,)
    assert [mail.chunks for mail in fake_server.received] == [0]
    await assert_remembered(fake_server, route, "BDAT")


@pytest.mark.parametrize("reply", [*UNKNOWN_COMMAND, "555 5.5.4 Unsupported option: SIZE"])
async def test_unknown_parameters_of_mail_are_omitted(fake_server: FakeServer, reply: str) -> None:
    """The sender is sent without them."""
    fake_server.script = Script(unknown={"MAIL .*(SIZE|BODY)": reply})
    route = SmtpRoute(account_on(fake_server))
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections <= 3
    await assert_remembered(fake_server, route, "SIZE", "BODY")


@pytest.mark.parametrize("without", [(), ("CHUNKING",)], ids=str)
async def test_pipelining_that_a_server_does_not_take(
    fake_server: FakeServer, without: tuple[str, ...]
) -> None:
    """After a pipelined command is refused as out of sequence, every reply is awaited."""
    fake_server.script = Script(pretends=("PIPELINING",), without=without)
    route = SmtpRoute(account_on(fake_server))
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections == 2
    await assert_remembered(fake_server, route, "Improper")


async def test_message_is_sent_if_no_extension_works(fake_server: FakeServer) -> None:
    """There is an end to it, and the message is sent."""
    fake_server.script = Script(pretends=("SIZE", "8BITMIME", "PIPELINING", "CHUNKING"))
    route = SmtpRoute(account_on(fake_server))
    assert (await submit(route)).accepted == (ANNA,)
    assert fake_server.connections == 4
    await assert_remembered(fake_server, route, "SIZE", "BODY", "BDAT")


async def test_unsupported_smtputf8_refuses_only_its_messages(fake_server: FakeServer) -> None:
    """Such a message is refused as such, the next one at once, and others are sent."""
    fake_server.script = Script(pretends=("SMTPUTF8",))
    route = SmtpRoute(account_on(fake_server))
    refused = Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
    assert await fault_of(route, utf8=True) == refused
    before = fake_server.connections
    assert await fault_of(route, utf8=True) == refused
    assert fake_server.connections == before + 1
    assert not [line for line in commands(fake_server) if line.startswith("MAIL")]
    assert (await submit(route)).accepted == (ANNA,)
    await route.close()


@pytest.mark.parametrize(
    ("command", "reply", "kind", "problem"),
    [
        ("MAIL", "502 5.5.1 Not implemented", Kind.SETUP, Problem.UNEXPECTED_REPLY),
        ("MAIL", BAD_SEQUENCE, Kind.SETUP, Problem.UNEXPECTED_REPLY),
        ("MAIL", "501 5.5.4 Syntax error", Kind.MESSAGE, Problem.MESSAGE_REFUSED),
        ("RCPT", BAD_SEQUENCE, Kind.SETUP, Problem.UNEXPECTED_REPLY),
        ("(BDAT|DATA)", "502 5.5.1 Not implemented", Kind.SETUP, Problem.UNEXPECTED_REPLY),
    ],
)
async def test_command_refused_in_every_way_fails_no_message(
    fake_server: FakeServer, command: str, reply: str, kind: Kind, problem: Problem
) -> None:
    """No message fails because of it; it is retried in other ways, later in the last one."""
    fake_server.script = Script(unknown={command: reply})
    route = SmtpRoute(account_on(fake_server))
    fault = await fault_of(route)
    assert (fault.kind, fault.problem, fault.reply) == (kind, problem, reply)
    assert fake_server.connections <= 4
    before = fake_server.connections
    assert await fault_of(route) == fault
    assert fake_server.connections == before + 1


@pytest.mark.parametrize(
    "refused",
    [
        "504 5.5.2 Need fully-qualified address",
        "501 Syntax error in address",
        "501 5.1.3 Invalid address",
        "550 5.5.1 Protocol error",
    ],
)
async def test_bad_address_is_no_bad_command(fake_server: FakeServer, refused: str) -> None:
    """It is refused at once, and no extension is dropped because of it."""
    fake_server.script = Script(refuse_recipients={ANNA: refused})
    account = account_on(fake_server)
    async with await Session.open(account) as session:
        outcome = await submit_over(session, ANNA)
    [fault] = outcome.refused.values()
    assert (fault.kind, fault.reply) == (Kind.MESSAGE, refused)
    assert fault.problem is Problem.RECIPIENT_REFUSED
    assert not account.unsupported


@pytest.mark.parametrize(
    ("replies", "refused"),
    [
        ({Step.MAIL: "550 5.7.1 Not you"}, "550 5.7.1 Not you"),
        ({Step.RCPT: "550 5.1.1 Nobody"}, "550 5.1.1 Nobody"),
        ({Step.FINAL: "552 5.3.4 Too large"}, "552 5.3.4 Too large"),
        ({Step.MAIL: "501 5.1.7 Invalid address"}, "501 5.1.7 Invalid address"),
    ],
    ids=str,
)
async def test_commands_after_a_refusal_blame_no_extension(
    fake_server: FakeServer, replies: dict[Step, str], refused: str
) -> None:
    """Commands after it are out of sequence, as every server says."""
    fake_server.script = Script(replies=replies)
    account = account_on(fake_server)
    async with await Session.open(account) as session:
        try:
            outcome = await submit_over(session, ANNA)
            fault = next(iter(outcome.refused.values()))
        except SubmissionError as error:
            fault = error.fault
    assert fault.reply == refused
    assert not account.unsupported


@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")], ids=str)
async def test_refused_content_blames_the_message(
    fake_server: FakeServer, without: tuple[str, ...]
) -> None:
    """DATA itself was accepted, so the message is to blame."""
    fake_server.script = Script(replies={Step.FINAL: "500 Line too long"}, without=without)
    fault = await fault_of(SmtpRoute(account_on(fake_server)))
    assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_REFUSED)


async def test_recipient_out_of_sequence_is_sent_again(
    fake_server: FakeServer,
) -> None:
    """The others get the message, and that one is sent again in lockstep."""
    replies = (MAIL_OK, BAD_SEQUENCE, RCPT_OK, ACCEPTED)
    async with session_to(fake_server, *replies) as session:
        outcome = await submit_over(session, ANNA, BERT)
    assert (outcome.accepted, outcome.left, outcome.refused) == ((BERT,), (ANNA,), {})
    assert session.account.unsupported == {"pipelining"}


async def test_recipient_refused_in_lockstep_has_a_bad_address(fake_server: FakeServer) -> None:
    """In lockstep, it is the address that it does not understand."""
    fake_server.script = Script(without=("PIPELINING",), refuse_recipients={ANNA: "500 What?"})
    [fault] = (await send(fake_server, ANNA)).refused.values()
    assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.RECIPIENT_REFUSED)


@pytest.mark.parametrize("reply", [BAD_SEQUENCE, "535 5.7.8 Not you"])
async def test_oddly_refused_recipient_does_not_affect_others(
    fake_server: FakeServer, reply: str
) -> None:
    """In lockstep, it only affects that recipient."""
    fake_server.script = Script(without=("PIPELINING",), refuse_recipients={ANNA: reply})
    outcome = await send(fake_server, ANNA, BERT)
    assert outcome.accepted == (BERT,)
    [fault] = outcome.refused.values()
    assert (fault.kind, fault.reply) == (Kind.MESSAGE, reply)
    assert fault.problem is Problem.RECIPIENT_REFUSED


@pytest.mark.parametrize("step", [Step.EHLO, Step.EHLO_TLS])
@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("500 5.5.1 Command unrecognized", Problem.EHLO_REFUSED),
        ("502 5.5.1 Command not implemented", Problem.EHLO_REFUSED),
        ("503 5.5.1 Duplicate EHLO", Problem.EHLO_REFUSED),
        ("501 Syntactically invalid EHLO argument", Problem.INVALID_CLIENT_NAME),
        ("504 5.5.2 Need fully-qualified hostname", Problem.INVALID_CLIENT_NAME),
    ],
)
async def test_server_without_ehlo_is_a_fault(
    fake_server: FakeServer, step: Step, reply: str, problem: Problem
) -> None:
    """HELO has no encryption and no sign-in: nothing more is sent, and the reason is reported."""
    fake_server.script = Script(replies={step: reply})
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.problem, fault.reply) == (Kind.SETUP, problem, reply)
    assert commands(fake_server)[-1].startswith("EHLO")


@pytest.mark.parametrize("reply", UNKNOWN_COMMAND)
async def test_encryption_must_work_if_offered(fake_server: FakeServer, reply: str) -> None:
    """There is none, and the password is not sent."""
    fake_server.script = Script(replies={Step.STARTTLS: reply})
    fault = await probe_fault(fake_server)
    expected = (Kind.SETUP, Problem.STARTTLS_NOT_OFFERED, reply)
    assert (fault.kind, fault.problem, fault.reply) == expected
    assert commands(fake_server)[-1] == "STARTTLS"
