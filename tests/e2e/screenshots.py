"""Take the pictures of the documentation, all in one size, each in light and in dark.

A picture is as wide as GitHub shows it, so that what is legible in Home Assistant is legible there.
A run that is not for the documentation takes them once, as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import io
from pathlib import Path
from typing import Final, Literal, Self

from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

# Show a dialog on its own, on the page's background with a border.
_DIALOG_STYLE: Final = """(dialog) => {
  const style = new CSSStyleSheet();
  style.replaceSync(`
    dialog::backdrop { background: var(--primary-background-color, #fafafa) !important; }
    dialog { box-shadow: none !important; outline: 2px solid #8884; outline-offset: -2px; }
  `);
  const root = dialog.getRootNode();
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, style];
}"""
_USUAL_STYLE: Final = """(dialog) => {
  const root = dialog.getRootNode();
  root.adoptedStyleSheets = root.adoptedStyleSheets.slice(0, -1);
}"""
# Replaces the local fakes with the names of Microsoft's servers.
_RENAME: Final = """(names) => {
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      for (const [from, to] of Object.entries(names)) {
        if (node.textContent.includes(from)) node.textContent = node.textContent.replace(from, to);
      }
    } else {
      if (node.shadowRoot) node.shadowRoot.childNodes.forEach(walk);
      node.childNodes.forEach(walk);
    }
  };
  walk(document.body);
}"""
_LEAVE_FIELD: Final = """() => {
  let field = document.activeElement;
  while (field?.shadowRoot?.activeElement) field = field.shadowRoot.activeElement;
  field?.blur();
}"""
# Home Assistant takes its colors from the browser, and says when it has changed them. It may not
# say what it began with.
_HAS_COLORS: Final = """(scheme) => {
  const is = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const themes = document.querySelector("home-assistant")?.hass?.themes;
  return is === scheme && (!themes || !!themes.darkMode === (scheme === "dark"));
}"""
SCHEMES: Final[dict[Literal["light", "dark"], str]] = {"light": "", "dark": "-dark"}
WIDTH: Final = 800  # Of all pictures, in CSS pixels; GitHub shows them as wide, or smaller.
WIDTHS: Final = (1280, 390)  # Of a window in pixels: a computer's and a phone's.
HIGH: Final = 1500  # Height of a window in pixels that shows an action's fields or all options.
COLORS: Final = 256


class Screenshots:
    """A folder of screenshots."""

    def __init__(
        self, page: Page, output: Path, names: Mapping[str, str], documentation: Path | None
    ) -> None:
        """Set the page and the folders.

        Args:
            page: The page to take screenshots of.
            output: Where they go.
            names: What replaces some names on the pictures.
            documentation: Where the documentation's pictures go, if this run is to take them.

        """
        self._page = page
        self._output = output
        self._names = dict(names)
        self._documentation = documentation
        output.mkdir(parents=True, exist_ok=True)

    def of(self, page: Page) -> Self:
        """Return the same folders for screenshots of another page."""
        return type(self)(page, self._output, self._names, self._documentation)

    @contextmanager
    def on_high_page(self) -> Iterator[None]:
        """Make the window high enough for all of a long page."""
        before = self._page.viewport_size
        assert before
        self._page.set_viewport_size({"width": before["width"], "height": HIGH})
        yield
        self._page.set_viewport_size(before)

    def take_dialog(self, name: str, dialog: Locator) -> None:
        """Take a picture of a dialog alone."""
        dialog.evaluate(_DIALOG_STYLE)
        self.take(name, dialog, margin=16)
        dialog.evaluate(_USUAL_STYLE)

    def take_page(self, name: str, check: Callable[[], None] | None = None) -> None:
        """Take screenshots of the window in each width, to look at after a run.

        Args:
            name: The beginning of the files' names.
            check: What must be right in each width.

        """
        before = self._page.viewport_size
        assert before
        for width in WIDTHS:
            self._page.set_viewport_size({"width": width, "height": before["height"]})
            if check:
                check()
            path = self._output / f"{name}-{width}.png"
            self._page.screenshot(path=path, animations="disabled", caret="hide")
        self._page.set_viewport_size(before)

    def take_schemes(self, name: str, check: Callable[[], None]) -> None:
        """Take such screenshots in light and in dark, each with a check."""
        for suffix in self._in_all_colors():
            self.take_page(f"{name}{suffix}", check)

    def take(self, name: str, parts: Locator, *, margin: int = 0) -> None:
        """Take a picture of the rectangle around some parts of the page."""
        self._page.mouse.move(0, 0)
        self._page.evaluate(_LEAVE_FIELD)
        if self._documentation is None:
            path = self._output / f"{name}.png"
            path.write_bytes(self._picture(self._box(parts, margin)))
            return
        for suffix in self._in_all_colors():
            path = self._documentation / f"{name}{suffix}.png"
            self._save(path, self._box(parts, margin))

    def _in_all_colors(self) -> Iterator[str]:
        """Show the page in light, in dark and in light again; yield the ends of files' names."""
        for scheme, suffix in SCHEMES.items():
            self._use_colors(scheme)
            yield suffix
        self._use_colors("light")

    def _use_colors(self, scheme: Literal["light", "dark"]) -> None:
        """Show the page in light or dark."""
        self._page.emulate_media(color_scheme=scheme)
        self._page.wait_for_function(_HAS_COLORS, arg=scheme)

    def _box(self, parts: Locator, margin: int) -> FloatRect:
        """Return the rectangle around some parts of the page, which must fit into a picture."""
        boxes = [box for part in parts.all() if (box := part.bounding_box())]
        left = min(box["x"] for box in boxes) - margin
        top = min(box["y"] for box in boxes) - margin
        width = max(box["x"] + box["width"] for box in boxes) + margin - left
        height = max(box["y"] + box["height"] for box in boxes) + margin - top
        assert width <= WIDTH, f"{width} pixels are more than GitHub shows"
        return {"x": left, "y": top, "width": width, "height": height}

    def _picture(self, box: FloatRect) -> bytes:
        """Return a picture of a part of the page, with names replaced."""
        self._page.evaluate(_RENAME, self._names)
        self._page.evaluate("document.fonts.ready")
        picture: bytes = self._page.screenshot(clip=box, animations="disabled", caret="hide")
        return picture

    def _save(self, path: Path, box: FloatRect) -> None:
        """Save a part of the page in the middle of a picture, on the color of the part's corner."""
        with Image.open(io.BytesIO(self._picture(box))) as image:
            part = image.convert("RGB")
            width = round(WIDTH * part.width / box["width"])
            whole = Image.new("RGB", (width, part.height), part.getpixel((0, 0)))
            whole.paste(part, ((width - part.width) // 2, 0))
            small = whole.quantize(COLORS, dither=Image.Dither.NONE)
            small.save(path, optimize=True)
