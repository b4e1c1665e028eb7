"""A message is built piece by piece, and is the same as the standard library's."""

from email.message import MIMEPart
from email.policy import SMTP
import re

from homeassistant.util import dt as dt_util
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.message.compose import Composed, compose
from custom_components.outlook_smtp.message.mailbox import Mailbox
from custom_components.outlook_smtp.message.outgoing import Attachment, OutgoingMessage
from custom_components.outlook_smtp.message.parts import MAX_PIECE, Base64, MessageParts


def encoded_by_library(raw: bytes) -> bytes:
    """Return the standard library's encoding of an attachment's bytes."""
    part = MIMEPart(policy=SMTP)
    part.set_content(raw, "application", "octet-stream")
    return part.as_bytes().partition(b"\r\n\r\n")[2]


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.integers(0, 3 * MAX_PIECE).map(lambda size: b"\xa7" * size))
def test_attachment_is_encoded_as_by_the_library(raw: bytes) -> None:
    """Byte for byte, and its size is known in advance."""
    encoded = b"".join(Base64(raw))
    assert encoded == encoded_by_library(raw)
    assert Base64(raw).size == len(encoded)


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=200) | st.just(b"x" * (2 * MAX_PIECE + 1)), max_size=5))
def test_pieces_are_small_and_complete(parts: list[bytes]) -> None:
    """No piece exceeds the limit, and reading again gives the same result."""
    content = MessageParts([item for part in parts for item in (part, Base64(part))])
    whole = b"".join(part + b"".join(Base64(part)) for part in parts)
    assert all(len(piece) <= MAX_PIECE for piece in content)
    assert bytes(content) == whole
    assert b"".join(content) == whole
    assert content.size == len(whole)


def attachment(content: bytes, filename: str, content_id: str | None = None) -> Attachment:
    """Return an attachment without a particular type."""
    return Attachment(
        content=content,
        filename=filename,
        mime_type="application/octet-stream",
        content_id=content_id,
    )


def composed(*attachments: Attachment, html: str | None = None) -> Composed:
    """Return a composed message with attachments."""
    outgoing = OutgoingMessage(
        to=(Mailbox("anna@example.com"),),
        title="Files",
        text="Here they are",
        html=html,
        attachments=attachments,
    )
    return compose(outgoing, Mailbox("me@outlook.com"), now=dt_util.utcnow(), product="Test")


@pytest.mark.parametrize("html", [None, '<img src="cid:one">'])
def test_attachments_are_in_their_places(html: str | None) -> None:
    """Inline images, attached files and empty ones are not mixed up."""
    files = [
        attachment(b"first" * 40_000, "first.bin"),
        attachment(b"shown", "one.png", content_id="one"),
        attachment(b"", "empty.txt"),
    ]
    content = bytes(composed(*files, html=html).content)
    for file in files:
        section = re.search(
            rb'filename="%s"[^\0]*?\r\n\r\n(.*?)\r\n--' % file.filename.encode(), content, re.DOTALL
        )
        assert section
        assert section[1].strip() == b"".join(Base64(file.content)).strip()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert content.endswith(b"\r\n")
