"""The media type of an attachment and its parameters."""

from codecs import getincrementaldecoder, lookup
import re
from typing import Final

from .outgoing import Attachment

DEFAULT_TYPE: Final = ("application", "octet-stream")
MAX_PIECE: Final = 65_536  # Bytes that are decoded at once.

_MEDIA_TYPE: Final = re.compile(
    r"(?P<type>[a-z0-9][a-z0-9!#$&^_.+-]{0,63})/(?P<subtype>[a-z0-9][a-z0-9!#$&^_.+-]{0,99})"
)
# Composite types would be parsed and would not arrive byte for byte.
_COMPOSITE: Final = frozenset({"message", "multipart"})
_PARAMETER: Final = re.compile(
    r';\s{0,9}(charset|method)\s{0,9}=\s{0,9}"?([a-z0-9][a-z0-9!#$&^_.+-]{0,39})"?', re.IGNORECASE
)
# A line of a calendar (RFC 5545, section 3.7.2).
_METHOD: Final = re.compile(rb"^METHOD:([A-Za-z0-9-]{1,40})[ \t]{0,9}\r?$", re.MULTILINE)
# Longest first: the byte order mark of UTF-32 begins with that of UTF-16.
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def media_type(text: str) -> tuple[str, str]:
    """Return the two parts of a media type (RFC 6838), or of the generic binary type if invalid."""
    match = _MEDIA_TYPE.fullmatch(text.partition(";")[0].strip().lower())
    if match is None or match["type"] in _COMPOSITE:
        return DEFAULT_TYPE
    return match["type"], match["subtype"]


def parameters(attachment: Attachment) -> dict[str, str]:
    """Return the parameters of an attachment's media type.

    A text gets the charset in its type, or else that of its bytes; without one, readers assume
    ASCII (RFC 2046, section 4.1.2). A calendar gets the method in its type, or else that in its
    content: the two must be the same (RFC 6047, section 2.4).
    """
    kind = media_type(attachment.mime_type)
    if kind[0] != "text":
        return {}
    given = {name.lower(): value for name, value in _PARAMETER.findall(attachment.mime_type)}
    charset = given.get("charset", "")
    charset = charset if _is_charset(charset) else _charset(attachment.content)
    method = given.get("method") or _method(attachment.content) if kind[1] == "calendar" else ""
    found = {"charset": charset, "method": method}
    return {name: value for name, value in found.items() if value}


def _is_charset(name: str) -> bool:
    """Return whether a name is a known charset."""
    try:
        # Some codecs are not for text, such as base64.
        return bool(name) and "".encode(name) is not None and bool(lookup(name))
    except LookupError:
        return False


def _charset(content: bytes) -> str:
    """Return the charset that the bytes reveal, if any."""
    for mark, charset in _MARKS:
        if content.startswith(mark):
            return charset
    # Escape sequences switch between Asian charsets, and text has no NUL.
    if b"\x1b" in content or b"\0" in content:
        return ""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), MAX_PIECE):
            decoder.decode(content[start : start + MAX_PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def _method(content: bytes) -> str:
    """Return a calendar's method, if it has one."""
    match = _METHOD.search(content[:MAX_PIECE])
    return match[1].decode().upper() if match else ""
