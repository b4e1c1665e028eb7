"""Measure whether a text is cut off where it is shown."""

from typing import Final

from playwright.sync_api import Locator

_CUT_OFF: Final = """(root) => {
  const found = [];
  const hides = (style) => ["hidden", "clip"].includes(style.overflowX);
  const walk = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.tagName)) return;
    const text = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE)
      .map((child) => child.textContent.trim()).join(" ").trim();
    if (text && node.checkVisibility()) {
      const box = node.getBoundingClientRect();
      const wide = node.scrollWidth > node.clientWidth + 1 && hides(getComputedStyle(node));
      if (wide || box.right > window.innerWidth + 1 || box.left < -1) found.push(text);
    }
    const inner = node.tagName === "SLOT" ? node.assignedNodes() : [];
    const children = node.shadowRoot ? node.shadowRoot.childNodes : node.childNodes;
    (inner.length ? inner : children).forEach(walk);
  };
  walk(root);
  return found;
}"""
_LINES: Final = """(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
}"""


def cut_off(part: Locator) -> list[str]:
    """Return the visible texts of a part of the page that do not fit where they are."""
    texts: list[str] = part.first.evaluate(_CUT_OFF)
    return texts


def lines(text: Locator) -> int:
    """Return how many lines a text takes."""
    count: int = text.evaluate(_LINES)
    return count
