"""The text of an HTML-only email: readable, complete, and always available."""

import re
from time import thread_time

from hypothesis import example, given, strategies as st
import pytest

from custom_components.outlook_smtp.message.plain_text import plain_text

TAGS = ("<{}>", "</{}>", "<{} href=https://a.b alt=c>")
NAMES = [
    *("a", "b", "blockquote", "body", "br", "caption", "center", "dd", "div", "dl", "dt", "em"),
    *("font", "h1", "h6", "head", "hr", "html", "li", "menu", "ol", "option", "p", "q", "section"),
    *("select", "span", "svg", "table", "tbody", "td", "th", "thead", "tr", "ul", "x-y"),
]
SHOWN = [tag.format(name) for tag in TAGS for name in NAMES] + [" ", "\n", "&nbsp;", "<!-- -->"]
PIECES = [
    *SHOWN,
    *("<pre>", "</pre>", "<textarea>", "</textarea>", "<script>", "</script>", "<plaintext>"),
    *("<p hidden>", "<img hidden>", "<div style=display:none", "<a href='", "<ol start=-9>"),
    *(
        "<!",
        "<?xml ",
        "?>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<!DOCTYPE ",
        "</",
        "/>",
        "\0",
        "\r",
    ),
    *(
        "&",
        "&#",
        "&#x",
        "&#0;",
        "&#xd800;",
        "&#x110000;",
        "&lt",
        "=",
        '"',
        "'",
        ";",
        "\xa0",
        "\n\n",
    ),
]
BOMBS = [
    *("<", "</", "<!", "<!--", "<?", "<![CDATA[", "&", "&#", "&#9", "&am", "\n", " ", "\xa0"),
    *("<a ", '<a href="', "<a b='\"", "<a b", "</a ", "<script>", "<title></", "<pre>\n\n"),
    *("<a href=https://a.b>", "<a href=https://a.b>x", "<b><p>", "<p>x", "<br>", "<hr>"),
    *("<td>", "<td>x", "<tr><td>x", "<table><tr><td>x", "<table><ul><tr><td></ul>x</table>"),
    *("<ul><li>", "<ul><li>x", "<ol><li>x<blockquote>", "<li>x</ul>", "<blockquote></ul>"),
    *("<b hidden>", "<b hidden></i>", "<p hidden><br></div>", "<a style=';display '>"),
]
BOMBS_BEHIND = [
    *(
        ("<a style=';", "display "),
        ("<a href='https://", "<"),
        ("<img alt='", "a\n"),
        ("<a ", "b=c "),
    ),
    *(
        ("<a href=https://a.b>", "x<p>"),
        ("<li>", "<blockquote>"),
        ("<ol start=-99999999>", "<li>x"),
    ),
    *(("<blockquote>" * 5, "<p>x"), ("<blockquote>" * 5 + "<pre>", "\nx"), ("<b hidden>", "</i>")),
]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<h1>Door</h1>Open<p>Since <b>n</b><i>oon</i>.</p>\n Now",
            "Door\n\nOpen\n\nSince noon.\n\nNow",
        ),
        ("a<br>b<br/>c</br>d<br><br><br><br>e", "a\nb\nc\nd\n\ne"),
        ("<div>a<br></div><div>b</div><div><br></div><section>c", "a\nb\n\nc"),
        ("<p> a \t\n b&nbsp;<span> c</span>d<wbr>e </p><p>&nbsp;</p><p>f", "a b cde\n\nf"),
        (
            "a &lt;b&gt; &amp;amp; &copy2026 &#x1F514;&#65;&#0065; &nope; R&D 1 < 2",
            "a <b> &amp; ©2026 🔔AA &nope; R&D 1 < 2",
        ),
        ("a<hr>b", "a\n----------\nb"),
        (
            "a<blockquote><p>b<p>c<blockquote>d</blockquote>e</blockquote>f",
            "a\n\n> b\n>\n> c\n>\n> > d\n>\n> e\n\nf",
        ),
        ("a<pre>\n  b  c\n\n\n\td &amp; e\n\n</pre>f", "a\n\n  b  c\n\n\n\td & e\n\nf"),
        ("<blockquote><pre>a\n\n b</pre>", "> a\n\n>  b"),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>e", "a\n  b\nc\n  d\n\ne"),
        (
            "<details><summary>a</summary>b</details><label>c</label> <button>d</button>",
            "a\nb\nc d",
        ),
        ("<!DOCTYPE html><!--[if mso]>x<![endif]--><![if !mso]>a<![endif]><![CDATA[b]]>", "ab"),
    ],
)
def test_text_has_the_lines_of_the_html(html: str, text: str) -> None:
    """Blocks and line breaks end lines, words within a line stay together, entities are decoded."""
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("between", "tags"),
    [
        ("\n", ["address", "center", "div", "dt", "figcaption", "form", "header", "option", "tr"]),
        ("\n\n", ["blockquote", "dl", "figure", "h1", "h6", "ol", "p", "pre", "table", "ul"]),
        ("", ["abbr", "b", "bdi", "code", "font", "q", "s", "small", "span", "sub", "x-y", "o:p"]),
    ],
)
def test_blocks_separate_words_and_other_elements_do_not(between: str, tags: list[str]) -> None:
    """The text has as many words as a reader of the HTML sees."""
    for tag in tags:
        text = plain_text(f"a<{tag}>b</{tag}>c")
        assert text.replace(">", "").replace(" ", "") == f"a{between}b{between}c", tag


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<ul><li>a<li>b<br>c</ul><ol start=9><li>d</li><li>e</li></ol>f",
            "- a\n- b\n  c\n\n9. d\n10. e\n\nf",
        ),
        ("a<ul><li>b<ol><li>c</ol></li><li>d</ul>", "a\n\n- b\n  1. c\n- d"),
        ("<ul><li><p>a</p><p>b</p></li><li><p>c</p></li></ul>", "- a\n\n  b\n\n- c"),
        (
            "<ol start=-1><li>a<li value=7>b<li value=x>c<li value=99999999999>d</ol>",
            "-1. a\n7. b\n8. c\n9. d",
        ),
        ("<ul><li><blockquote>a<br>b</blockquote><li></ul><li>c", "- > a\n  > b\n\n- c"),
        ("<blockquote><ul><li>a</blockquote>b", "> - a\n\nb"),
    ],
)
def test_lists_have_bullets_and_numbers(html: str, text: str) -> None:
    """Items have lines, bullets and indentation, even with missing end tags."""
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<table><caption>Sensors</caption><thead><tr><th>Room</th> <th>°C</th></thead> <tbody>",
            "Sensors\nRoom | °C",
        ),
        (
            "<table><tr><td> Attic </td> <td><p>21</p></td></tr> <tr><td>Hall<td>19</table>End",
            "Attic | 21\nHall | 19\n\nEnd",
        ),
        (
            "<table><tr><td><td>Mon<td>Tue<tr><td>Anna<td><td>7<td></table>",
            "| Mon | Tue\nAnna | | 7",
        ),
        ("<table><tr><td>a<br>b<td><br>c<tr><td>d<td>e</table>", "a\nb\nc\nd | e"),
        ("<table><tr><td>a<td><ul><li>b<li>c</ul><td>d</table>", "a\n\n- b\n- c\n\nd"),
        (
            "<table><tr><td>a<td><table><tr><td>b<td>c<tr><td>d</table><td>e</table>",
            "a\nb | c\nd\ne",
        ),
        ("<table role=presentation><tr><td><h1>a</h1><p>b</p><td>c</table>d", "a\n\nb\n\nc\nd"),
        (
            "<ul><li><table><tr><td>a<td>b<li>c</ul>d</table><li>e</ul>",
            "- a | b\n  - c\n  d\n\n- e",
        ),
        ("a<tr><td>b<td>c</table></tr>d", "a\nb | c\nd"),
    ],
)
def test_cells_of_a_row_are_side_by_side(html: str, text: str) -> None:
    """The cells of a row are on one line; multi-line and layout cells follow one another."""
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            '<a href="https://a.b/?c=1&amp;d=2">Open <b>it</b> </a>now',
            "Open it <https://a.b/?c=1&d=2> now",
        ),
        (
            "<a href=mailto:anna@example.com>Anna</a>, <a href=TEL:+491>call</a>",
            "Anna <mailto:anna@example.com>, call <TEL:+491>",
        ),
        (
            "<a href=https://a.b/>https://a.b</a> <a href=https://a.b/C>A.b/c</a>",
            "https://a.b A.b/c",
        ),
        ("<a href=mailto:c@a.b>c@a.b</a> <a href=tel:+491>+49 1</a>", "c@a.b +49 1"),
        ("<li><a href=https://a.b>https://a.b</a>", "- https://a.b"),
        (
            "<a href=/x>a</a><a href='javascript:x'>b</a><a href>c</a><a name=d>d</a><a href=https://>e",
            "abcde",
        ),
        ("<a href=' https://a.b/\n c<d>\te'>f</a>", "f <https://a.b/%20c%3Cd%3Ee>"),
        ("<a href='\nBcc: e@x.yz'>a</a>", "a"),
        (
            "<a href=https://a.b><div>a</div></a>b<a href=https://c.d>e<a href=https://f.g>h",
            "a <https://a.b>\nbe <https://c.d>h <https://f.g>",
        ),
        (
            "<a href=https://a.b><img src=x></a> <a href=https://c.d><img alt=Logo></a>",
            "<https://a.b> [Logo] <https://c.d>",
        ),
        (
            "<td><a href=https://a.b>a</a><td><a href=https://c.d>c</a>",
            "a <https://a.b> | c <https://c.d>",
        ),
        ("<a href=https://a.b href=https://c.d>a</a>", "a <https://a.b>"),
        ("<pre>a <a href=https://a.b>b</a>\n c</pre>", "a b <https://a.b>\n c"),
    ],
)
def test_links_are_followed_by_their_urls(html: str, text: str) -> None:
    """A useful URL is written once, and cannot break out of its brackets."""
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<img src="cid:door" alt="Front&#10; door"> open', "[Front door] open"),
        ("a<img alt=b>c<img alt=''><img src=https://a.b/pixel.gif>d<img alt>", "a[b]cd"),
        ("<pre>a <img alt=b>", "a [b]"),
    ],
)
def test_images_become_their_alternative_texts(html: str, text: str) -> None:
    """The description of an image is in brackets; an image without one is omitted."""
    assert plain_text(html) == text


@pytest.mark.parametrize(
    "hidden",
    [
        *("<head><title>x</title><style>p{}</style><meta x></head>", "<script>x='<p>'</script>"),
        *("<template>x<p>x</template>", "<datalist><option>x</datalist>", "<iframe>x</iframe>"),
        *("<div hidden>x<div>x</div><br>x</div>", "<div style='color:red;DISPLAY : none'>x</div>"),
        *("<b style='visibility:hidden'>x<b>x</i></b>x</b>", "<img hidden alt=x>", "<!-- x -->"),
        *("<div><span hidden>x</div>", "<div><p hidden>x</div>", "<p hidden><b>x</b><div></div>"),
        *("<ul><li hidden>x<li></ul>", "<table><tr hidden><td>x<tr><td></table>", "<p hidden>x<p>"),
        *("<tr><td hidden>x</tr>", "<dl><dd hidden>x<dt></dl>", "<p hidden/>", "<br hidden>"),
    ],
)
def test_hidden_elements_are_omitted(hidden: str) -> None:
    """What no mail reader shows is omitted, but nothing after it."""
    assert plain_text(f"a {hidden} b").split() == ["a", "b"]


@given(st.lists(st.sampled_from(SHOWN + ["word"] * 20)))
def test_no_word_is_lost(pieces: list[str]) -> None:
    """With missing, wrong or misplaced tags, all words are there, in order."""
    html = "".join(f"w{n}z" if piece == "word" else piece for n, piece in enumerate(pieces))
    text = plain_text(html)
    assert re.findall(r"w\d+z", text) == re.findall(r"w\d+z", html)
    assert text == text.strip("\n").rstrip()
    assert not re.search(r"\n\n\n|[ \t]\n|[\w\]]  ", text)


@given(st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=9)).map("".join))
@example("<![CDATA[")
@example("&#" + "9" * 5000 + ";<img alt='&#" + "9" * 5000 + "'>")
@example("<a href='https://\ud800 \u2028'>\ud800</a>\0\x1b")
def test_any_html_can_be_converted(html: str) -> None:
    """Nothing in HTML, valid or not, is an error or grows without limit."""
    assert len(plain_text(html)) <= 12 * len(html)


@pytest.mark.parametrize(
    "html",
    [
        *('<?xml version="1.0" encoding="utf-8"?><p>Door</p>', "<?xml encoding='x'?><p>Door"),
        *("<?xml version='1.0' encoding='utf-8'>Door", "<?XML encoding=?>Door", "<?xml ?>Door"),
        *("".join(f"<font size={n}>" for n in range(300)) + "Door", "<font>" * 300 + "Door"),
        *("<div>" * 20_000 + "Door", "<table><tr><td>" * 6_000 + "Door"),
        *("<tr><td colspan=9999999 rowspan=65535>Door", "<p style='margin-top:9999999em'>Door"),
    ],
)
def test_declarations_and_depth_change_nothing(html: str) -> None:
    """Declarations, depth and claimed sizes change nothing."""
    assert plain_text(html) == "Door"


def test_indentation_is_limited() -> None:
    """Lists and quotes are indented five times at most."""
    assert plain_text("<ul><li>" * 2000 + "a<br>b") == "          - a\n          b"
    assert plain_text("<blockquote>" * 2000 + "a") == "> > > > > a"
    assert plain_text("<ul><li>" + "<blockquote>" * 2000 + "a") == "- > > > > a"


@pytest.mark.parametrize(("start", "bomb"), [*(("", bomb) for bomb in BOMBS), *BOMBS_BEHIND])
def test_time_and_length_are_linear(start: str, bomb: str) -> None:
    """16 times the HTML takes 16 times the time; a square of it would be 256 times."""
    seconds = []
    for size in (3_125, 50_000):
        html = start + bomb * (size // len(bomb))
        started = thread_time()
        text = plain_text(html)
        seconds.append(thread_time() - started)
        assert len(text) <= 8 * len(html)
    assert seconds[1] < 64 * max(seconds[0], 0.001)


def test_ten_megabytes_take_seconds() -> None:
    """The largest HTML of an email takes seconds."""
    started = thread_time()
    text = plain_text("<p>" + f"Somebody <b>rang</b>{' at the front door' * 10}.\n" * 50_000)
    assert thread_time() - started < 6
    assert text.count("Somebody rang at the front door") == 50_000
