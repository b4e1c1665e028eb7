"""Names an envelope's recipients in the headers, for a route that sends no envelope."""

from collections.abc import Iterable, Iterator
import re
from typing import Final

from ..delivery.faults import Fault, Kind, Problem, SubmissionError

# A line end before a new field, not before a folded line (RFC 5322, section 2.2.3).
_FIELD_END: Final = re.compile(rb"(?<=\r\n)(?![ \t])")
_RECIPIENTS: Final = re.compile(rb"(To|Cc|Bcc)[ \t]*:", re.IGNORECASE)
# One mailbox of a list, with its name and comment, if any.
_MAILBOX: Final = re.compile(
    rb'(?:"(?:[^"\\]|\\.)*+"?|\((?:[^()\\]|\\.)*+\)?|<[^<>]*+>?|[^,"(<])++', re.DOTALL
)
_NAMES: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|\((?:[^()\\]|\\.)*+\)?', re.DOTALL)
_ANGLES: Final = re.compile(rb"<([^<>]*)>")
# Bare CR and LF, which some servers may read as a line end, and NUL, which is forbidden.
_STRAY: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
# RFC 5322, section 3.2.3, and host names: no character that could end an address or a field.
_NAMEABLE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]+@[A-Za-z0-9.\-]+")


def is_nameable(address: str) -> bool:
    """Return whether an address can be put in a header without being read as anything else."""
    return _NAMEABLE.fullmatch(address) is not None


def name_recipients(head: bytes, recipients: Iterable[str]) -> bytes:
    """Return a message's header with exactly the given recipients in it.

    Recipients in To and Cc stay there, with their names; the others are put in Bcc, which
    Microsoft shows to no one. All other fields stay the same, byte for byte, as do To and Cc if
    no mailbox is removed from them.

    Args:
        head: All fields, each with its line end.
        recipients: Bare addresses, all of them nameable.

    Raises:
        SubmissionError: If the header has a stray line break, where a field could begin, or NUL.

    """
    if _STRAY.search(head):
        raise SubmissionError(Fault(Kind.MESSAGE, Problem.BARE_LINEFEED), submitting=True)
    wanted = {address.lower().encode(): address.encode() for address in recipients}
    hidden = dict(wanted)
    fields = []
    for field in _FIELD_END.split(head):
        if match := _RECIPIENTS.match(field):
            if match[1].lower() != b"bcc":
                fields.append(_restrict(field, match.end(), wanted, hidden))
        else:
            fields.append(field)
    if hidden:
        fields.append(_field(b"Bcc:", hidden.values()))
    return b"".join(fields)


def _restrict(
    field: bytes, start: int, wanted: dict[bytes, bytes], hidden: dict[bytes, bytes]
) -> bytes:
    """Return a field without unwanted mailboxes, and remove those it keeps from `hidden`."""
    mailboxes = _MAILBOX.findall(field[start:])
    kept = [mailbox for mailbox in mailboxes if _address(mailbox) in wanted]
    for mailbox in kept:
        hidden.pop(_address(mailbox), None)
    if len(kept) == len(mailboxes):
        return field
    return _field(field[:start], kept) if kept else b""


def _address(mailbox: bytes) -> bytes:
    """Return a mailbox's address in lowercase; with several, the result matches no address."""
    bare = _NAMES.sub(b"", mailbox)
    angles = _ANGLES.findall(bare)
    return (angles[0] if len(angles) == 1 else bare).strip().lower()


def _field(name: bytes, mailboxes: Iterable[bytes]) -> bytes:
    """Return a field with one mailbox per line."""
    return name + b" " + b",\r\n ".join(_stripped(mailboxes)) + b"\r\n"


def _stripped(mailboxes: Iterable[bytes]) -> Iterator[bytes]:
    """Yield mailboxes without the whitespace around them."""
    for mailbox in mailboxes:
        yield mailbox.strip()
