"""Sending a message."""

import smtplib

import pytest

from tests.fake_microsoft import FakeServer, Script

from .client import ALIAS, ALICE, BOB, PASSWORD, Pipeline, logged_in, outgoing


@pytest.mark.parametrize(
    ("envelope", "header"),
    [(ALICE, ALICE), (ALIAS, ALIAS), (ALICE, f"Alice A. <{ALIAS}>"), (ALICE.upper(), ALICE)],
)
def test_own_names_are_accepted(fake_server: FakeServer, envelope: str, header: str) -> None:
    """A mailbox may send under each of its names."""
    with logged_in(fake_server) as client:
        client.send_message(outgoing(header), from_addr=envelope)
    assert fake_server.received[0].sender == envelope


@pytest.mark.parametrize(
    ("envelope", "header", "denied"),
    [
        (ALICE, "eve@example.com", "eve@example.com"),
        ("eve@example.com", ALICE, "eve@example.com"),
        (ALICE, f'"{ALICE}" <eve@example.com>', "eve@example.com"),
        (ALICE, f"{ALICE}, eve@example.com", "eve@example.com"),
        (ALICE, f"{ALICE} <eve@example.com>", f"{ALICE} <eve@example.com>"),
        (ALICE, "nobody", "nobody"),
    ],
)
def test_foreign_names_are_refused(
    fake_server: FakeServer, envelope: str, header: str, denied: str
) -> None:
    """A foreign sender is refused with a very long reply."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.ask(f"MAIL FROM:<{envelope}>")
        pipeline.ask(f"RCPT TO:<{BOB}>")
        pipeline.ask("DATA")
        reply = pipeline.ask(f"From: {header}\r\n\r\nHi\r\n.")
    assert reply.startswith(f"554 5.2.252 SendAsDenied; {ALICE} not allowed to send as {denied}; ")
    assert "SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message" in reply
    assert "[BeginDiagnosticData]Cannot submit message. " in reply
    assert "[EndDiagnosticData] [Hostname=" in reply
    assert len(reply) > 2000
    assert not fake_server.received


@pytest.mark.parametrize("content", ["From: {}\n\r\nHi\r\n", "From: {}\r\n\r\nHi\nHo\r\n"])
def test_bare_linefeeds_are_refused(fake_server: FakeServer, content: str) -> None:
    """A bare LF anywhere is refused."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.ask(f"MAIL FROM:<{ALICE}>")
        pipeline.ask(f"RCPT TO:<{BOB}>")
        pipeline.ask("DATA")
        reply = pipeline.ask(content.format(ALICE) + ".")
    assert reply.startswith("550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; ")
    assert not fake_server.received


def test_a_dot_between_linefeeds_is_no_end(fake_server: FakeServer) -> None:
    """Only a dot between two CRLF ends a message."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.ask(f"MAIL FROM:<{ALICE}>")
        pipeline.ask(f"RCPT TO:<{BOB}>")
        pipeline.ask("DATA")
        pipeline.send(f"From: {ALICE}\r\n\r\nHi\n.\r\nHo\n.\nHe")
        assert pipeline.ask(".").startswith("550 5.6.11 ")


def test_size_limit_is_enforced(fake_server: FakeServer) -> None:
    """A message that is too big is refused at MAIL if it is announced, else at its end."""
    fake_server.script = Script(size=1000)
    with logged_in(fake_server) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as announced:
            client.send_message(outgoing(text="x" * 70 + "\n" * 2000))
        assert announced.value.smtp_code == 552
        assert client.mail(ALICE)[0] == 250
        assert client.rcpt(BOB)[0] == 250
        code, text = client.data(f"From: {ALICE}\r\n\r\n{'x' * 70}\r\n" * 100)
        assert (code, text[:6]) == (552, b"5.3.4 ")
        client.send_message(outgoing())
    assert len(fake_server.received) == 1


def test_big_message_arrives_completely(fake_server: FakeServer) -> None:
    """A message of several megabytes arrives complete, including long lines."""
    content = f"From: {ALICE}\r\n\r\n{'x' * 300_000}\r\n{('y' * 76 + '\r\n') * 40_000}"
    with logged_in(fake_server) as client:
        client.sendmail(ALICE, [BOB], content)
    assert fake_server.received[0].content == content.encode()


def test_utf8_is_accepted(fake_server: FakeServer) -> None:
    """Addresses and headers may be in UTF-8."""
    fake_server.add_mailbox("älice@outlook.com", PASSWORD)
    with Pipeline.signed_in(fake_server, "älice@outlook.com") as pipeline:
        assert pipeline.ask("MAIL FROM:<älice@outlook.com> SMTPUTF8 BODY=8BITMIME").startswith(
            "250 "
        )
        assert pipeline.ask("RCPT TO:<böb@example.com>").startswith("250 ")
        pipeline.ask("DATA")
        assert pipeline.ask("From: älice@outlook.com\r\nSubject: Grüße\r\n\r\nHi\r\n.")[:3] == "250"
    assert fake_server.received[0].message["Subject"] == "Grüße"
    assert fake_server.received[0].recipients == ("böb@example.com",)


def test_script_refuses_recipients(fake_server: FakeServer) -> None:
    """A script refuses single recipients; the others get the message."""
    fake_server.script = Script(refuse_recipients={"gone@example.com": "550 5.1.1 User unknown"})
    with logged_in(fake_server) as client:
        refused = client.send_message(outgoing(to=f"Gone@example.com, {BOB}"))
        assert refused == {"Gone@example.com": (550, b"5.1.1 User unknown")}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(outgoing(to="gone@example.com"))
        assert client.docmd("RCPT", "TO:<bob>")[0] == 503
        client.mail(ALICE)
        assert client.docmd("RCPT", "TO:<bob>")[1].startswith(b"5.1.3 Invalid address [")
    assert fake_server.received[0].recipients == (BOB,)


def test_number_of_recipients_is_limited(fake_server: FakeServer) -> None:
    """A transaction accepts a number of recipients and no more."""
    fake_server.script = Script(limit_recipients=2)
    people = [f"{name}@example.com" for name in "abc"]
    with logged_in(fake_server) as client:
        refused = client.send_message(outgoing(to=", ".join(people)))
    assert refused.keys() == {"c@example.com"}
    assert refused["c@example.com"][1].startswith(b"4.5.3 Too many recipients [")
    assert fake_server.received[0].recipients == ("a@example.com", "b@example.com")


def test_number_of_sessions_is_limited(fake_server: FakeServer) -> None:
    """Sessions over the limit may not submit until others are closed."""
    fake_server.mailboxes[ALICE].script = Script(limit_connections=1)
    with logged_in(fake_server) as second, logged_in(fake_server) as third:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            third.send_message(outgoing())
        assert caught.value.smtp_code == 432
        assert b"4.3.2 Concurrent connections limit exceeded" in caught.value.smtp_error
        second.send_message(outgoing())
        second.quit()
        third.send_message(outgoing())
    assert len(fake_server.received) == 2
