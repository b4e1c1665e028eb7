"""Take the screenshots in the documentation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import io
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Locator, Page

# Show a dialog on its own, on white with a border.
_DIALOG_STYLE: Final = """(dialog) => {
  const style = new CSSStyleSheet();
  style.replaceSync(`
    dialog::backdrop { background: #fff !important; }
    dialog { box-shadow: none !important; outline: 2px solid #d0d0d0; outline-offset: -2px; }
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
WIDTHS: Final = (1280, 390)  # Of a window in pixels: a computer's and a phone's.
HIGH: Final = 1455  # Height of the window in pixels; shows an action's fields completely.
COLORS: Final = 256


class Screenshots:
    """A folder of screenshots."""

    def __init__(self, page: Page, folder: Path, names: Mapping[str, str], *, pages: Path) -> None:
        """Take screenshots of a page, with some names replaced; whole pages go to `pages`."""
        self._page = page
        self._folder = folder
        self._names = dict(names)
        self._pages = pages
        for path in (folder, pages):
            path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def on_high_page(self) -> Iterator[None]:
        """Make the window high enough for all of a long page."""
        before = self._page.viewport_size
        assert before
        self._page.set_viewport_size({"width": before["width"], "height": HIGH})
        yield
        self._page.set_viewport_size(before)

    def take_dialog(self, name: str, dialog: Locator) -> None:
        """Take a screenshot of a dialog alone."""
        dialog.evaluate(_DIALOG_STYLE)
        self.take(name, dialog)
        dialog.evaluate(_USUAL_STYLE)

    def take_page(self, name: str) -> None:
        """Take screenshots of the window in each width, to look at after a run."""
        before = self._page.viewport_size
        assert before
        for width in WIDTHS:
            self._page.set_viewport_size({"width": width, "height": before["height"]})
            path = self._pages / f"{name}-{width}.png"
            self._page.screenshot(path=path, animations="disabled", caret="hide")
        self._page.set_viewport_size(before)

    def take(self, name: str, parts: Locator, *, margin: int = 0) -> None:
        """Take a screenshot of the rectangle around some parts of the page."""
        self._page.mouse.move(0, 0)
        self._page.evaluate(_LEAVE_FIELD)
        self._page.evaluate(_RENAME, self._names)
        self._page.evaluate("document.fonts.ready")
        boxes = [box for part in parts.all() if (box := part.bounding_box())]
        left = min(box["x"] for box in boxes) - margin
        top = min(box["y"] for box in boxes) - margin
        right = max(box["x"] + box["width"] for box in boxes) + margin
        bottom = max(box["y"] + box["height"] for box in boxes) + margin
        picture = self._page.screenshot(
            clip={"x": left, "y": top, "width": right - left, "height": bottom - top},
            animations="disabled",
            caret="hide",
        )
        with Image.open(io.BytesIO(picture)) as image:
            small = image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
            small.save(self._folder / f"{name}.png", optimize=True)
