"""Signing in."""

import smtplib

import pytest

from tests.fake_microsoft import FakeServer

from .client import ALIAS, ALICE, PASSWORD, TOKEN, Pipeline, connected, encoded, xoauth2

WELCOME = "235 2.7.0 Authentication successful"
WRONG = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. ["


@pytest.mark.parametrize("name", [ALICE, ALICE.upper(), ALIAS])
def test_right_password_signs_in(fake_server: FakeServer, name: str) -> None:
    """A password gives access to the mailbox under each of its names."""
    with connected(fake_server) as client:
        assert client.login(name, PASSWORD)[0] == 235


@pytest.mark.parametrize(("name", "password"), [(ALICE, "wrong"), ("nobody@outlook.com", PASSWORD)])
def test_wrong_password_is_refused(fake_server: FakeServer, name: str, password: str) -> None:
    """A wrong password and an unknown name get the same reply, and another attempt."""
    with Pipeline.secured(fake_server) as pipeline:
        pipeline.ask(f"AUTH LOGIN {encoded(name)}")
        assert pipeline.ask(encoded(password)).startswith(WRONG)
        pipeline.ask(f"AUTH LOGIN {encoded(ALICE)}")
        assert pipeline.ask(encoded(PASSWORD)) == WELCOME


@pytest.mark.parametrize("mechanism", ["PLAIN", "OAUTHBEARER", "CRAM-MD5", "NTLM"])
def test_other_mechanisms_are_refused(fake_server: FakeServer, mechanism: str) -> None:
    """Only LOGIN and XOAUTH2 are supported."""
    with Pipeline.secured(fake_server) as pipeline:
        reply = pipeline.ask(f"AUTH {mechanism}")
        assert reply.startswith("504 5.7.4 Unrecognized authentication type [")


def test_token_signs_in(fake_server: FakeServer) -> None:
    """A token works, with the command or after the empty challenge."""
    with Pipeline.secured(fake_server) as pipeline:
        assert pipeline.ask(f"AUTH XOAUTH2 {xoauth2(ALICE, TOKEN)}") == WELCOME
    with Pipeline.secured(fake_server) as pipeline:
        assert pipeline.ask("AUTH XOAUTH2") == "334 "
        assert pipeline.ask(xoauth2(ALICE, TOKEN)) == WELCOME
    assert TOKEN not in str(fake_server.sessions)
    assert xoauth2(ALICE, TOKEN) not in str(fake_server.sessions)


@pytest.mark.parametrize(
    ("name", "token"), [(ALICE, "expired"), (ALIAS, TOKEN), ("eve@outlook.com", TOKEN)]
)
def test_wrong_token_is_refused(fake_server: FakeServer, name: str, token: str) -> None:
    """A token is only valid for its owner's primary name; no challenge explains the refusal."""
    with Pipeline.secured(fake_server) as pipeline:
        reply = pipeline.ask(f"AUTH XOAUTH2 {xoauth2(name, token)}")
        assert reply.startswith("535 5.7.3 Authentication unsuccessful [")


@pytest.mark.parametrize(
    "blob",
    [
        "!",
        "=",
        encoded("user=a"),
        encoded(f"user={ALICE}\x01auth=Bearer {TOKEN}\x01"),
        encoded(f"n,a={ALICE},\x01auth=Bearer {TOKEN}\x01\x01"),
    ],
)
def test_malformed_token_is_reported(fake_server: FakeServer, blob: str) -> None:
    """A malformed response is reported as such."""
    with Pipeline.secured(fake_server) as pipeline:
        reply = pipeline.ask(f"AUTH XOAUTH2 {blob}")
        assert reply.startswith("501 5.5.124 Invalid XOAUTH2 auth data [")


@pytest.mark.parametrize("mechanism", ["LOGIN", "XOAUTH2"])
def test_sign_in_can_be_canceled(fake_server: FakeServer, mechanism: str) -> None:
    """A client may cancel."""
    with Pipeline.secured(fake_server) as pipeline:
        pipeline.ask(f"AUTH {mechanism}")
        assert pipeline.ask("*").startswith("501 5.5.4 Authentication cancelled [")


def test_smtplib_sees_the_refusal(fake_server: FakeServer) -> None:
    """A real client reports code and text."""
    with (
        connected(fake_server) as client,
        pytest.raises(smtplib.SMTPAuthenticationError) as caught,
    ):
        client.login(ALICE, "wrong")
    assert caught.value.smtp_code == 535
    assert b"the user credentials were incorrect" in caught.value.smtp_error
