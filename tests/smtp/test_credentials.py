"""A password is tried once, with the server's preferred mechanism, and never shown."""

from traceback import format_exception

import pytest

from custom_components.outlook_smtp.delivery.faults import Fault, Kind, Problem, SubmissionError
from custom_components.outlook_smtp.smtp.credentials import Password
from custom_components.outlook_smtp.smtp.probe import probe
from tests.conftest import ADDRESS
from tests.fake_microsoft import FakeServer, Script, Step

from .helpers import SHORT, account_on, commands, probe_fault

SECRET = "geheim-äöü-€"


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (("LOGIN", "XOAUTH2"), "AUTH LOGIN ***"),
        (("LOGIN", "PLAIN"), "AUTH LOGIN ***"),
        (("XOAUTH2", "PLAIN", "LOGIN"), "AUTH PLAIN ***"),
        (("PLAIN",), "AUTH PLAIN ***"),
    ],
)
async def test_refused_password_is_tried_once(
    fake_server: FakeServer, offered: tuple[str, ...], said: str
) -> None:
    """A refused password is not tried with another mechanism: refusals are slow and counted."""
    refusal = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
    fake_server.script = Script(auth_offered=offered, replies={Step.AUTH: refusal})
    await probe_fault(fake_server, credentials=Password(ADDRESS, SECRET))
    assert [line for line in commands(fake_server) if line.startswith("AUTH")] == [said]


async def test_non_ascii_password_works(fake_server: FakeServer) -> None:
    """A password may be in any script."""
    fake_server.add_mailbox("you@outlook.com", SECRET)
    report = await probe(account_on(fake_server, credentials=Password("you@outlook.com", SECRET)))
    assert report.server_info.extensions


async def test_refused_mechanism_is_replaced(fake_server: FakeServer) -> None:
    """A server may refuse the mechanism itself, though it offers it."""
    fake_server.script = Script(auth_offered=("LOGIN",), replies={Step.AUTH: "504 5.7.4 No"})
    fault = await probe_fault(fake_server)
    assert (fault.kind, fault.code) == (Kind.SETUP, 504)


@pytest.mark.parametrize("offered", [(), ("XOAUTH2", "GSSAPI")])
async def test_no_usable_mechanism_is_a_fault(
    fake_server: FakeServer, offered: tuple[str, ...]
) -> None:
    """If no mechanism accepts a password, none is sent, and the offered ones are quoted."""
    fake_server.script = Script(auth_offered=offered)
    fault = await probe_fault(fake_server)
    expected = Fault(Kind.SETUP, Problem.MECHANISM_NOT_OFFERED, text=", ".join(offered))
    assert fault == expected
    assert "AUTH" not in " ".join(commands(fake_server))


async def test_unencodable_password_is_wrong(fake_server: FakeServer) -> None:
    """A password that is not valid text is wrong, and no part of it is quoted."""
    fault = await probe_fault(fake_server, credentials=Password(ADDRESS, "no\udc80text"))
    assert fault == Fault(Kind.CREDENTIALS, Problem.INVALID_CREDENTIALS)


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(drop=Step.AUTH),
        Script(stall=Step.AUTH),
        Script(replies={Step.AUTH: "421 4.3.2 Service not active"}),
        Script(auth_offered=("XOAUTH2",)),
    ],
    ids=["refused", "dropped", "silence", "421", "not offered"],
)
async def test_secret_is_never_shown(fake_server: FakeServer, script: Script) -> None:
    """Neither the account nor any error shows the password."""
    fake_server.script = script
    account = account_on(fake_server, credentials=Password(ADDRESS, SECRET), timeout=SHORT)
    with pytest.raises(SubmissionError) as caught:
        await probe(account)
    shown = [repr(account), repr(caught.value.fault), *format_exception(caught.value)]
    assert ADDRESS in shown[0]
    assert not any(SECRET in text for text in shown)
