"""Measure whether a text is cut off where it is shown."""

from typing import Final

from playwright.sync_api import Locator

# Texts that reach beyond the window, or beyond a part that hides what does not fit.
_CUT_OFF: Final = """(root) => {
  const found = [];
  const walk = (node, left, right) => {
    if (node.nodeType === Node.TEXT_NODE) {
      if (!node.textContent.trim()) return;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) {
        if (box.left < left - 2 || box.right > right + 2) {
          const place = `${box.left} to ${box.right} of ${left} to ${right}`;
          return found.push(`${node.textContent.trim()} (${place})`);
        }
      }
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.tagName)) return;
      const style = getComputedStyle(node);
      if (!node.checkVisibility() && style.display !== "contents") return;
      if (["hidden", "clip"].includes(style.overflowX) && style.display !== "contents") {
        const box = node.getBoundingClientRect();
        if (box.width < 2) return; // For screen readers only.
        left = Math.max(left, box.left);
        right = Math.min(right, box.right);
      }
      const inner = node.tagName === "SLOT" ? node.assignedNodes() : [];
      const children = node.shadowRoot ? node.shadowRoot.childNodes : node.childNodes;
      (inner.length ? inner : children).forEach((child) => walk(child, left, right));
    }
  };
  walk(root, 0, window.innerWidth);
  return found;
}"""
_LINES: Final = """(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
}"""


def cut_off(part: Locator) -> list[str]:
    """Return the visible texts of a part of the page that do not fit where they are, and where."""
    texts: list[str] = part.first.evaluate(_CUT_OFF)
    return texts


def lines(text: Locator) -> int:
    """Return how many lines a text takes."""
    count: int = text.evaluate(_LINES)
    return count
