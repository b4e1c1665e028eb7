"""The conversation, line by line."""

import re

import pytest

from tests.fake_microsoft import FakeServer, Script

from .client import ALICE, BOB, PASSWORD, Pipeline, encoded

HOST = r"[A-Z0-9]+\.outlook\.office365\.com"
MARK = r" \[[A-Z0-9]+\.[A-Z0-9]+\.PROD\.OUTLOOK\.COM 20\d\d-\d\d-\d\dT[\d:.]{12}Z [0-9A-F]{16}\]"


def test_whole_conversation_is_microsofts(fake_server: FakeServer) -> None:
    """Every line is the one Microsoft's servers send."""
    with Pipeline(fake_server.port) as pipeline:
        greeting = rf"220 {HOST} Microsoft ESMTP MAIL Service ready at .+ \+0000 \[[0-9A-F]{{16}}\]"
        assert re.fullmatch(greeting, pipeline.read()[0])
        pipeline.send("EHLO client.example")
        hello, *offers = pipeline.read()
        assert re.fullmatch(rf"250-{HOST} Hello \[127\.0\.0\.1\]", hello)
        assert offers == [
            "250-SIZE 157286400",
            "250-PIPELINING",
            "250-DSN",
            "250-ENHANCEDSTATUSCODES",
            "250-STARTTLS",
            "250-8BITMIME",
            "250-BINARYMIME",
            "250-CHUNKING",
            "250 SMTPUTF8",
        ]
        assert pipeline.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
        pipeline.encrypt(fake_server.client_context())
        pipeline.send("EHLO client.example")
        offers[4] = "250-AUTH LOGIN XOAUTH2"
        assert pipeline.read()[1:] == offers
        assert pipeline.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert pipeline.ask(encoded(ALICE)) == "334 UGFzc3dvcmQ6"
        assert pipeline.ask(encoded(PASSWORD)) == "235 2.7.0 Authentication successful"
        assert pipeline.ask(f"MAIL FROM:<{ALICE}>") == "250 2.1.0 Sender OK"
        assert pipeline.ask(f"RCPT TO:<{BOB}>") == "250 2.1.5 Recipient OK"
        assert pipeline.ask("DATA") == "354 Start mail input; end with <CRLF>.<CRLF>"
        pipeline.send(f"From: {ALICE}\r\nTo: {BOB}\r\n\r\n..leading dot")
        final = re.fullmatch(
            r"250 2\.0\.0 OK (<[^@>]+@[A-Z0-9.]+\.PROD\.OUTLOOK\.COM>) \[Hostname=[\w.]+\]",
            pipeline.ask("."),
        )
        assert pipeline.ask("QUIT") == "221 2.0.0 Service closing transmission channel"
        assert pipeline.read() == []
    mail = fake_server.received[0]
    assert final
    assert mail.message_id_given == final[1]
    assert (mail.sender, mail.recipients, mail.account) == (ALICE, (BOB,), ALICE)
    assert mail.content == f"From: {ALICE}\r\nTo: {BOB}\r\n\r\n.leading dot\r\n".encode()
    assert mail.tls_version == "TLSv1.3"
    assert mail.message["To"] == BOB


def test_transcript_hides_credentials(fake_server: FakeServer) -> None:
    """The conversation is recorded, but neither passwords nor content."""
    with Pipeline.signed_in(fake_server):
        pass
    transcript = fake_server.sessions[0]
    assert transcript[1] == ("C", "EHLO client.example")
    assert ("C", "AUTH LOGIN ***") in transcript
    assert ("C", "***") in transcript
    assert encoded(PASSWORD) not in str(transcript)
    assert encoded(ALICE) not in str(transcript)


@pytest.mark.parametrize(
    "name", ["host_name", "host.", "two words", "host..example", "bücher.example", ""]
)
def test_ehlo_rejects_invalid_names(fake_server: FakeServer, name: str) -> None:
    """An invalid name is refused as Microsoft refuses it."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        reply = pipeline.ask(f"EHLO {name}")
    assert re.fullmatch(r"501 5\.5\.4 Invalid domain name" + MARK, reply)


@pytest.mark.parametrize("name", ["host", "a-b.example", "[192.0.2.7]", "[IPv6:2001:db8::1]"])
def test_ehlo_accepts_valid_names(fake_server: FakeServer, name: str) -> None:
    """Names and address literals are accepted."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        assert pipeline.ask(f"EHLO {name}") == "250 SMTPUTF8"


def test_error_trailers_differ(fake_server: FakeServer) -> None:
    """No two errors have the same trailer."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        assert pipeline.ask("MAIL FROM:<a@b>") != pipeline.ask("MAIL FROM:<a@b>")


def test_unencrypted_commands_are_rejected(fake_server: FakeServer) -> None:
    """Nothing important is accepted over an unencrypted connection."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        assert pipeline.ask("STARTTLS").startswith("503 5.5.2 Send hello first [")
        pipeline.ask("EHLO client.example")
        for command in ("AUTH LOGIN", f"MAIL FROM:<{ALICE}>"):
            reply = pipeline.ask(command)
            assert reply.startswith("530 5.7.0 Must issue a STARTTLS command first [")


def test_session_starts_over_after_tls(fake_server: FakeServer) -> None:
    """AUTH needs an EHLO after TLS, and MAIL needs AUTH."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        pipeline.ask("EHLO client.example")
        pipeline.ask("STARTTLS")
        pipeline.encrypt(fake_server.client_context())
        assert pipeline.ask("AUTH LOGIN").startswith("503 5.5.2 Send hello first [")
        pipeline.ask("EHLO client.example")
        assert pipeline.ask("STARTTLS").startswith("503 5.5.2 Only one STARTTLS command")
        reply = pipeline.ask(f"MAIL FROM:<{ALICE}>")
        assert reply.startswith("530 5.7.57 Client not authenticated to send mail. [")


def test_commands_out_of_order_are_rejected(fake_server: FakeServer) -> None:
    """A message has a beginning, recipients and an end, in this order."""
    with Pipeline.signed_in(fake_server) as pipeline:
        assert pipeline.ask("AUTH LOGIN").startswith("503 5.5.2 Auth command already specified [")
        assert pipeline.ask(f"RCPT TO:<{BOB}>").startswith("503 5.5.2 Need mail command [")
        assert pipeline.ask("DATA").startswith("503 5.5.2 Need mail command [")
        pipeline.ask(f"MAIL FROM:<{ALICE}>")
        assert pipeline.ask(f"MAIL FROM:<{ALICE}>").startswith(
            "503 5.5.2 Sender already specified ["
        )
        assert pipeline.ask("DATA").startswith("503 5.5.2 Need rcpt command [")
        assert pipeline.ask("RSET") == "250 2.0.0 Resetting"
        assert pipeline.ask(f"MAIL FROM:<{ALICE}>") == "250 2.1.0 Sender OK"
        assert pipeline.ask("NOOP") == "250 2.0.0 OK"


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("MAIL FROM:alice", "501 5.5.4 Invalid arguments"),
        ("MAIL FROM:<alice>", "501 5.1.7 Invalid address"),
        ("MAIL FROM:<älice@example.com>", "501 5.1.7 Invalid address"),
        ("MAIL FROM:<älice@example.com> SMTPUTF8", "250 2.1.0 Sender OK"),
        ("MAIL FROM:<a@b.example> BODY=8BITMIME RET=HDRS", "250 2.1.0 Sender OK"),
        ("MAIL FROM:<a@b.example> BODY=BINARYMIME", "250 2.1.0 Sender OK"),
        ("MAIL FROM:<a@b.example> BODY=MORSE", "501 5.5.4 Invalid arguments"),
        ("MAIL FROM:<a@b.example> COLOR=RED", "501 5.5.4 Unrecognized parameter"),
        ("MAIL FROM:<a@b.example> SIZE=157286400", "250 2.1.0 Sender OK"),
        ("MAIL FROM:<a@b.example> SIZE=157286401", "552 5.3.4 Message size exceeds fixed"),
        ("BDAT", "501 5.5.4 Invalid arguments"),
        ("BDAT 3 MORE", "501 5.5.4 Invalid arguments"),
    ],
)
def test_arguments_are_checked(fake_server: FakeServer, command: str, reply: str) -> None:
    """Arguments are validated."""
    with Pipeline.signed_in(fake_server) as pipeline:
        assert pipeline.ask(command).startswith(reply)


def test_too_many_errors_end_the_session(fake_server: FakeServer) -> None:
    """A client that only sends nonsense is dismissed."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        replies = [pipeline.ask("NONSENSE") for _ in range(5)]
        assert replies[0].startswith("500 5.3.3 Unrecognized command [")
        assert replies[-1].startswith("421 4.7.0 Too many errors")
        assert pipeline.read() == []


def test_endless_line_is_rejected(fake_server: FakeServer) -> None:
    """A line without an end is refused."""
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        assert pipeline.ask("x" * 200_000).startswith("500 5.5.2 Command too long [")


def test_pipelining_works(fake_server: FakeServer) -> None:
    """Commands may be sent without waiting for the replies."""
    with Pipeline.signed_in(fake_server) as pipeline:
        pipeline.send(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA")
        assert [pipeline.read()[0][:3] for _ in range(3)] == ["250", "250", "354"]
        pipeline.send(f"From: {ALICE}\r\n\r\nHi\r\n.\r\nQUIT")
        assert [pipeline.read()[0][:3] for _ in range(2)] == ["250", "221"]


def test_extensions_can_be_chosen(fake_server: FakeServer) -> None:
    """The script determines whether STARTTLS, AUTH and SIZE are offered."""
    fake_server.script = Script(offer_starttls=False, size=1000)
    with Pipeline(fake_server.port) as pipeline:
        pipeline.read()
        pipeline.send("EHLO client.example")
        offers = pipeline.read()
        assert "250-SIZE 1000" in offers
        assert "250-STARTTLS" not in offers
        assert pipeline.ask("STARTTLS").startswith("500 5.3.3 Unrecognized command [")
    fake_server.script = Script(auth_offered=())
    with Pipeline.secured(fake_server) as pipeline:
        pipeline.send("EHLO client.example")
        assert "AUTH" not in str(pipeline.read())
        assert pipeline.ask("AUTH LOGIN").startswith("504 5.7.4 Unrecognized authentication type [")
