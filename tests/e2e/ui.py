"""What a user does on Home Assistant's pages: open, read, click, type."""

import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

from .page_checks import PageChecks
from .user_texts import text

INTEGRATION: Final = "/config/integrations/integration/outlook_smtp"
INTEGRATIONS: Final = "/config/integrations/dashboard"
ADD: Final = "/config/integrations/dashboard/add?domain=outlook_smtp"
DASHBOARD: Final = "/mail-demo/0"
EXAMPLE: Final = "/mail-example/0"  # docs/dashboard.yaml.
REPAIRS: Final = "/config/repairs"

TIMEOUT: Final = 15_000  # Milliseconds until an expected element must appear.

_NAVIGATE: Final = """(path) => {
  history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""
_HAS_STARTED: Final = "() => document.querySelector('home-assistant')?.hass?.config"
_SPEAK: Final = """(language) => {
  const choice = new CustomEvent("hass-language-select", { detail: language });
  document.querySelector("home-assistant").dispatchEvent(choice);
}"""
_INPUT: Final = "input:not([type=checkbox], [type=radio]), textarea"


class Ui:
    """One page, used as a person would; everything read on it is checked.

    Its elements are located by what is visible, where possible.
    """

    def __init__(self, page: Page, checks: PageChecks) -> None:
        """Use a signed-in page of Home Assistant."""
        self.page = page
        self._checks = checks
        page.set_default_timeout(TIMEOUT)
        expect.set_options(timeout=TIMEOUT)

    # Where

    def open(self, path: str) -> None:
        """Go to another page, like a link within Home Assistant."""
        if self.page.url == "about:blank":
            self.page.goto(path)
        else:
            self.page.evaluate(_NAVIGATE, path)

    def open_tools(self, action: str) -> None:
        """Open an action in the developer tools by URL: otherwise, fields keep their values."""
        self.page.goto(f"/config/tools/action?service={action}")

    @property
    def dialog(self) -> Locator:
        """Return the open dialog."""
        return self.page.locator("ha-dialog").filter(has=self.frame).last

    @property
    def frame(self) -> Locator:
        """Return the frame of the open dialog; its content is not inside of this element."""
        return self.page.locator("dialog[open]").locator("visible=true").last

    # What is read

    def see(self, words: str, within: Locator | None = None) -> None:
        """Wait until a text is visible, and check everything else on the page."""
        _seen((within or self.page).get_by_text(words)).wait_for()
        self._checks.require_none()

    def see_no_dialog(self) -> None:
        """Wait until the last dialog is closed."""
        expect(self.frame).to_be_hidden()

    def see_all(self) -> None:
        """Check that no text in the open dialog is cut off."""
        self._checks.require_nothing_cut_off(self.dialog)

    # What is done

    def resize(self, width: int) -> None:
        """Use a window of another width: 1280 pixels are a computer's, 390 a phone's."""
        self.page.set_viewport_size({"width": width, "height": 1000})

    def speak(self, language: str) -> None:
        """Show everything in another language, as the choice on the user's page does."""
        self.page.wait_for_function(_HAS_STARTED)
        self.page.evaluate(_SPEAK, language)

    def press(self, name: str, within: Locator | None = None) -> None:
        """Click a button."""
        _seen((within or self.page).get_by_role("button", name=name, exact=True)).click()

    def submit(self, name: str = "Submit") -> None:
        """Click the button at the end of a dialog."""
        self.press(name, self.dialog)

    def go_on(self) -> None:
        """Click the last button of a dialog, in any language."""
        self.dialog.get_by_role("button").locator("visible=true").last.click()

    def close_dialog(self) -> None:
        """Close a dialog before its end, with the first of its buttons."""
        self.dialog.get_by_role("button").first.click()
        self.see_no_dialog()

    def finish(self, name: str = "Finish") -> None:
        """Click the last button, which closes the dialog."""
        self.submit(name)
        self.see_no_dialog()

    def choose(self, words: str, within: Locator | None = None) -> None:
        """Click a text: an option, a menu item or a link."""
        _seen((within or self.page).get_by_text(words, exact=True)).click()

    def choose_item(self, words: str) -> None:
        """Choose from the open menu."""
        whole = re.compile(rf"^\s*{re.escape(words)}\s*$")
        _seen(self.page.get_by_role("menuitem").filter(has_text=whole)).click()

    def pick(self, name: str) -> None:
        """Search in the open list, and choose the result."""
        box = self.page.locator("ha-picker-combo-box").locator("visible=true").last
        box.locator("input").fill(name)
        self.choose(name, box)

    def tap(self, name: str) -> None:
        """Tap a dashboard card."""
        cards = self.page.locator("hui-tile-card, hui-button-card")
        cards.filter(has_text=name).first.click()

    def press_row(self, name: str) -> None:
        """Press a button entity on the page of a device."""
        self.press("Press", self.page.locator("hui-button-entity-row").filter(has_text=name))

    # What is typed into forms

    def fill(self, label: str, value: str) -> None:
        """Fill in a form field."""
        self._field(label).locator(_INPUT).first.fill(value)

    def switch(self, label: str) -> None:
        """Switch a form field on or off."""
        self.page.locator("ha-form ha-selector").filter(has_text=label).locator("ha-switch").click()

    def fill_list(self, label: str, values: tuple[str, ...]) -> None:
        """Fill in a form field that takes several values."""
        _fill_lines(self._field(label), values)

    def fill_server(self, host: str, port: int) -> None:
        """Fill in and submit the server form of an account."""
        self.fill(text("config.step.server.data.host"), host)
        self.fill(text("config.step.server.data.port"), str(port))
        self.submit()

    # What is typed into the fields of an action

    def tick_row(self, label: str) -> Locator:
        """Select the checkbox of an optional field, and return the field."""
        row = self.row(label)
        row.wait_for()
        box = row.locator("ha-checkbox")
        if box.count() and not box.locator("input").is_checked():
            box.click()
            expect(box.locator("input")).to_be_checked()
        return row

    def fill_row(self, label: str, value: str) -> None:
        """Fill in a field."""
        self.tick_row(label).locator(_INPUT).first.fill(value)

    def fill_row_list(self, label: str, values: tuple[str, ...]) -> None:
        """Fill in a field that takes several values."""
        _fill_lines(self.tick_row(label), values)

    def select_row(self, label: str, option: str) -> None:
        """Choose a value of a field."""
        self.tick_row(label).locator("ha-select").click()
        self.choose_item(option)

    def choose_account(self, name: str) -> None:
        """Choose the sending account."""
        row = self.tick_row(text("services.send_message.fields.config_entry_id.name"))
        row.locator("ha-selector").click()
        self.pick(name)
        self.see(name, row)

    def open_section(self, name: str) -> None:
        """Open a section of an action's fields."""
        panels = self.page.locator("ha-service-control ha-expansion-panel")
        _seen(panels.get_by_text(name, exact=True)).click()

    def add_target(self, name: str, button: str = "Add target") -> None:
        """Choose a target of an action."""
        self.press(button)
        self.pick(name)

    # What is where

    def row(self, label: str) -> Locator:
        """Return an action's field by its label."""
        return self._part("ha-settings-row", label)

    def entry(self, title: str) -> Locator:
        """Return an account on the integration's page."""
        return self._part("ha-config-entry-row", title)

    def subentry(self, title: str) -> Locator:
        """Return a recipient on the integration's page."""
        return self._part("ha-config-sub-entry-row", title)

    def _field(self, label: str) -> Locator:
        """Return a form field by its label."""
        texts = re.compile(rf"^\s*(Add )?{re.escape(label)}\*?\s*$")
        fields = self.page.locator("ha-form ha-selector")
        return fields.filter(has=self.page.get_by_text(texts)).last

    def _part(self, kind: str, words: str) -> Locator:
        """Return the first component of a kind with exactly this text."""
        parts = self.page.locator(kind)
        return parts.filter(has=self.page.get_by_text(words, exact=True)).first


def _seen(places: Locator) -> Locator:
    """Return the first visible match."""
    return places.locator("visible=true").first


def _fill_lines(field: Locator, values: tuple[str, ...]) -> None:
    """Enter several values one below the other, adding lines as needed."""
    for number, value in enumerate(values):
        line = field.locator(_INPUT).nth(number)
        if not line.is_visible():
            field.get_by_role("button", name=re.compile(r"^\s*Add")).click()
        line.fill(value)
