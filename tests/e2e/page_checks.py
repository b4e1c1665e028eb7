"""Find what must never be visible: keys instead of texts, and errors in the browser's console."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
from pathlib import Path
import re
from typing import Any, Final, Self
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Locator, Page

from .overflow import cut_off

# The form of a key whose translation is missing.
RAW_KEYS: Final = re.compile(
    r"component\.\w+\.|\[%key|translation error|\b(?:config|config_subentries|options|entity"
    r"|exceptions|issues|selector|services)\.(?:\w+\.)*(?:abort|error|step|progress|title|state"
    r"|description|message)\b|\bui\.(?:panel|components|dialogs|card)\.|\{\w+\}|\bstate\.\w+",
    re.IGNORECASE,
)
# Without a text, Home Assistant shows the bare key of an error or a state.
TEXTS: Final = Path(__file__).parents[2] / "custom_components" / "outlook_smtp" / "strings.json"
# Console errors that Home Assistant's own pages cause here, by text and location.
ALLOWED: Final = (
    # The icons of other integrations come from the internet, which is unavailable here.
    ("Failed to load resource", "/api/brands/"),
    # Home Assistant reports invalid forms by status code, and these tests submit some.
    ("status of 400", "/api/config/config_entries/"),
)
# Errors of actions in our own texts: Home Assistant shows and logs them.
SHOWN: Final = ("home_assistant_error", "service_validation_error")
# Thrown objects that are not JavaScript errors have no text: add one.
REPORT_REJECTIONS: Final = """window.addEventListener("unhandledrejection", ({ reason }) => {
  if (!(reason instanceof Error)) console.error("Nobody caught", reason);
});"""
_WITHOUT_TEXT: Final = "Object"
_VISIBLE_TEXT: Final = """() => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.trim();
      if (text) found.push(text);
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.tagName)) return;
      if (!node.checkVisibility() && getComputedStyle(node).display !== "contents") return;
      if (node.classList.contains("cm-content")) return found.push(node.innerText);
      const inner = node.tagName === "SLOT" ? node.assignedNodes() : [];
      const children = node.shadowRoot ? node.shadowRoot.childNodes : node.childNodes;
      (inner.length ? inner : children).forEach(walk);
    }
  };
  walk(document.body);
  return found.join("\\n");
}"""


def _bare_names(texts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of all texts that cannot be mistaken for words."""
    for name, text in texts.items():
        if "_" in name:
            yield name
        if isinstance(text, dict):
            yield from _bare_names(text)


class PageChecks:
    """The checks of one page."""

    def __init__(self, page: Page, url: str) -> None:
        """Set a page and its Home Assistant's URL."""
        self._page = page
        self._host = urlsplit(url).netloc
        self._errors: list[str] = []
        self._names = frozenset(_bare_names(json.loads(TEXTS.read_text())))

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Collect console messages in the meantime."""
        listeners = {"console": self._note_message, "pageerror": self._note_error}
        for event, listener in listeners.items():
            self._page.on(event, listener)
        try:
            yield self
        finally:
            for event, listener in listeners.items():
                self._page.remove_listener(event, listener)

    def require_none(self) -> None:
        """Fail if the page or its console shows an error."""
        assert not self._errors, f"The browser's console shows an error: {self._errors}"
        # Include the shadow DOM of the page's components.
        text: str = self._page.evaluate(_VISIBLE_TEXT)
        for line in text.splitlines():
            assert not RAW_KEYS.search(line), f"The page shows a raw key: {line}"
            assert line not in self._names, f"The page shows a name and no text for it: {line}"

    def require_nothing_cut_off(self, dialog: Locator) -> None:
        """Fail if a text in a dialog does not fit."""
        assert cut_off(dialog) == []

    def _note_message(self, message: ConsoleMessage) -> None:
        """Record a console error, or a warning about the integration."""
        place: str = message.location["url"]
        if message.type != "error":
            if message.type == "warning" and "outlook_smtp" in message.text:
                self._errors.append(message.text)
            return
        if place and urlsplit(place).netloc != self._host:
            return  # The internet, which is blocked.
        if any(text in message.text and part in place for text, part in ALLOWED):
            return
        told = _read(message)
        # An error of an action was shown to the user.
        if not any(isinstance(value, dict) and value.get("code") in SHOWN for value in told):
            self._errors.append(f"{message.text} {told or ''} ({place})")

    def _note_error(self, error: Error) -> None:
        """Record an uncaught exception."""
        if error.message != _WITHOUT_TEXT:
            self._errors.append(str(error.stack or error))


def _read(message: ConsoleMessage) -> list[Any]:
    """Return all values logged with a message."""
    try:
        return [value.json_value() for value in message.args]
    except Error:  # Its page is gone.
        return []
