"""What a server offers and does not take is done without, and the message goes all the same."""

import re

import pytest

from custom_components.outlook_smtp.smtp.content import PIECE, Content
from custom_components.outlook_smtp.smtp.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.keeper import SessionKeeper
from custom_components.outlook_smtp.smtp.session import Session
from custom_components.outlook_smtp.smtp.submission import Outcome
from tests.standin import Script, StandIn, Step

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
)
from .test_transaction import ACCEPTED, TAKEN, TAKEN_TO, line_to, transaction_over

# What servers say to a command that they do not know, or not like this (RFC 5321, section 4.2.4).
UNKNOWN_COMMAND = [
    "500 5.3.3 Unrecognized command",
    "500 Line too long",
    "501 5.5.4 Invalid arguments",
    "502 5.5.1 Command not implemented",
    "503 Bad sequence of commands",
    "504 5.5.4 Parameter not implemented",
]
BAD_SEQUENCE = "503 5.5.1 Bad sequence of commands"


async def submit(keeper: SessionKeeper, *, utf8: bool = False, content: bytes = CONTENT) -> Outcome:
    """Submit a message."""
    return await keeper.submit(envelope_to(ANNA, utf8=utf8), Content.of(content))


async def fault_of(keeper: SessionKeeper, *, utf8: bool = False) -> Fault:
    """Submit a message, and return why it is refused."""
    with pytest.raises(SubmissionError) as caught:
        await submit(keeper, utf8=utf8)
    await keeper.close()
    return caught.value.fault


async def assert_remembered(standin: StandIn, keeper: SessionKeeper, *without: str) -> None:
    """Check that another message goes over one more session at most, and how."""
    await keeper.close()
    before = standin.connections
    assert (await submit(keeper)).accepted == (ANNA,)
    await keeper.close()
    await nothing_left_open(standin)
    assert standin.connections == before + 1
    assert not re.search("|".join(without), "\n".join(commands(standin)))


@pytest.mark.parametrize(
    "content",
    [CONTENT, CONTENT.ljust(3 * PIECE - 2, b"z") + b"\r\n"],
    ids=["one chunk", "three chunks"],
)
@pytest.mark.parametrize("reply", UNKNOWN_COMMAND)
async def test_chunks_that_a_proxy_does_not_know(
    standin: StandIn, reply: str, content: bytes
) -> None:
    """The server's EHLO is passed on, and BDAT is not; the content goes by DATA, from now on."""
    standin.script = Script(unknown={"BDAT": reply})
    keeper = SessionKeeper(account_on(standin))
    assert (await submit(keeper, content=content)).accepted == (ANNA,)
    [mail] = standin.received
    assert (mail.chunks, mail.content) == (0, content)
    assert standin.connections == 2
    await assert_remembered(standin, keeper, "BDAT")


async def test_chunks_that_are_read_and_refused(standin: StandIn) -> None:
    """The same goes for a server that takes the octets and does not want them."""
    standin.script = Script(replies={Step.DATA: "502 5.5.1 Not implemented"}, times=1)
    keeper = SessionKeeper(account_on(standin))
    assert (await submit(keeper)).accepted == (ANNA,)
    assert [mail.chunks for mail in standin.received] == [0]
    await assert_remembered(standin, keeper, "BDAT")


@pytest.mark.parametrize("reply", [*UNKNOWN_COMMAND, "555 5.5.4 Unsupported option: SIZE"])
async def test_parameters_of_mail_that_a_server_does_not_know(standin: StandIn, reply: str) -> None:
    """The sender is named without them."""
    standin.script = Script(unknown={"MAIL .*(SIZE|BODY)": reply})
    keeper = SessionKeeper(account_on(standin))
    assert (await submit(keeper)).accepted == (ANNA,)
    assert standin.connections <= 3
    await assert_remembered(standin, keeper, "SIZE", "BODY")


@pytest.mark.parametrize("without", [(), ("CHUNKING",)], ids=str)
async def test_flights_that_a_server_does_not_take(
    standin: StandIn, without: tuple[str, ...]
) -> None:
    """Who does not wait is told that this is the wrong time, and then waits for every answer."""
    standin.script = Script(pretends=("PIPELINING",), without=without)
    keeper = SessionKeeper(account_on(standin))
    assert (await submit(keeper)).accepted == (ANNA,)
    assert standin.connections == 2
    await assert_remembered(standin, keeper, "Improper")


async def test_everything_that_is_offered_is_pretended(standin: StandIn) -> None:
    """There is an end to it, and the message goes."""
    standin.script = Script(pretends=("SIZE", "8BITMIME", "PIPELINING", "CHUNKING"))
    keeper = SessionKeeper(account_on(standin))
    assert (await submit(keeper)).accepted == (ANNA,)
    assert standin.connections == 4
    await assert_remembered(standin, keeper, "SIZE", "BODY", "BDAT")


async def test_addresses_beyond_ascii_that_are_only_offered(standin: StandIn) -> None:
    """Such a message is refused for what it is, the next one at once, and others go."""
    standin.script = Script(pretends=("SMTPUTF8",))
    keeper = SessionKeeper(account_on(standin))
    refused = Fault(Kind.MESSAGE, Problem.UTF8_NOT_SUPPORTED)
    assert await fault_of(keeper, utf8=True) == refused
    before = standin.connections
    assert await fault_of(keeper, utf8=True) == refused
    assert standin.connections == before + 1
    assert not [line for line in commands(standin) if line.startswith("MAIL")]
    assert (await submit(keeper)).accepted == (ANNA,)
    await keeper.close()


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
async def test_a_command_that_is_refused_in_every_way(
    standin: StandIn, command: str, reply: str, kind: Kind, problem: Problem
) -> None:
    """No message is given up for it; it is tried in some other ways, and later in the last one."""
    standin.script = Script(unknown={command: reply})
    keeper = SessionKeeper(account_on(standin))
    fault = await fault_of(keeper)
    assert (fault.kind, fault.problem, fault.reply) == (kind, problem, reply)
    assert standin.connections <= 4
    before = standin.connections
    assert await fault_of(keeper) == fault
    assert standin.connections == before + 1


@pytest.mark.parametrize(
    "refused",
    [
        "504 5.5.2 Need fully-qualified address",
        "501 Syntax error in address",
        "501 5.1.3 Invalid address",
        "550 5.5.1 Protocol error",
    ],
)
async def test_a_bad_address_is_no_bad_command(standin: StandIn, refused: str) -> None:
    """It is refused at once, and nothing is done without for its sake."""
    standin.script = Script(refuse_recipients={ANNA: refused})
    account = account_on(standin)
    async with await Session.open(account) as session:
        outcome = await session.submit(envelope_to(ANNA), Content.of(CONTENT))
    [refusal] = outcome.refused
    assert (refusal.fault.kind, refusal.fault.reply) == (Kind.MESSAGE, refused)
    assert refusal.fault.problem is Problem.RECIPIENT_REFUSED
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
async def test_what_follows_a_refusal_in_its_flight_is_blamed_on_nothing(
    standin: StandIn, replies: dict[Step, str], refused: str
) -> None:
    """Whatever comes after it comes at a wrong time, and every server says so."""
    standin.script = Script(replies=replies)
    account = account_on(standin)
    async with await Session.open(account) as session:
        try:
            outcome = await session.submit(envelope_to(ANNA), Content.of(CONTENT))
            fault = outcome.refused[0].fault
        except SubmissionError as error:
            fault = error.fault
    assert fault.reply == refused
    assert not account.unsupported


@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")], ids=str)
async def test_content_that_is_not_understood(standin: StandIn, without: tuple[str, ...]) -> None:
    """By DATA it is no command that is refused in the end, and the message is to blame."""
    standin.script = Script(replies={Step.FINAL: "500 Line too long"}, without=without)
    fault = await fault_of(SessionKeeper(account_on(standin)))
    assert (fault.kind, fault.problem) == (Kind.MESSAGE, Problem.MESSAGE_REFUSED)


async def test_a_recipient_who_comes_at_the_wrong_time_in_a_flight(standin: StandIn) -> None:
    """The others get the message, and that one is named again, after the answers before."""
    async with line_to([TAKEN, BAD_SEQUENCE, TAKEN_TO, ACCEPTED], after=1) as wire:
        transaction = transaction_over(wire, standin, ANNA, BERT)
        outcome = await transaction.run(reset=False)
    assert (outcome.accepted, outcome.left, outcome.refused) == ((BERT,), (ANNA,), ())
    assert transaction.unsupported == {"pipelining"}


async def test_a_recipient_that_a_server_does_not_understand(standin: StandIn) -> None:
    """Said after every answer, it is the address that it does not understand."""
    standin.script = Script(without=("PIPELINING",), refuse_recipients={ANNA: "500 What?"})
    [refusal] = (await send(standin, ANNA)).refused
    assert (refusal.fault.kind, refusal.fault.problem) == (Kind.MESSAGE, Problem.RECIPIENT_REFUSED)


@pytest.mark.parametrize("reply", [BAD_SEQUENCE, "535 5.7.8 Not you"])
async def test_a_recipient_who_is_oddly_refused_while_others_are_taken(
    standin: StandIn, reply: str
) -> None:
    """Said after every answer, it is that recipient's alone."""
    standin.script = Script(without=("PIPELINING",), refuse_recipients={ANNA: reply})
    outcome = await send(standin, ANNA, BERT)
    assert outcome.accepted == (BERT,)
    [refusal] = outcome.refused
    assert (refusal.fault.kind, refusal.fault.reply) == (Kind.MESSAGE, reply)
    assert refusal.fault.problem is Problem.RECIPIENT_REFUSED


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
async def test_a_server_that_does_not_know_ehlo(
    standin: StandIn, step: Step, reply: str, problem: Problem
) -> None:
    """HELO has no encryption and no sign-in: nothing more is said, and the reason is told."""
    standin.script = Script(replies={step: reply})
    fault = await probe_fault(standin)
    assert (fault.kind, fault.problem, fault.reply) == (Kind.SETUP, problem, reply)
    assert commands(standin)[-1].startswith("EHLO")


@pytest.mark.parametrize("reply", UNKNOWN_COMMAND)
async def test_encryption_that_is_only_offered(standin: StandIn, reply: str) -> None:
    """It is none, and the password is not sent."""
    standin.script = Script(replies={Step.STARTTLS: reply})
    fault = await probe_fault(standin)
    expected = (Kind.SETUP, Problem.STARTTLS_NOT_OFFERED, reply)
    assert (fault.kind, fault.problem, fault.reply) == expected
    assert commands(standin)[-1] == "STARTTLS"
