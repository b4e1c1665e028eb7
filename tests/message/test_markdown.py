"""Markdown becomes HTML that mail readers show, and that is harmless."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
import re
from typing import override

from hypothesis import example, given, strategies as st
import pytest

from custom_components.outlook_smtp.message.compose import compose
from custom_components.outlook_smtp.message.mailbox import Mailbox
from custom_components.outlook_smtp.message.markdown import SCHEMES, render
from custom_components.outlook_smtp.message.outgoing import Attachment, OutgoingMessage

ME, ANNA = Mailbox("me@outlook.com"), Mailbox("anna@example.com")
VOID = {"br", "hr", "img", "meta"}
TAGS = VOID | {"a", "blockquote", "body", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6"}
TAGS |= {"head", "html", "li", "ol", "p", "pre", "s", "strong", "ul"}
TAGS |= {"table", "tbody", "td", "th", "thead", "tr"}
FRAME = {"align", "border", "cellpadding", "cellspacing", "charset", "content", "name", "role"}
ATTRIBUTES = FRAME | {"alt", "href", "src", "start", "style", "title", "width"}


class Reader(HTMLParser):
    """Parses a page like a mail reader, and finds what must not be in it."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the start of an element."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        """Record the end of an element."""
        if tag not in VOID:
            assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        """Record visible text."""
        self.text += data

    @override
    def handle_comment(self, data: str) -> None:
        """Reject comments: Outlook interprets some."""
        raise AssertionError(data)

    def values(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def read(markdown: str) -> Reader:
    """Read the page of a Markdown text, and check that it is harmless and complete."""
    reader = Reader()
    reader.feed(render(markdown))
    reader.close()
    assert reader.open == []
    assert set(reader.tags) <= TAGS
    assert {name for _, name, _ in reader.attributes} <= ATTRIBUTES
    for address in reader.values("href") + reader.values("src"):
        assert address.partition(":")[0].lower() in (*SCHEMES, "")  # An empty one leads nowhere.
    for style in reader.values("style"):
        assert re.fullmatch(r"[a-z0-9#%,.'; :-]+", style, re.IGNORECASE)
    return reader


PIECES = st.sampled_from(
    [
        *"#*_~`>-+|![](){}<>\"'&;:/\\=\n\t ",
        *("\n\n", "    ", "1. ", "- [ ] ", "```", "|-|-|\n", "![a](", "[a](", "[a]: ", "<a>"),
        *("javascript:alert(1)", "JaVa\tScRiPt:x", "data:text/html,x", "vbscript:x", "file:///x"),
        *("https://example.com/", "cid:door", "mailto:a@b", "&#106;avascript:x", "&colon;", "%0a"),
        *(
            "<script>",
            "</td>",
            "<img src=x onerror=alert(1)>",
            "<!--",
            "-->",
            "<![CDATA[",
            "style=",
        ),
        *(
            '" onclick="x',
            "' onmouseover='x",
            '<https://a.b/?x=">',
            "\0",
            "\x1b",
            "é",
            "🔔",
            "word",
        ),
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200))
@example("[a](javascript:alert(1)) ![a](data:image/svg+xml;base64,PHN2Zz4=) <javascript:x>")
@example('[a](https://x.y/"onclick="x) ![" onerror="x](https://x.y "\\" onload=\\"x")')
@example("[a]\n\n[a]: javascript&colon;alert(1)")
@example("<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n<!-- [if mso]> x -->")
@example('``` " onclick=x style=y\ncode\n```')
def test_html_is_harmless(markdown: str) -> None:
    """No script, no event handler, no unsafe URL, no open element, whatever the input."""
    read(markdown)


@pytest.mark.parametrize(
    "bomb", ["![", "[", "[a](", "*a ", "> ", "- ", "`", "<", "&", "|a|\n|-|\n"]
)
def test_any_depth_can_be_rendered(bomb: str) -> None:
    """Endless nesting still gives a page quickly."""
    read(bomb * 3000)


@pytest.mark.parametrize(
    ("markdown", "tag", "text"),
    [
        ("# Front door", "h1", "Front door"),
        ("Somebody **rang**", "strong", "Somebody rang"),
        ("~~Closed~~ open", "s", "Closed open"),
        ("Say `ring`", "code", "Say ring"),
        ("```yaml\na: <b>\n```", "pre", "a: <b>\n"),
        ("    a: <b>", "pre", "a: <b>"),
        ("> Quoted", "blockquote", "Quoted"),
        ("One\nTwo", "br", "One\nTwo"),
        ("One\n\n---\n\nTwo", "hr", "One\n\nTwo"),
        ("1. One\n2. Two", "ol", "One\nTwo"),
        ("a <b>c</b>", "p", "a <b>c</b>"),
    ],
)
def test_every_element_is_rendered(markdown: str, tag: str, text: str) -> None:
    """Each element is present, and so is every word of the text."""
    reader = read(markdown)
    assert tag in reader.tags
    assert text in reader.text


def test_table_alignment_is_kept() -> None:
    """A cell keeps the alignment of its column in addition to its style."""
    reader = read("| Door | Hours |\n|:--|--:|\n| Front | 3 |")
    cells = [value for tag, name, value in reader.attributes if tag == "td" and name == "style"]
    assert [cell.rpartition(";")[2] for cell in cells[-2:]] == [
        "text-align:left",
        "text-align:right",
    ]


def test_tasks_are_checkboxes() -> None:
    """A task shows whether it is done, without a bullet; other items are unchanged."""
    reader = read("- [ ] Water\n- [x] Feed\n- [X] Walk\n- []\n- [y] No\n-\n\n[ ] Nor this")
    assert "☐ Water" in reader.text
    assert "☑ Feed" in reader.text
    assert "☑ Walk" in reader.text
    assert "[y] No" in reader.text
    assert "[ ] Nor this" in reader.text
    assert len([style for style in reader.values("style") if "list-style-type" in style]) == 3


@pytest.mark.parametrize(
    ("markdown", "addresses"),
    [
        ("[a](https://example.com/?a=1&b=2)", ["https://example.com/?a=1&b=2"]),
        ("See https://example.com/a_b_c/?d=1.", ["https://example.com/a_b_c/?d=1"]),
        ("(http://ha.local:8123), HTTPS://B.C!", ["http://ha.local:8123", "https://B.C"]),
        ("[https://a.b](https://c.d)", ["https://c.d"]),
        ("<https://a.b> `https://c.d`", ["https://a.b"]),
        ("[Plan](homeassistant://navigate/lovelace)", ["homeassistant://navigate/lovelace"]),
        ("[Call](tel:+49123) <mailto:a@example.com>", ["tel:+49123", "mailto:a@example.com"]),
        ("[a](javascript:x) [b](/lovelace) [c](//d.e) [f](file:///g) https://", []),
    ],
)
def test_links_are_rendered(markdown: str, addresses: list[str]) -> None:
    """Links lead where they say; a bare URL is linked; unsafe ones stay text."""
    found = [address.lower() for address in read(markdown).values("href")]
    assert found == [address.lower() for address in addresses]


def test_images_are_rendered() -> None:
    """An image is attached or from the web, and no wider than the page."""
    reader = read("![Front *door*](cid:door) ![](https://a.b/c.png) ![x](data:image/png;base64,AA)")
    assert reader.values("src") == ["cid:door", "https://a.b/c.png"]
    assert reader.values("alt") == ["Front door", ""]
    styles = [value for tag, name, value in reader.attributes if (tag, name) == ("img", "style")]
    assert all(style.startswith("max-width:100%") for style in styles)


def test_dark_mode_is_supported() -> None:
    """The page supports both color schemes, and every background sets a text color."""
    reader = read("# A\n\n`b` [c](https://d.e)\n\n```\nf\n```\n\n|a|\n|-|\n|b|")
    assert reader.values("content").count("light dark") == 2
    for style in reader.values("style"):
        rules = dict(rule.split(":", 1) for rule in style.split(";"))
        assert ("background-color" in rules) is ("color" in rules)


def composed(**parts: object) -> EmailMessage:
    """Return a composed message in Markdown."""
    outgoing = OutgoingMessage(to=(ANNA,), title="Door", markdown=True, **parts)  # type: ignore[arg-type]
    made = compose(outgoing, ME, now=datetime(2026, 11, 24, tzinfo=UTC), product="Test")
    return message_from_bytes(bytes(made.content), policy=policy.default)


def test_email_has_text_and_html() -> None:
    """The text is the message itself, the HTML is rendered from it."""
    mail = composed(text="# Front door\r\n\r\nSomebody **rang**\0.")
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert html
    assert (
        text.get_content().replace("\r\n", "\n")
        == "# Front door\n\nSomebody **rang**\N{REPLACEMENT CHARACTER}.\n"
    )
    assert "<strong>rang</strong>" in html.get_content()


def test_email_shows_its_images() -> None:
    """Attached images are where the Markdown puts them."""
    door = Attachment(
        content=b"\x89PNG", filename="door.png", mime_type="image/png", content_id="door"
    )
    mail = composed(text="![Front door](cid:door)", attachments=(door,))
    _, related = mail.iter_parts()
    page, picture = related.iter_parts()
    assert 'src="cid:door"' in page.get_content()
    assert picture["Content-ID"] == "<door>"
