"""A composed message is read as intended by every mail reader."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_string
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import default
import re
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.outlook_smtp.message.compose import Composed, compose
from custom_components.outlook_smtp.message.mailbox import Mailbox, parse_mailboxes
from custom_components.outlook_smtp.message.outgoing import Attachment, OutgoingMessage, Priority
from custom_components.outlook_smtp.message.problems import InvalidMessageError

NOW = datetime(2026, 11, 24, 18, 5, 9, tzinfo=timezone(timedelta(hours=-3)))
ME = Mailbox("me@outlook.example", "Home")
PNG = b"\x89PNG\r\n\x1a\n\x00\xff\n."
CALENDAR = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n%bEND:VCALENDAR\r\n"
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "X-Mailer"),
    *("Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"),
]
LEAF_HEADERS = [*HEADERS, "Content-Transfer-Encoding"]

any_text = st.text(st.characters())
any_line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
breaking_text = st.text(
    st.sampled_from('aZ:<>@,;()"\\ =?\r\n\t\0\x85\u2028\ud83d\udfe0'), max_size=99
)
wide_text = st.text(st.sampled_from('aZ 0.,"\\=?_<>@()\tü界🏠\u0301\u200d'), max_size=300)


def composed(sender: Mailbox = ME, **fields: Any) -> Composed:
    """Return a message to Anna with these fields, composed and validated."""
    fields = {"to": parse_mailboxes("anna@example.com", "to"), "title": "Door", **fields}
    result = compose(OutgoingMessage(**fields), sender, now=NOW, product="Home Assistant 2026.11")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", bytes(result.content))
    assert max(map(len, bytes(result.content).split(b"\r\n"))) <= 998
    assert result.utf8 or bytes(result.content).isascii()
    return result


def read(result: Composed) -> EmailMessage:
    """Parse a message as a reader does; it must have no defects."""
    message = message_from_string(bytes(result.content).decode(), policy=default)
    for part in message.walk():
        defects = [*part.defects, *(defect for value in part.values() for defect in value.defects)]
        assert not defects or result.utf8  # The library supports RFC 6532, but reports a defect.
    return message


def sent(**fields: Any) -> EmailMessage:
    """Return a message with these fields as Anna reads it."""
    return read(composed(**fields))


def mailboxes(message: EmailMessage, header: str) -> list[tuple[str, str]]:
    """Return the names and addresses in a header."""
    addresses: tuple[Address, ...] = message[header].addresses
    return [(address.display_name, address.addr_spec) for address in addresses]


def shape(part: MIMEPart) -> Any:
    """Return the nesting of a message's media types."""
    kind = part.get_content_type()
    return (kind, [shape(inner) for inner in part.iter_parts()]) if part.is_multipart() else kind


def said(part: MIMEPart | None) -> str:
    """Return the text of a part with local line ends."""
    assert part is not None
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


def picture(**fields: Any) -> Attachment:
    """Return an attached picture with these fields."""
    return Attachment(
        **{"content": PNG, "filename": "door.png", "mime_type": "image/png", **fields}
    )


def test_plain_message_has_exactly_the_required_headers() -> None:
    """Each header occurs once and is right, the time zone is kept, and the host is not revealed."""
    result = composed(text="Someone is at the door.\nNow.")
    message = read(result)
    assert message.keys() == LEAF_HEADERS
    assert message["From"] == "Home <me@outlook.example>"
    assert message["To"] == "anna@example.com"
    assert message["Date"] == "Tue, 24 Nov 2026 18:05:09 -0300"
    assert message["Message-ID"] == result.message_id
    assert re.fullmatch(r"<[0-9a-f-]{36}@outlook\.example>", result.message_id)
    assert message["X-Mailer"] == "Home Assistant 2026.11"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert message["Content-Type"] == 'text/plain; charset="utf-8"'
    assert said(message) == "Someone is at the door.\nNow.\n"
    assert (result.sender, result.recipients) == ("me@outlook.example", ("anna@example.com",))


def test_message_ids_are_unique() -> None:
    """The same message composed again gets another ID."""
    assert composed().message_id != composed().message_id


def test_content_is_not_in_the_repr() -> None:
    """The content of a message does not reach a log through its repr."""
    assert "secret" not in repr(composed(title="secret"))


def test_blind_copies_are_only_in_the_envelope() -> None:
    """Blind copies are not visible; a message to blind copies only says so."""
    bcc = parse_mailboxes("Eve <eve@hidden.example>", "bcc")
    result = composed(cc=parse_mailboxes("Bob <bob@example.com>", "cc"), bcc=bcc)
    assert result.recipients == ("anna@example.com", "bob@example.com", "eve@hidden.example")
    assert mailboxes(read(result), "Cc") == [("Bob", "bob@example.com")]
    assert mailboxes(read(result), "To") == [("", "anna@example.com")]
    alone = composed(to=(), bcc=bcc)
    assert alone.recipients == ("eve@hidden.example",)
    assert mailboxes(read(alone), "To") == []
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in bytes(alone.content)
    assert "To" not in sent(to=(), cc=bcc)
    for content in (bytes(result.content), bytes(alone.content)):
        assert b"eve" not in content.lower()
        assert b"hidden" not in content


@pytest.mark.parametrize(
    ("priority", "headers"),
    [
        (None, (None, None, None)),
        ("highest", ("1 (Highest)", "high", "urgent")),
        ("high", ("2 (High)", "high", "urgent")),
        ("normal", ("3 (Normal)", "normal", "normal")),
        ("low", ("4 (Low)", "low", "non-urgent")),
        ("lowest", ("5 (Lowest)", "low", "non-urgent")),
    ],
)
def test_priority_is_set_for_every_mail_reader(
    priority: str | None, headers: tuple[str | None, ...]
) -> None:
    """Old and new mail readers, and servers, all understand the priority."""
    message = sent(priority=priority and Priority(priority))
    assert (message["X-Priority"], message["Importance"], message["Priority"]) == headers


@pytest.mark.parametrize(
    ("own", "outgoing_messages", "shown"),
    [("Home", None, "Home"), ("Home", "Alarm", "Alarm"), ("Home", "", ""), ("", "Tür\n", "Tür")],
)
def test_message_may_have_its_own_sender_name(
    own: str, outgoing_messages: str | None, shown: str
) -> None:
    """The account's name is used unless the message has one; the address never changes."""
    message = sent(sender=Mailbox("me@outlook.example", own), sender_name=outgoing_messages)
    assert mailboxes(message, "From") == [(shown, "me@outlook.example")]


def test_replies_go_to_the_reply_to() -> None:
    """Reply-To may have one or more mailboxes."""
    message = sent(reply_to=parse_mailboxes("Zoë <zoe@example.com>, bob@example.com", "reply_to"))
    assert mailboxes(message, "Reply-To") == [("Zoë", "zoe@example.com"), ("", "bob@example.com")]


def test_only_non_ascii_local_parts_need_smtputf8() -> None:
    """A non-ASCII domain has an ASCII form; a non-ASCII local part does not."""
    domain = composed(to=parse_mailboxes("Zoë <zoe@bücher.example>", "to"))
    assert (domain.utf8, domain.recipients) == (False, ("zoe@xn--bcher-kva.example",))
    assert mailboxes(read(domain), "To") == [("Zoë", "zoe@xn--bcher-kva.example")]
    for field in ("to", "cc", "bcc", "reply_to"):
        fields: dict[str, Any] = {field: parse_mailboxes("zoë@bücher.example", field)}
        assert composed(**fields).utf8
    sender = composed(sender=Mailbox("zoë@bücher.example"))
    assert sender.utf8
    assert sender.sender == "zoë@xn--bcher-kva.example"
    assert mailboxes(read(sender), "From") == [("", "zoë@xn--bcher-kva.example")]
    assert sender.message_id.endswith("@xn--bcher-kva.example>")


@pytest.mark.parametrize(
    ("sender", "product", "field"),
    [
        (Mailbox("me"), "Home Assistant", "sender"),
        (Mailbox("me@x.yz\r\nDATA"), "Home Assistant", "sender"),
        (ME, "Home\r\nBcc: eve@x.yz", "product"),
    ],
)
def test_sender_and_product_are_checked(sender: Mailbox, product: str, field: str) -> None:
    """Nothing enters a header unchecked, not even from the integration itself."""
    outgoing = OutgoingMessage(to=(ME,), title="Door")
    with pytest.raises(InvalidMessageError) as caught:
        compose(outgoing, sender, now=datetime.now(UTC), product=product)
    assert caught.value.field == field


def test_longest_headers_are_folded() -> None:
    """A hundred recipients with long names fit on lines that every server accepts."""
    domain = ".".join(["d" * 60, "e" * 60, "f" * 58])
    to = tuple(Mailbox(f"{'a' * 61}{n}@{domain}", f"{'Näme' * 50} {n}") for n in range(100))
    message = sent(to=to, title="w" * 5000, sender=Mailbox(to[0].address, "N" * 2000))
    assert mailboxes(message, "To") == [(mailbox.name, mailbox.address) for mailbox in to]
    assert message["Subject"] == "w" * 999 + "…"
    assert message["From"].addresses[0].display_name == "N" * 999 + "…"


@pytest.mark.parametrize(
    ("title", "raw"),
    [
        ("", b"\r\nSubject:\r\n"),
        ("Door open", b"\r\nSubject: Door open\r\n"),
        ("Tür", b"\r\nSubject: =?utf-8?b?VMO8cg==?=\r\n"),
        ("=?utf-8?q?x?=", b"\r\nSubject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?=\r\n"),
    ],
)
def test_titles_are_only_encoded_if_necessary(title: str, raw: bytes) -> None:
    """Only what would not survive unencoded is encoded."""
    assert raw in bytes(composed(title=title).content)


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("title", "Door \ud83d", "Door \ufffd"),
        ("title", "Door \ud83c\udfe0", "Door 🏠"),
        ("sender_name", "H\ud800me", "H\ufffdme"),
        ("title", "Door\topen\r\nBcc: eve@x.yz\0", "Door open Bcc: eve@x.yz"),
        ("sender_name", "\nMy \x0b\u2028 home\x7f", "My home"),
    ],
)
def test_invalid_header_characters_are_replaced(field: str, value: str, seen: str) -> None:
    """A template that breaks a line or a character does not break the alert."""
    message = sent(**{field: value})
    assert message.keys() == LEAF_HEADERS
    assert (message["Subject"], message["From"].addresses[0].display_name)[field != "title"] == seen


@given(title=any_line | wide_text, name=any_line | wide_text, text=any_text | wide_text)
def test_content_survives_composing(title: str, name: str, text: str) -> None:
    """Titles, names and texts arrive unchanged except for tabs, and no header is added."""
    to = (Mailbox("anna@example.com", name),)
    message = sent(to=to, title=title, text=text, sender_name=name)
    assert message.keys() == LEAF_HEADERS
    assert message["Subject"] == re.sub(" *\t[ \t]*", " ", title).strip()
    shown = re.sub("[ \t]+", " ", name).strip()
    assert mailboxes(message, "To") == [(shown, "anna@example.com")]
    assert mailboxes(message, "From") == [(shown, "me@outlook.example")]
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    shown = re.sub("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]", "\ufffd", whole)
    lines = re.sub(r"\r\n?", "\n", shown)
    assert said(message) == lines.removesuffix("\n") + "\n"


@settings(max_examples=50)
@given(
    title=any_text | breaking_text,
    name=any_text | breaking_text,
    own=any_text | breaking_text,
    text=any_text,
    html=any_text,
    filename=any_text | breaking_text,
)
def test_input_cannot_add_headers(
    *, title: str, name: str, own: str, text: str, html: str, filename: str
) -> None:
    """Any input gives a message with exactly the intended headers."""
    message = sent(
        to=(Mailbox("anna@example.com", name),),
        reply_to=(Mailbox("bert@example.com", name),),
        title=title,
        sender_name=own,
        text=text,
        html=f"<p>{html}</p>",
        attachments=(picture(filename=filename, content_id="door"),),
    )
    assert sorted(message.keys()) == sorted([*HEADERS, "Reply-To"])
    assert [address for _, address in mailboxes(message, "To")] == ["anna@example.com"]
    assert [address for _, address in mailboxes(message, "Reply-To")] == ["bert@example.com"]
    related = ("multipart/related", ["text/html", "image/png"])
    assert shape(message) == ("multipart/alternative", ["text/plain", related])


@given(
    breaking_text | any_text,
    st.sampled_from(
        ["{}", "{}@x.yz", "a{}b@x.yz", "a@{}.yz", "{} <a@x.yz>", "a@x.yz ({})", "{}: a@x.yz;"]
    ),
)
def test_recipients_cannot_add_headers_or_commands(written: str, form: str) -> None:
    """Any text as an address is rejected, or is one word in the envelope."""
    try:
        to = parse_mailboxes(form.format(written), "to")
        result = composed(to=to, reply_to=to)
    except InvalidMessageError:
        return
    assert set(read(result).keys()) == {*LEAF_HEADERS, "Reply-To"}
    for address in result.recipients:
        assert re.fullmatch(r"[^\x00-\x20\x7f-\x9f\s<>]+@[0-9A-Za-z.-]+", address)
        assert len(address.encode()) <= 254


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_breaks_of_a_text_are_kept(ending: str) -> None:
    """Whatever line ends the text has, the reader sees the same lines."""
    content = bytes(composed(text=f"one{ending}{ending}  two").content)
    assert content.endswith(b"\r\n\r\none\r\n\r\n  two\r\n")


def test_html_keeps_the_given_text() -> None:
    """A reader without HTML sees the given text."""
    message = sent(text="Tür auf", html="<h1>Tür auf</h1>")
    assert shape(message) == ("multipart/alternative", ["text/plain", "text/html"])
    assert said(message.get_body(("plain",))) == "Tür auf\n"
    assert said(message.get_body(("html",))) == "<h1>Tür auf</h1>\n"


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_text_is_generated_from_html(text: str | None) -> None:
    """An HTML-only message is readable without HTML: lines, links and images."""
    message = sent(
        text=text,
        html='<h1>Tür</h1><p style="padding-left: 1.2.3em">is&nbsp;open<br>'
        '<a href="http://home.local/">Look</a> <img src="cid:door" alt="Front door"></p>',
    )
    assert shape(message) == ("multipart/alternative", ["text/plain", "text/html"])
    text = "Tür\n\nis open\nLook <http://home.local/> [Front door]\n"
    assert said(message.get_body(("plain",))) == text


@pytest.mark.parametrize("html", ["", " \r\n"])
def test_blank_html_is_ignored(html: str) -> None:
    """An empty form field does not hide the text behind an empty page."""
    assert shape(sent(text="Door", html=html)) == "text/plain"


@pytest.mark.parametrize(
    "html",
    [
        *("<", "<p", "<!-- -->", "</p>", "<!DOCTYPE x>", "<script>1</script>", "\ud800", "\0<p>"),
        *('<?xml version="1.0" encoding="latin-1"?><p>', '<?xml encoding="utf-8">', "<img>"),
        *("<table><tr><td colspan=9999999 rowspan=-1>x", "<div>" * 3000, "<table><td>" * 3000),
        *('<p style="margin-top: 9999999em">', '<p align="x">', "x" * 100_000, "<li>" * 99),
        *('<a href="\r\nBcc: eve@x.yz">x</a>', "<a href>x</a>", "<?xml ?>", '<?XML encoding="u"?>'),
    ],
)
def test_bad_html_is_sent_unchanged(html: str) -> None:
    """Bad HTML from a template is no reason to lose an alert."""
    message = sent(html=html)
    assert shape(message) == ("multipart/alternative", ["text/plain", "text/html"])
    assert len(said(message.get_body(("plain",)))) < 200_000


def test_parts_are_nested_correctly() -> None:
    """Inline images are next to their HTML, files are attached; all bytes arrive."""
    message = sent(
        text="Door",
        html='<img src="cid:door@home">',
        attachments=(picture(content_id="door@home"), picture(filename="b.png")),
    )
    related = ("multipart/related", ["text/html", "image/png"])
    alternative = ("multipart/alternative", ["text/plain", related])
    assert shape(message) == ("multipart/mixed", [alternative, "image/png"])
    inline, attached = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert inline["Content-ID"] == "<door@home>"
    assert (inline.get_content_disposition(), inline.get_filename()) == ("inline", "door.png")
    assert attached["Content-ID"] is None
    assert (attached.get_content_disposition(), attached.get_filename()) == ("attachment", "b.png")
    assert inline.get_content() == attached.get_content() == PNG
    assert all("MIME-Version" not in part for part in message.walk() if part is not message)


def test_inline_image_without_html_is_attached() -> None:
    """A content ID that nothing refers to has no effect."""
    message = sent(text="Door", attachments=(picture(content_id="door"),))
    assert shape(message) == ("multipart/mixed", ["text/plain", "image/png"])
    assert [part.get_content_disposition() for part in message.iter_attachments()] == ["attachment"]


@pytest.mark.parametrize(
    ("given_type", "sent_type"),
    [
        ("image/jpeg", "image/jpeg"),
        ("Text/CSV; charset=utf-16", "text/csv"),
        ("application/vnd.ms-excel.sheet+xml", "application/vnd.ms-excel.sheet+xml"),
        *(
            (bad, "application/octet-stream")
            for bad in (
                *("", "image", "image/", "/png", "a/b/c", "im age/png", "image/png\r\nBcc: e@x.yz"),
                *(
                    "message/rfc822",
                    "message/partial",
                    "multipart/mixed",
                    "bild/ä",
                    "x" * 999 + "/y",
                ),
            )
        ),
    ],
)
def test_attachments_arrive_byte_for_byte(given_type: str, sent_type: str) -> None:
    """Every media type keeps its bytes; invalid or composite types are sent as bytes."""
    content = b"From: x\r\n\r\n--b\na\rb\x00\xff\xfe" + bytes(range(256))
    message = sent(attachments=(picture(content=content, mime_type=given_type),))
    (part,) = message.iter_attachments()
    assert part.get_content_type() == sent_type
    assert part.get_payload(decode=True) == content


@pytest.mark.parametrize(
    ("given_type", "content", "sent_type"),
    [
        ("text/csv", "Tür;offen".encode(), 'text/csv; charset="utf-8"'),
        ("text/csv", b"door;open", 'text/csv; charset="utf-8"'),
        ("text/plain", ("x" * 65_535 + "ü").encode(), 'text/plain; charset="utf-8"'),
        ("text/plain", "Tür".encode("utf-16"), 'text/plain; charset="utf-16"'),
        ("text/plain", "Tür".encode("utf-32"), 'text/plain; charset="utf-32"'),
        ("text/plain", "Tür".encode("latin-1"), "text/plain"),
        ("text/plain", ("x" * 70_000).encode() + b"\xc3", "text/plain"),
        ("text/plain", "日本".encode("iso-2022-jp"), "text/plain"),
        ("text/plain", b"a\0b", "text/plain"),
        (
            "text/csv; Charset=ISO-8859-1",
            "Tür".encode("latin-1"),
            'text/csv; charset="ISO-8859-1"',
        ),
        ("text/csv; charset=base64", b"x", 'text/csv; charset="utf-8"'),
        ("text/csv; charset=none", b"x", 'text/csv; charset="utf-8"'),
        ("text/csv; charset=\r\nBcc:x@y.z; name=x", b"x", 'text/csv; charset="utf-8"'),
        ("text/csv; method=REQUEST", b"x", 'text/csv; charset="utf-8"'),
        ("text/calendar", CALENDAR % b"", 'text/calendar; charset="utf-8"'),
        (
            "text/calendar",
            CALENDAR % b"METHOD:request\r\n",
            'text/calendar; charset="utf-8"; method="REQUEST"',
        ),
        (
            "text/calendar; method=CANCEL; charset=utf-8",
            CALENDAR % b"",
            'text/calendar; charset="utf-8"; method="CANCEL"',
        ),
        ("image/png; charset=utf-8", PNG, "image/png"),
        ("application/json", b"{}", "application/json"),
    ],
)
@pytest.mark.parametrize("content_id", [None, "door"])
def test_texts_have_a_charset_and_calendars_a_method(
    given_type: str, content: bytes, sent_type: str, content_id: str | None
) -> None:
    """The type or the bytes tell; without that, readers guess."""
    item = picture(content=content, mime_type=given_type, content_id=content_id)
    message = sent(html="x", attachments=(item,))
    (part,) = [part for part in message.walk() if part.get_filename()]
    assert part["Content-Type"] == sent_type
    assert part.get_payload(decode=True) == content


@pytest.mark.parametrize(
    ("filename", "seen"),
    [
        ("door.jpg", "door.jpg"),
        ("Tür (1), 'neu' & 50%; a=b.jpg", "Tür (1), 'neu' & 50%; a=b.jpg"),
        ("玄関🏠.jpg", "玄関🏠.jpg"),
        ("/config/www/door.jpg", "door.jpg"),
        ("..\\..\\door.jpg", "door.jpg"),
        ("C:\\pictures\\door.jpg", "door.jpg"),
        ("Report-Apr/2016.csv", "Report-Apr_2016.csv"),
        ("1/2 door\\window.jpg", "1_2 door_window.jpg"),
        ('a"b<c>:d|e?*.jpg', "a_b_c_d_e_.jpg"),
        ("a\r\nBcc: eve@x.yz\0\u2028.jpg", "a_Bcc_ eve@x.yz_.jpg"),
        ("door\ud800.jpg", "door\ufffd.jpg"),
        *((empty, "attachment") for empty in ("", "..", "/a/", " . ")),
        ("a" * 300 + ".jpg", "a" * 236 + ".jpg"),
        ("ü" * 300 + ".jpg", "ü" * 118 + ".jpg"),
        ("🏠" * 300, "🏠" * 60),
        ("a." + "b" * 300, "a." + "b" * 238),
    ],
)
def test_file_names_are_kept_as_far_as_possible(filename: str, seen: str) -> None:
    """A name has no folder and no tricks, fits a disk, and keeps its suffix."""
    message = sent(html="x", attachments=(picture(filename=filename, content_id="a" * 255),))
    (part,) = [part for part in message.walk() if part.get_filename()]
    assert part.get_filename() == seen
    assert part["Content-ID"] == f"<{'a' * 255}>"


@given(filename=any_text | wide_text)
def test_any_file_name_can_be_sent(filename: str) -> None:
    """The received name is never empty, never a path, and never the start of a header."""
    message = sent(attachments=(picture(filename=filename),))
    (part,) = message.iter_attachments()
    seen = part.get_filename()
    assert seen
    assert not re.search(r'[\x00-\x1f/\\"<>:|?*\x7f-\x9f\u2028\u2029]', seen)
    assert part.keys() == ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"]
