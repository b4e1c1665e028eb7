"""Render Markdown as HTML for email: safe, and simple enough for every mail reader.

Mail readers drop style sheets, and Outlook for Windows renders with Word: hence the inline
styles and tables. Text, links and background have no colors, so that they do not conflict with a
reader's dark mode; an element with a background also sets the color of its text.
"""

from collections.abc import Iterator, Sequence
import re
from typing import Any, Final, override

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

MAX_TEXT: Final = 100_000  # Characters of Markdown that are rendered.
MAX_MARKS: Final = 5_000  # Marks, lines and table cells in it.
SCHEMES: Final = ("cid", "homeassistant", "http", "https", "mailto", "tel")

_MARKS: Final = "*_~`[|:<&\\\n"
_SAFE: Final = re.compile(rf"({'|'.join(SCHEMES)}):", re.IGNORECASE)
_URL: Final = re.compile(r"https?://[^\s<>\"'`]*[^\s<>\"'`.,:;!?()\[\]*_~]", re.IGNORECASE)
_TASK: Final = re.compile(r"\[([ xX])\](?=\s)")
_OPEN: Final = "\N{BALLOT BOX}"
_DONE: Final = "\N{BALLOT BOX WITH CHECK}"

# Word falls back to Times if it does not know the first font.
_FONT: Final = "font-family:'Segoe UI',-apple-system,Roboto,Helvetica,Arial,sans-serif"
_MONO: Final = "font-family:Consolas,Menlo,'DejaVu Sans Mono',monospace;font-size:14px"
_LINE: Final = "#8c95a3"  # Visible on white and on black.
_BOX: Final = "background-color:#e9ecf0;color:#1d2530"
_CELL: Final = (
    f"{_FONT};font-size:15px;line-height:1.4;text-align:left;border:1px solid {_LINE};"
    "padding:6px 10px"
)

_STYLES: Final[dict[str, str]] = {
    "a": "text-decoration:underline",
    "blockquote": f"margin:0 0 14px;padding:4px 0 4px 14px;border-left:4px solid {_LINE}",
    "code": f"{_MONO};{_BOX};padding:1px 4px;border-radius:4px",
    "h1": "margin:0 0 14px;font-size:26px;line-height:1.25",
    "h2": "margin:24px 0 12px;font-size:21px;line-height:1.3",
    "h3": "margin:20px 0 10px;font-size:18px;line-height:1.3",
    "h4": "margin:18px 0 8px;font-size:16px;line-height:1.4",
    "h5": "margin:18px 0 8px;font-size:15px;line-height:1.4",
    "h6": "margin:18px 0 8px;font-size:14px;line-height:1.4",
    "hr": f"margin:20px 0;border:0;border-top:1px solid {_LINE}",
    "img": "max-width:100%;height:auto;border:0",
    "li": "margin:4px 0",
    "ol": "margin:0 0 14px;padding-left:26px",
    "p": "margin:0 0 14px",
    "table": "margin:0 0 14px;border-collapse:collapse",
    "td": _CELL,
    "th": f"{_CELL};font-weight:bold",
    "ul": "margin:0 0 14px;padding-left:26px",
}
_PRE: Final = (
    f"margin:0 0 14px;padding:12px 14px;{_BOX};{_MONO};line-height:1.45;border-radius:6px;"
    "white-space:pre-wrap;overflow-wrap:anywhere"
)

_PAGE: Final = """\
<!DOCTYPE html>
<html style="color-scheme:light dark">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
</head>
<body style="margin:0;padding:0">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"\
 style="table-layout:fixed">
<tr><td align="center" style="padding:20px 16px">
<table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0"\
 style="width:100%;max-width:640px;table-layout:fixed">
<tr><td align="left" style="{font};font-size:16px;line-height:1.5;overflow-wrap:anywhere">
{content}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""


def is_renderable(text: str) -> bool:
    """Return whether a text is short and simple enough to render.

    Each mark becomes several objects, and each table row gets all columns: too many would take
    long, and the page would be many times larger than the text.
    """
    return len(text) <= MAX_TEXT and sum(map(text.count, _MARKS)) + _count_cells(text) <= MAX_MARKS


def render(text: str) -> str:
    """Return a complete HTML page for a Markdown text.

    HTML in the text is escaped; a link whose scheme is not in `SCHEMES` stays text.
    Line breaks are kept, as Home Assistant's frontend keeps them.
    """
    tokens = _PARSER.parse(text)
    for position, token in enumerate(tokens):
        if token.type == "inline":
            before, after = tokens[max(position - 2, 0)], tokens[position + 2 : position + 3]
            if before.type == "list_item_open":
                _mark_task(before, token)
            if after and after[0].type == "blockquote_close":
                tokens[position - 1].attrSet("style", "margin-bottom:0")
            token.children = list(_link_addresses(token.children or ()))
    content = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return _PAGE.format(font=_FONT, content=content)


class _Parser(MarkdownIt):
    """Parser that checks link targets."""

    @override
    def validateLink(self, url: str) -> bool:
        """Return whether a link's target is allowed in an email."""
        return _SAFE.match(url) is not None


class _Renderer(RendererHTML):
    """Renderer that gives every element its inline style."""

    @override
    def renderToken(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Write the start or end tag of an element."""
        _add_style(tokens[idx])
        return super().renderToken(tokens, idx, options, env)

    @override
    def code_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Write inline code."""
        _add_style(tokens[idx])
        return super().code_inline(tokens, idx, options, env)

    @override
    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Write a code block; mail readers have no use for its language."""
        code = Token("text", "", 0, content=tokens[idx].content)
        return f'<pre style="{_PRE}">{self.text([code], 0, options, env)}</pre>\n'

    @override
    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Write a fenced code block."""
        return self.code_block(tokens, idx, options, env)


def _build_parser() -> MarkdownIt:
    """Return a parser for GitHub's Markdown that allows no HTML."""
    options: dict[str, Any] = {"html": False, "breaks": True}
    parser = _Parser("commonmark", options, renderer_cls=_Renderer)
    return parser.enable(["strikethrough", "table"])


_PARSER: Final = _build_parser()


def _count_cells(text: str) -> int:
    """Return the maximum number of table cells in a text."""
    cells = rows = 0
    for line in reversed(text.split("\n")):
        bare = line.strip(" \t>")
        rows = rows + 1 if bare else 0
        if not bare.strip("|:- \t"):
            cells += bare.count("|") * rows
    return cells


def _add_style(token: Token) -> None:
    """Set the style of an element; a table cell already has its alignment."""
    if token.nesting >= 0 and (style := _STYLES.get(token.tag)):
        own = token.attrGet("style")
        token.attrSet("style", f"{style};{own}" if own else style)


def _mark_task(item: Token, line: Token) -> None:
    """Show a checkbox if a list item is a task."""
    (first, *_) = line.children or (Token("text", "", 0),)
    if first.type == "text" and (match := _TASK.match(first.content)):
        first.content = (_OPEN if match[1] == " " else _DONE) + first.content[match.end() :]
        item.attrSet("style", "list-style-type:none")


def _link_addresses(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens of a line with all URLs linked."""
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if depth or token.type != "text":
            yield token
            continue
        end = 0
        for match in _URL.finditer(token.content):
            address = match[0]
            yield Token("text", "", 0, content=token.content[end : match.start()])
            yield Token("link_open", "a", 1, attrs={"href": _PARSER.normalizeLink(address)})
            yield Token("text", "", 0, content=address)
            yield Token("link_close", "a", -1)
            end = match.end()
        yield Token("text", "", 0, content=token.content[end:])
