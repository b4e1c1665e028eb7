"""The format of a message on disk: only what was written can be read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
import io
import json
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.delivery.envelope import Envelope
from custom_components.outlook_smtp.outbox.entry import (
    MARK,
    MAX_HEAD,
    DamagedError,
    SpoolEntry,
    read_content,
    read_head,
    write_head,
    write_message,
)
from tests.promises import MAX_SHOWN

from .helpers import ANNA, content_of, entry_of

CONTENT = content_of(1)


def read(data: bytes) -> tuple[SpoolEntry, bytes]:
    """Return the record and the content of a file."""
    file = io.BytesIO(data)
    entry = read_head(file)
    return entry, b"".join(read_content(file, entry))


def test_fields_of_later_versions_are_optional() -> None:
    """What a message says about its time is read as it was written, and files without it, too."""
    send_at = datetime(2027, 1, 31, 7, tzinfo=timezone(timedelta(hours=1)))
    entry = entry_of(CONTENT, urgent=True, expires_after=90.5, send_at=send_at)
    found, _ = read(write_head(entry) + CONTENT)
    assert (found.urgent, found.expires_after, found.send_at) == (True, 90.5, send_at)
    old = json.loads(write_head(entry).splitlines()[1])
    for key in ("urgent", "expires_after", "send_at"):
        del old[key]
    found, _ = read(file_saying(json.dumps(old).encode()))
    assert (found.urgent, found.expires_after, found.send_at) == (False, None, None)
    for changes in ({"expires_after": "long"}, {"send_at": "soon"}, {"send_at": 5}):
        with pytest.raises(DamagedError):
            read(file_saying(values(**changes)))


def file_saying(line: bytes) -> bytes:
    """Return a file with a replaced second line and a matching digest."""
    return MARK + sha256(line).hexdigest().encode() + b"\n" + line + b"\n" + CONTENT


def values(**changes: Any) -> bytes:
    """Return the second line of a message's file with changes."""
    line = write_head(entry_of(CONTENT)).splitlines()[1]
    return json.dumps(json.loads(line) | changes).encode()


@settings(max_examples=40)
@given(
    content=st.binary(max_size=2000),
    envelope=st.builds(
        Envelope,
        st.text(min_size=1),
        st.lists(st.text(min_size=1), min_size=1, max_size=20).map(tuple),
        st.booleans(),
    ),
    title=st.text(),
    to=st.lists(st.text(), max_size=20).map(tuple),
    created=st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - The time zone is a separate argument.
)
def test_any_message_can_be_restored(
    content: bytes, envelope: Envelope, title: str, to: tuple[str, ...], created: datetime
) -> None:
    """Whatever its title, its names and its bytes are, nothing of a message changes."""
    entry = SpoolEntry.of(
        envelope, len(content), message_id="<1@example.com>", title=title, to=to, created=created
    )
    file = io.BytesIO()
    written = write_message(file, entry, [content[:7], content[7:]])
    assert written == replace(entry, digest=sha256(content).hexdigest())
    assert read(file.getvalue()) == (written, content)


@pytest.mark.parametrize("pieces", [[], [CONTENT[:-1]], [CONTENT, b"more"]])
def test_content_of_another_size_is_an_error(pieces: list[bytes]) -> None:
    """The metadata given before writing must be true."""
    with pytest.raises(ValueError, match=f"and not {len(CONTENT)}"):
        write_message(io.BytesIO(), entry_of(CONTENT), pieces)


def test_metadata_is_shortened_for_lists() -> None:
    """Titles and names are shortened for the list, and the time is UTC."""
    created = datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    entry = entry_of(CONTENT, title="x" * 1000, to=("y" * 1000, ANNA), created=created)
    assert entry.title == "x" * MAX_SHOWN
    assert entry.to == ("y" * MAX_SHOWN, ANNA)
    assert entry.created.isoformat() == "2026-11-24T08:30:00+00:00"


def test_longest_head_can_be_read() -> None:
    """A hundred recipients with the longest names and addresses fit."""
    entry = entry_of(CONTENT, *["🏠" * 254] * 100, title="🏠" * 1000)
    head = write_head(entry)
    assert len(head) < MAX_HEAD
    assert read(head + CONTENT) == (entry, CONTENT)


def test_record_has_no_content() -> None:
    """The data kept in memory does not include the content."""
    assert b"Alarm 1." in CONTENT
    assert "Alarm 1." not in repr(entry_of(CONTENT))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        MARK,
        b"From: anna@example.com\r\n\r\nHello\r\n",
        b"\0" * 5000,
        MARK + b"0" * 64 + b"\n" + b"x" * (MAX_HEAD + 1) + b"\n",
        write_head(entry_of(CONTENT)).replace(b"message 1", b"message 2") + CONTENT,
        write_head(entry_of(CONTENT)),
        write_head(entry_of(CONTENT)) + CONTENT[:-1],
        write_head(entry_of(CONTENT)) + CONTENT + b"\n",
        write_head(entry_of(CONTENT)) + CONTENT.replace(b"Alarm", b"Alert"),
        write_head(entry_of(CONTENT)).replace(b"anna", b"eve1") + CONTENT,
    ],
)
def test_anything_else_is_damaged(data: bytes) -> None:
    """A file that is incomplete, or foreign, is never accepted as a message."""
    with pytest.raises(DamagedError):
        read(data)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b"\xff\xfe",
        values(recipients=[]),
        values(recipients=None),
        values(to=3),
        values(created="yesterday"),
        values(created="2026-11-24T08:30:00"),
        values(created=5),
        values(size="large"),
        values(size=float("inf")),
        values(size=float("nan")),
        values().replace(b'"digest"', b'"sum"'),
    ],
)
def test_another_version_is_damaged(line: bytes) -> None:
    """A head that is complete but different is not accepted as a message."""
    with pytest.raises(DamagedError, match="another version"):
        read(file_saying(line))


def test_halves_of_characters_of_earlier_versions_can_be_shown() -> None:
    """JSON cannot represent them, and Home Assistant sends JSON to its frontend."""
    half = "Door\ud83d"
    line = values(title=half, to=[half], missing=[[half, half]])
    entry, _ = read(file_saying(line))
    assert (entry.title, entry.to, entry.missing) == ("Door?", ("Door?",), (("Door?", "Door?"),))
