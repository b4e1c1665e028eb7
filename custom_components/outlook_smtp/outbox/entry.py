"""The file format of a spooled message: a head, then the content.

The head has two lines: a format mark with the digest of the second line, and the envelope and other
data as JSON. The content follows byte for byte; it is never completely in memory.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
import json
from typing import Any, BinaryIO, Final

from ..delivery.envelope import Envelope

MAX_PIECE: Final = 65_536  # Bytes of the content to read at once.
MARK: Final = b"outlook_smtp message 1 "
USUAL_HEAD: Final = 4096  # Bytes; a start reads no more of most messages.
MAX_HEAD: Final = 1_000_000  # Bytes; a hundred recipients with names take less than a tenth.
MAX_SHOWN: Final = 200  # Characters to keep of a title and of a recipient, for lists.
MAX_MISSING: Final = 100  # Missing attachments to keep.
_NO_DIGEST: Final = "0" * 64


class DamagedError(Exception):
    """A file does not contain what the spool wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolEntry:
    """The stored data of a message other than its content.

    `to` and `title` let people recognize the message, `hidden` are the recipients of blind copies,
    and `missing` the attachments that were not available, each with the reason. `size` is that of
    the content in bytes, and `digest` its SHA-256, known once the content is written. `split_from`
    is the ID of the message that originally had these recipients, if any. `urgent` says that it has
    a high priority, `expires_after` for how many seconds it is of use, and `send_at` when to send
    it.
    """

    envelope: Envelope
    message_id: str
    title: str
    to: tuple[str, ...]
    created: datetime
    size: int
    digest: str = ""
    hidden: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    split_from: str = ""
    urgent: bool = False
    expires_after: float | None = None
    send_at: datetime | None = None

    @classmethod
    def of(
        cls,
        envelope: Envelope,
        size: int,
        *,
        message_id: str,
        title: str,
        to: tuple[str, ...],
        created: datetime,
        hidden: tuple[str, ...] = (),
        missing: tuple[tuple[str, str], ...] = (),
        urgent: bool = False,
        expires_after: float | None = None,
        send_at: datetime | None = None,
    ) -> SpoolEntry:
        """Return the entry of a message whose content is not written yet."""
        return cls(
            envelope=envelope,
            message_id=message_id,
            title=title[:MAX_SHOWN],
            to=tuple(name[:MAX_SHOWN] for name in to),
            created=created.astimezone(UTC),
            size=size,
            hidden=hidden,
            missing=tuple(
                (name[:MAX_SHOWN], why[:MAX_SHOWN]) for name, why in missing[:MAX_MISSING]
            ),
            urgent=urgent,
            expires_after=expires_after,
            send_at=send_at and send_at.astimezone(UTC),
        )


def write_head(entry: SpoolEntry) -> bytes:
    """Return the head of a message file."""
    line = json.dumps(
        {
            "sender": entry.envelope.sender,
            "recipients": entry.envelope.recipients,
            "utf8": entry.envelope.utf8,
            "message_id": entry.message_id,
            "title": entry.title,
            "to": entry.to,
            "hidden": entry.hidden,
            "missing": entry.missing,
            "split_from": entry.split_from,
            "urgent": entry.urgent,
            "expires_after": entry.expires_after,
            "send_at": entry.send_at and entry.send_at.isoformat(),
            "created": entry.created.isoformat(),
            "size": entry.size,
            "digest": entry.digest,
        }
    ).encode()
    return MARK + sha256(line).hexdigest().encode() + b"\n" + line + b"\n"


def write_message(file: BinaryIO, entry: SpoolEntry, content: Iterable[bytes]) -> SpoolEntry:
    """Write a message into an empty file; return its entry, with the digest of the content.

    Raises `ValueError` if the size of the content differs from that in its entry.
    """
    file.write(write_head(replace(entry, digest=_NO_DIGEST)))
    digest, size = sha256(), 0
    for piece in content:
        digest.update(piece)
        size += len(piece)
        file.write(piece)
    if size != entry.size:
        raise ValueError(f"the content has {size} bytes, and not {entry.size}")
    entry = replace(entry, digest=digest.hexdigest())
    file.seek(0)
    file.write(write_head(entry))
    return entry


def read_head(file: BinaryIO) -> SpoolEntry:
    """Read the head of a message file, and leave the file at the first byte of the content.

    Raises `DamagedError` if the head is not what `write_head` wrote.
    """
    mark = file.readline(len(MARK) + 65)
    line = file.readline(MAX_HEAD)
    if not line.endswith(b"\n"):
        raise DamagedError("it is not a message of this integration, or ends too early")
    if mark != MARK + sha256(line[:-1]).hexdigest().encode() + b"\n":
        raise DamagedError("it is not a message of this integration, or was changed")
    try:
        return _build(json.loads(line))
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise DamagedError("it was written by another version") from error


def read_content(file: BinaryIO, entry: SpoolEntry) -> Iterator[bytes]:
    """Yield the content in pieces, and verify its size and digest at the end.

    Raises `DamagedError` if they do not match.
    """
    digest, size = sha256(), 0
    while piece := file.read(MAX_PIECE):
        digest.update(piece)
        size += len(piece)
        yield piece
    if (size, digest.hexdigest()) != (entry.size, entry.digest):
        raise DamagedError("its content was changed or cut off")


def _build(values: dict[str, Any]) -> SpoolEntry:
    """Build an entry from its JSON form."""
    recipients = values["recipients"]
    created = datetime.fromisoformat(values["created"])
    if not recipients or created.tzinfo is None:
        raise ValueError("a part is missing")
    return SpoolEntry(
        envelope=Envelope(
            str(values["sender"]), tuple(map(str, recipients)), values["utf8"] is True
        ),
        message_id=str(values["message_id"]),
        title=_readable(values["title"]),
        to=tuple(map(_readable, values["to"])),
        created=created,
        size=int(values["size"]),
        digest=str(values["digest"]),
        hidden=tuple(map(str, values.get("hidden", ()))),
        missing=tuple((_readable(name), _readable(why)) for name, why in values.get("missing", ())),
        split_from=str(values.get("split_from", "")),
        urgent=values.get("urgent") is True,
        expires_after=_optional(float, values.get("expires_after")),
        send_at=_optional(_time, values.get("send_at")),
    )


def _optional[T](read: Callable[[Any], T], value: Any) -> T | None:
    """Return a value that earlier versions did not write, if there is one."""
    return None if value is None else read(value)


def _time(value: str) -> datetime:
    """Return a time of day with its time zone."""
    return datetime.fromisoformat(value).astimezone(UTC)


def _readable(value: object) -> str:
    """Return a text without the lone surrogates that earlier versions stored."""
    text = str(value)
    return text if text.isascii() else text.encode(errors="replace").decode()
