"""Build the body: text, HTML, inline images and attachments, nested as MIME requires."""

from base64 import encodebytes
from collections.abc import Iterator
from email.message import MIMEPart
from email.policy import SMTP
from html import escape
import logging
import re
from secrets import token_bytes
from typing import Final

from .media import media_type, parameters
from .outgoing import Attachment, OutgoingMessage
from .parts import Base64
from .text import body_text, is_blank, pieces, readable

_LOGGER = logging.getLogger(__name__)

MAX_LINE: Final = 998  # RFC 5322, section 2.1.1.
MAX_FILENAME: Final = 240  # Octets; common file systems take 255.
MAX_PAGE_END: Final = 10_000  # Characters at the end of a page that include its end tags.
# Maximum characters of text that the library encodes: it makes several copies, and does so in one
# go, which blocks other threads.
MAX_LIBRARY_TEXT: Final = 50_000
DEFAULT_FILENAME: Final = "attachment"

# Encodes everything to ASCII, so that no server on the way has to.
_BUILD: Final = SMTP.clone(cte_type="7bit")
# The library folds structured headers incorrectly; these are short enough not to be folded.
_WRITE: Final = _BUILD.clone(max_line_length=MAX_LINE)

_PAGE_END: Final = re.compile(r"</(body|html)\b", re.IGNORECASE)
# Characters that Windows does not allow in names, and invisible ones.
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029<>:"|?*/\\]+')
# Only absolute paths have folders: elsewhere a slash is part of a date or a fraction.
_PATH: Final = re.compile(r"[/\\]|~[/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]")


def build_body(outgoing: OutgoingMessage) -> Iterator[bytes | Base64]:
    """Yield the parts of a message's content headers and body."""
    html = _html(outgoing)
    inline: list[Attachment] = []
    attached: list[Attachment] = []
    for item in outgoing.attachments:
        (inline if html and item.content_id else attached).append(item)
    # The library would hold several copies of the message in memory: give it a few random bytes in
    # place of each attachment and long text.
    stub = token_bytes(30)
    note = body_text(outgoing.note)
    text, html = _with_note(_plain_text(outgoing, html), note), _with_html_note(html, note)
    root = _nest(text, html, inline, attached, stub)
    frame = root.as_bytes(policy=_WRITE).split(encodebytes(stub).replace(b"\n", b"\r\n"))
    bodies = (_encode(body) for body in (text, html) if len(body) > MAX_LIBRARY_TEXT)
    files = (item.content for item in inline + attached)
    yield frame[0]
    for content, rest in zip((*bodies, *files), frame[1:], strict=True):
        yield Base64(content)
        yield rest


def safe_filename(name: str) -> str:
    """Return a file name without folders, on one line, that can be saved on any system."""
    name = readable(name)
    if _PATH.match(name):
        name = re.split(r"[/\\]", name)[-1]
    name = " ".join(_UNSAFE.sub("_", name).split()).strip(" .") or DEFAULT_FILENAME
    stem, dot, suffix = name.rpartition(".")
    room = MAX_FILENAME - len((dot + suffix).encode())
    if not stem or room <= 0:
        return _cut(name, MAX_FILENAME)
    return _cut(stem, room) + dot + suffix


def _html(outgoing: OutgoingMessage) -> str:
    """Return the message's HTML, rendered from its text if that is Markdown; empty if blank."""
    html = body_text((outgoing.text if outgoing.markdown else outgoing.html) or "")
    if is_blank(html):
        return ""
    if not outgoing.markdown:
        return html
    # Imported here because most messages do not need it.
    from .markdown import is_renderable, render  # noqa: PLC0415

    if is_renderable(html):
        return render(html)
    _LOGGER.warning("An email is sent as plain text only: it has too much Markdown to format")
    return ""


def _plain_text(outgoing: OutgoingMessage, html: str) -> str:
    """Return the message's text, or else the text of its HTML."""
    text = body_text(outgoing.text or "")
    if not html or not is_blank(text):
        return text
    # Imported here because most messages do not need it.
    from .plain_text import plain_text  # noqa: PLC0415

    return body_text(plain_text(html))


def _with_note(text: str, note: str) -> str:
    """Return the text with a note for the reader appended."""
    if not note:
        return text
    return f"{text.rstrip()}\n\n{note}\n" if text.strip() else f"{note}\n"


def _with_html_note(html: str, note: str) -> str:
    """Return the HTML, if any, with a note for the reader appended."""
    if not note or not html:
        return html
    found = _PAGE_END.finditer(html, max(len(html) - MAX_PAGE_END, 0))
    ends = {match[1].lower(): match.start() for match in found}
    end = ends.get("body", ends.get("html", len(html)))
    return f"{html[:end]}<p>{escape(note)}</p>{html[end:]}"


def _nest(
    text: str, html: str, inline: list[Attachment], attached: list[Attachment], stub: bytes
) -> MIMEPart:
    """Return the parts of a message, with a stub in place of each attachment's content.

    They nest as RFC 2046 and RFC 2387 require, with only the necessary levels:
    mixed (alternative (text, related (HTML, inline)), attachments).
    """
    root = MIMEPart(policy=_BUILD)
    _set_text(root, text, "plain", stub)
    if html:
        root.make_alternative()
        root.attach(_page(html, inline, stub))
    for item in attached:
        root.add_attachment(
            stub,
            *media_type(item.mime_type),
            filename=safe_filename(item.filename),
            params=parameters(item),
        )
    return root


def _page(html: str, inline: list[Attachment], stub: bytes) -> MIMEPart:
    """Return the HTML with the inline attachments that it shows."""
    page = MIMEPart(policy=_BUILD)
    _set_text(page, html, "html", stub)
    for item in inline:
        page.add_related(
            stub,
            *media_type(item.mime_type),
            filename=safe_filename(item.filename),
            cid=f"<{item.content_id}>",
            disposition="inline",
            params=parameters(item),
        )
    if inline:
        page.set_param("type", "text/html")
    return page


def _set_text(part: MIMEPart, text: str, subtype: str, stub: bytes) -> None:
    """Fill a part with text, or with a stub if the text is long."""
    if len(text) > MAX_LIBRARY_TEXT:
        part.set_content(stub, "text", subtype, params={"charset": "utf-8"})
    else:
        part.set_content(text, subtype=subtype)


def _encode(text: str) -> bytes:
    """Return the bytes of a long text, with CRLF line ends."""
    return b"".join(piece.replace("\n", "\r\n").encode() for piece in pieces(text))


def _cut(text: str, octets: int) -> str:
    """Return the text cut to a number of octets in UTF-8, at a character boundary."""
    return text.encode()[:octets].decode(errors="ignore")
