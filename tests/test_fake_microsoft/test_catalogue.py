"""Every refusal of the catalogue reaches the client."""

import re

import pytest

from tests.fake_microsoft import CATALOGUE, FakeServer, Row, Script, Step

from .client import ALICE, BOB, PASSWORD, Pipeline, encoded

KINDS = {"message", "transient", "credentials", "account", "quota", "setup"}
COMMANDS = {
    Step.MAIL: f"MAIL FROM:<{ALICE}>",
    Step.RCPT: f"RCPT TO:<{BOB}>",
    Step.DATA: "DATA",
    Step.FINAL: f"From: {ALICE}\r\n\r\nHi\r\n.",
}
# One for each step; tests/smtp/test_replies.py receives all.
LONGEST = {row.step: row for row in sorted(CATALOGUE, key=lambda row: len(row.reply))}.values()


def reach(fake_server: FakeServer, step: Step) -> str:
    """Behave normally up to a step, and return the reply there."""
    if step is Step.GREETING:
        with Pipeline(fake_server.port) as pipeline:
            return pipeline.read()[-1]
    with Pipeline.secured(fake_server) as pipeline:
        pipeline.ask(f"AUTH LOGIN {encoded(ALICE)}")
        reply = pipeline.ask(encoded(PASSWORD))
        for place, command in COMMANDS.items():
            if step is Step.AUTH:
                break
            reply = pipeline.ask(command)
            if place is step:
                break
        return reply


def test_rows_are_complete_and_unique() -> None:
    """Rows have unique names and texts, a code, an enhanced code, a kind and a trailer."""
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)
    assert len({row.reply for row in CATALOGUE}) == len(CATALOGUE)
    for row in CATALOGUE:
        assert re.fullmatch(r"[a-z0-9_]+", row.name)
        assert re.match(r"[45]\d\d [45]\.\d+\.\d+ \S", row.reply), row.name
        assert row.reply.endswith("]"), row.name
        assert row.kind in KINDS, row.name
    assert max(len(row.reply) for row in CATALOGUE) > 2000


@pytest.mark.parametrize("row", LONGEST, ids=lambda row: row.name)
def test_row_arrives(fake_server: FakeServer, row: Row) -> None:
    """A row arrives verbatim at its step, for all or for one mailbox, and then no more."""
    fake_server.script = Script.for_row(row, times=1)
    assert reach(fake_server, row.step) == row.reply
    if row.step is not Step.GREETING:
        fake_server.mailboxes[ALICE].script = Script.for_row(row, times=1)
        assert reach(fake_server, row.step) == row.reply
    assert not fake_server.received
    assert reach(fake_server, row.step)[0] in "23"
