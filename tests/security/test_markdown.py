"""Foreign text where Home Assistant shows Markdown: no links, no images, no HTML."""

from dataclasses import dataclass, field
import re
from typing import Final

from hypothesis import given, strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
import pytest

from custom_components.outlook_smtp.foreign_text import link, plain, quote, shared
from custom_components.outlook_smtp.message.text import one_line

from ..conftest import ADDRESS

EVIL: Final = (
    "[Click](https://evil.example) ![t](https://evil.example/t.png) <https://evil.example> "
    "<img src=https://evil.example/i.png> https://evil.example www.evil.example evil@evil.example"
)
ATTACKS: Final = (
    EVIL,
    "[a][b]\n\n[b]: https://evil.example",
    "[b]: https://evil.example",
    "<a href='https://evil.example'>x</a><script>alert(1)</script><!-- x --><ha-alert>x</ha-alert>",
    "\\[a](https://evil.example) \\![a](https://evil.example) \\<img src=x> \\https://evil.example",
    "HTTPS://evil.example WWW.evil.example ftp://evil.example www.a@evil.example a@b.example.c",
    "# Heading",
    "x\n===\n---\n***",
    "> quote",
    ">quote",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "| a |\n|---|\n| b |",
    "```\ncode",
    "~~~\ncode\n~~~",
    "`code` *so* **so** _so_ __so__ ~~so~~ ~so~",
    "&lt;img src=x&gt; &#60;img&#62; &amp;",
    "    indented\r\n\tcode\u2028line\x85line",
    "![](https://evil.example/\u200b)[](//evil.example)",
    "---",
    "***",
    "![",
    "](https://evil.example)",
)
_PARSER: Final = (
    MarkdownIt("commonmark", {"breaks": True})
    .enable(["table", "strikethrough"])
    .disable("text_join")  # Distinguishes escaped characters from the rest.
)
# URLs that GitHub's Markdown links: https://github.github.com/gfm/#autolinks-extension-
_AUTOLINK: Final = re.compile(r"(?:https?|ftp)://[a-z0-9-]|www\.[a-z0-9-]", re.IGNORECASE)


@dataclass
class Page:
    """What a browser shows for Markdown: the text, and everything else."""

    text: str = ""
    extras: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, markdown: str) -> Page:
        """Render Markdown like the frontend."""
        page = cls()
        page._read(_PARSER.parse(markdown))
        return page

    def _read(self, tokens: list[Token]) -> None:
        """Read a parser's result."""
        escaped = ""
        for token in tokens:
            if token.type == "inline":
                self._read(token.children or [])
            elif token.type in ("text", "text_special"):
                # Escaped characters cannot be part of a linked URL.
                escaped += "\0" if token.type == "text_special" else token.content
                self.text += token.content
            elif token.type in ("softbreak", "hardbreak"):
                self.text += "\n"
            elif token.type not in ("paragraph_open", "paragraph_close"):
                self.extras.append(f"{token.type} {token.attrs} {token.content}")
        self.extras += [f"autolink {found}" for found in _AUTOLINK.findall(escaped)]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("around", ["{}", "{} said so", "The server said: {}", "- **{}** → {}"])
def test_quoted_text_is_shown_literally(attack: str, around: str) -> None:
    """Whatever it is, and wherever it is: it is text, and nothing else."""
    page = Page.of(around.replace("{}", quote(attack)))
    expected = Page.of(around.replace("{}", "word"))
    assert page.extras == expected.extras
    assert page.text == expected.text.replace("word", one_line(attack))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("around", ["{}", "{} cannot send mail", "Sign in as {}"])
def test_shared_text_looks_the_same_in_titles(attack: str, around: str) -> None:
    """Only emphasis, strikethrough and code may result, and titles show it unchanged."""
    shown = shared(attack)
    assert shown.replace("\u2060", "") == one_line(attack)
    kinds = {extra.split()[0] for extra in Page.of(around.replace("{}", shown)).extras}
    assert kinds <= {"em_open", "em_close", "strong_open", "strong_close", "code_inline"} | {
        "s_open",
        "s_close",
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_errors_quote_plain_text(attack: str) -> None:
    """They are readable, and even as Markdown they would hide no link and load no image."""
    shown = plain(attack)
    assert shown.replace("\u2060", "") == one_line(attack)
    assert not [
        extra
        for extra in Page.of(shown).extras
        if extra.startswith(("link", "image", "html", "heading", "fence", "bullet", "blockquote"))
    ]


@pytest.mark.parametrize(
    "words",
    [
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "550 5.1.1 Mailbox unavailable; try again (later)",
        ADDRESS,
        "first_last+tag@sub.example.com",
        "smtp_auth_disabled",
        "Jürgen Groß & Söhne",
        "2026-11-28 09:30",
        "-",
    ],
)
def test_harmless_text_is_unchanged(words: str) -> None:
    """The text looks unchanged, and has no invisible characters to copy."""
    assert quote(words) == shared(words) == plain(words) == words


@given(st.text("[]()<>!\\`*_~#-+=|:/.&;@ \n1awWhtpsx\u2028"))
def test_no_combination_escapes_the_quoting(text: str) -> None:
    """However the characters of Markdown are combined."""
    page = Page.of(f"It said: {quote(text)} (so)")
    assert page.extras == []
    assert page.text == f"It said: {one_line(text)} (so)"
    for extra in Page.of(f"It said: {shared(text)} (so)").extras:
        assert extra.startswith(("em_", "strong_", "s_", "code_inline"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://microsoft.com/devicelogin", "https://microsoft.com/devicelogin"),
        ("https://login.microsoft.com/device?a=1&b=%20", None),
        ("https://x.example) ![t](https://evil.example/t.png", None),
        ("https://x.example](https://evil.example)", None),
        ("https://x.example/<img src=x>\n# x", None),
        ("javascript:alert(1)", "https://other.example"),
        ("data:text/html,x", "https://other.example"),
        ("", "https://other.example"),
        ("https:///x", "https://other.example"),
    ],
)
def test_url_is_only_a_link_to_itself(address: str, shown: str | None) -> None:
    """It cannot end its link, and is either a web URL or the fallback."""
    made = link(address, "https://other.example")
    assert shown in (None, made)
    extras = [extra for extra in Page.of(f"Open [{made}]({made}) now").extras if "/" in extra]
    assert [extra.split(" ", 1)[0] for extra in extras if "open" in extra] == ["link_open"]
    assert not [extra for extra in extras if extra.startswith(("image", "html"))]
