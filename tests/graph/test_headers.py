"""The headers name exactly the envelope's recipients, and stay the same otherwise."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
import tracemalloc

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.delivery.content import Content
from custom_components.outlook_smtp.delivery.faults import Problem, SubmissionError
from custom_components.outlook_smtp.graph.body import Body
from custom_components.outlook_smtp.graph.headers import is_nameable, name_recipients
from custom_components.outlook_smtp.message.compose import compose
from custom_components.outlook_smtp.message.mailbox import Mailbox
from custom_components.outlook_smtp.message.outgoing import OutgoingMessage
from tests.conftest import ADDRESS

from .helpers import ANNA, BERT, CARL, LARGE

OTHERS = b"From: me@outlook.com\r\nSubject: To: eve@example.com,\r\n Cc: eve@example.com\r\n"


@pytest.mark.parametrize(
    ("fields", "recipients", "named"),
    [
        (b"To: anna@example.com\r\n", (ANNA,), b"To: anna@example.com\r\n"),
        (b"TO : Anna\r\n <ANNA@Example.com>\r\n", (ANNA,), b"TO : Anna\r\n <ANNA@Example.com>\r\n"),
        (b"To: undisclosed-recipients:;\r\n", (ANNA,), b"@Bcc: anna@example.com\r\n"),
        (b"", (ANNA, BERT), b"@Bcc: anna@example.com,\r\n bert@example.com\r\n"),
        (b"Bcc: eve@example.com\r\n", (ANNA,), b"@Bcc: anna@example.com\r\n"),
        (
            b"To: A <anna@example.com>, B <bert@example.com>\r\nCc: carl@example.com\r\n",
            (BERT, CARL),
            b"To: B <bert@example.com>\r\nCc: carl@example.com\r\n",
        ),
        (
            b'To: "<bert@example.com>" <e@a.b>, =?utf-8?b?QkI=?=\r\n <bert@example.com>\r\n',
            (BERT, CARL),
            b"To: =?utf-8?b?QkI=?=\r\n <bert@example.com>\r\n@Bcc: carl@example.com\r\n",
        ),
        (
            b"Cc: carl@example.com (eve@example.com, E), eve@example.com\r\n",
            (CARL,),
            b"Cc: carl@example.com (eve@example.com, E)\r\n",
        ),
        (
            b"To: <anna@example.com> <eve@example.com>\r\n",
            (ANNA,),
            b"@Bcc: anna@example.com\r\n",
        ),
        (b'To: "anna@example.com, <\r\n', (ANNA,), b"@Bcc: anna@example.com\r\n"),
        (
            b"To: anna@example.com\r\nCc: Anna <anna@example.com>, eve@example.com\r\n",
            (ANNA,),
            b"To: anna@example.com\r\nCc: Anna <anna@example.com>\r\n",
        ),
        (
            b"To: anna@example.com\r\n",
            (ANNA, "Bert+x@Example.com"),
            b"To: anna@example.com\r\n@Bcc: Bert+x@Example.com\r\n",
        ),
    ],
)
def test_the_header_names_exactly_the_recipients(
    fields: bytes, recipients: tuple[str, ...], named: bytes
) -> None:
    """Those in To and Cc stay there, the others are added in Bcc, and no one else is left."""
    front, _, back = named.partition(b"@Bcc") if b"@Bcc" in named else (named, b"", b"")
    expected = front + OTHERS + (b"Bcc" + back if back else b"")
    assert name_recipients(fields + OTHERS, recipients) == expected


@pytest.mark.parametrize("stray", [b"\r", b"\n", b"\0"])
def test_bare_cr_lf_and_nul_are_refused(stray: bytes) -> None:
    """Some server may read any of them as a line end, and start a new field."""
    with pytest.raises(SubmissionError) as caught:
        name_recipients(b"Subject: x" + stray + b"Bcc: eve@example.com\r\n", (ANNA,))
    assert caught.value.fault.problem is Problem.BARE_LINEFEED


@pytest.mark.parametrize(
    "address",
    ["a@b.c\r\nBcc: x@y.z", "a@b.c, x@y.z", "a@b.c\n", "<a@b.c>", '"a"@b.c', "ä@b.c", "a", "a@b c"],
)
def test_only_plain_addresses_are_nameable(address: str) -> None:
    """Others could end the field, or be read as several."""
    assert not is_nameable(address)


NAMES = st.text(st.sampled_from('a ",<>()@;:\\=?\u00e4\r\n.'), max_size=20)
BOXES = st.lists(
    st.builds(Mailbox, st.sampled_from([f"{letter}@example.com" for letter in "abcdefgh"]), NAMES),
    max_size=5,
)


def _head(to: list[Mailbox], cc: list[Mailbox], bcc: list[Mailbox]) -> bytes:
    """Return the header of a composed message, without the empty line after it."""
    outgoing = OutgoingMessage(to=tuple(to), cc=tuple(cc), bcc=tuple(bcc), title="T", text="x")
    now = datetime(2026, 11, 28, tzinfo=UTC)
    content = bytes(compose(outgoing, Mailbox(ADDRESS), now=now, product="T").content)
    return content[: content.index(b"\r\n\r\n") + 2]


@settings(max_examples=50)
@given(BOXES, BOXES, BOXES, st.sets(st.sampled_from("abcdefgh"), min_size=1))
def test_every_composed_message_names_exactly_its_recipients(
    to: list[Mailbox], cc: list[Mailbox], bcc: list[Mailbox], letters: set[str]
) -> None:
    """For any names in any fields, according to the standard library's parser."""
    if not (to or cc or bcc):
        return
    head = _head(to, cc, bcc)
    recipients = sorted(f"{letter}@example.com" for letter in letters)
    named = name_recipients(head, recipients)
    old, new = (message_from_bytes(each, policy=policy.default) for each in (head, named))
    found = {
        name: [box.addr_spec for field in new.get_all(name, ()) for box in field.addresses]
        for name in ("To", "Cc", "Bcc")
    }
    assert found["To"] == [box.address for box in to if box.address in recipients]
    assert found["Cc"] == [box.address for box in cc if box.address in recipients]
    assert {*found["To"], *found["Cc"], *found["Bcc"]} == set(recipients)
    assert not {*found["To"], *found["Cc"]} & {*found["Bcc"]}
    others = [(name, value) for name, value in old.items() if name not in found]
    assert others == [(name, value) for name, value in new.items() if name not in found]


async def test_a_message_without_a_body_is_sent_unchanged() -> None:
    """Even the empty line after its header may be missing."""
    body = await Body.of_message(Content.of(b"To: anna@example.com\r\n"), (ANNA,))
    assert b"".join([piece async for piece in body.pieces]) == b"VG86IGFubmFAZXhhbXBsZS5jb20NCg=="
    assert body.length == 32


async def test_a_large_message_is_never_completely_in_memory(tmp_path: Path) -> None:
    """Only a few pieces of half a megabyte are."""
    file = tmp_path / "message"
    file.write_bytes(b"To: anna@example.com\r\n\r\n" + b"x" * LARGE)
    with file.open("rb") as opened:
        tracemalloc.start()
        body = await Body.of_message(Content(opened, file.stat().st_size), (ANNA,))
        sizes = [len(piece) async for piece in body.pieces]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sum(sizes) == body.length > LARGE
    assert peak < LARGE // 5
