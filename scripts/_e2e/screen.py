"""What a person does with a page of Home Assistant: opens, reads, presses, types."""

import re
from typing import Final
from urllib.parse import urljoin

from playwright.async_api import Locator, Page, expect

from .guard import Guard

TIMEOUT: Final = 15.0  # Seconds until something that is awaited has to be there.

_NAVIGATE: Final = """(path) => {
  history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""
_INPUT: Final = "input:not([type=checkbox], [type=radio]), textarea"


class Screen:
    """One page, looked at and handled as a person would; all that is read is guarded."""

    def __init__(self, page: Page, guard: Guard) -> None:
        """Use a page on which somebody is signed in to Home Assistant."""
        self.page = page
        self._guard = guard
        page.set_default_timeout(TIMEOUT * 1000)

    # Where

    async def open(self, path: str) -> None:
        """Go to another page, as a link within Home Assistant does."""
        await self.page.evaluate(_NAVIGATE, path)

    async def load(self, path: str) -> None:
        """Go to another page as somebody does who types its address; nothing is left as it was."""
        await self.page.goto(urljoin(self.page.url, path))

    @property
    def dialog(self) -> Locator:
        """Return the dialog that is open."""
        return self.page.locator("ha-dialog").filter(has=self.frame).last

    @property
    def frame(self) -> Locator:
        """Return the rectangle of the dialog that is open; what is in it is not inside of this."""
        return self.page.locator("dialog[open]").locator("visible=true").last

    # What is read

    async def see(self, text: str, within: Locator | None = None) -> Locator:
        """Wait until a text can be read, and look whether all else on the page is right too."""
        place = (within or self.page).get_by_text(text).locator("visible=true").first
        await place.wait_for()
        await self._guard.check()
        return place

    async def see_gone(self, text: str, within: Locator | None = None) -> None:
        """Wait until a text can no longer be read."""
        await (within or self.page).get_by_text(text).locator("visible=true").first.wait_for(
            state="hidden"
        )
        await self._guard.check()

    async def see_no_dialog(self) -> None:
        """Wait until the last dialog is closed."""
        await self.frame.wait_for(state="hidden")

    # What is done

    async def press(self, name: str, within: Locator | None = None) -> None:
        """Press a button."""
        button = (within or self.page).get_by_role("button", name=name, exact=True)
        await button.locator("visible=true").first.click()

    async def choose(self, text: str, within: Locator | None = None) -> None:
        """Click on a text: an option, a choice of a menu, a link."""
        choice = (within or self.page).get_by_text(text, exact=True)
        await choice.locator("visible=true").first.click()

    async def submit(self, name: str = "Submit") -> None:
        """Press the button at the end of a dialog."""
        await self.press(name, self.dialog)

    async def fill(self, label: str, value: str) -> None:
        """Type into a field of a form."""
        await self.field(label).locator(_INPUT).first.fill(value)

    async def fill_list(self, label: str, values: tuple[str, ...]) -> None:
        """Type into a field of a form that takes several values."""
        await _fill_lines(self.field(label), values)

    async def tap(self, name: str) -> None:
        """Tap a card of a dashboard."""
        cards = self.page.locator("hui-tile-card, hui-button-card")
        await cards.filter(has_text=name).first.click()

    async def pick(self, name: str) -> None:
        """Search in the list that is open, and choose what is found."""
        box = self.page.locator("ha-picker-combo-box").locator("visible=true").last
        await box.locator("input").fill(name)
        await self.choose(name, box)

    async def choose_item(self, text: str) -> None:
        """Choose from the menu that is open."""
        item = self.page.get_by_role("menuitem").filter(has_text=text)
        await item.locator("visible=true").first.click()

    async def tick_row(self, label: str) -> None:
        """Tick the box of an action's field that may be left out, if there is one."""
        box = self.row(label).locator("ha-checkbox")
        if not await box.count() or await box.locator("input").is_checked():
            return
        await box.click()
        await expect(box.locator("input")).to_be_checked()

    async def fill_row(self, label: str, value: str) -> None:
        """Type into a field of an action."""
        await self.tick_row(label)
        await self.row(label).locator(_INPUT).first.fill(value)

    async def fill_row_list(self, label: str, values: tuple[str, ...]) -> None:
        """Type into a field of an action that takes several values."""
        await self.tick_row(label)
        await _fill_lines(self.row(label), values)

    async def select_row(self, label: str, option: str) -> None:
        """Choose one of the values of an action's field."""
        await self.tick_row(label)
        await self.row(label).locator("ha-select").click()
        await self.choose_item(option)

    # What is where

    def field(self, label: str) -> Locator:
        """Return a field of a form by its label."""
        texts = re.compile(rf"^\s*(Add )?{re.escape(label)}\*?\s*$")
        fields = self.page.locator("ha-form ha-selector")
        return fields.filter(has=self.page.get_by_text(texts)).last

    def row(self, label: str) -> Locator:
        """Return a field of an action by the text beside it."""
        rows = self.page.locator("ha-settings-row")
        return rows.filter(has=self.page.get_by_text(label, exact=True)).first

    def entry(self, title: str) -> Locator:
        """Return an account on the integration's page."""
        entries = self.page.locator("ha-config-entry-row")
        return entries.filter(has=self.page.get_by_text(title, exact=True)).first

    def subentry(self, title: str) -> Locator:
        """Return a recipient on the integration's page."""
        entries = self.page.locator("ha-config-sub-entry-row")
        return entries.filter(has=self.page.get_by_text(title, exact=True)).first


async def _fill_lines(field: Locator, values: tuple[str, ...]) -> None:
    """Type several values one below the other, with a new line for each that has none."""
    for number, value in enumerate(values):
        line = field.locator(_INPUT).nth(number)
        if not await line.is_visible():
            await field.get_by_role("button", name=re.compile(r"^\s*Add")).click()
        await line.fill(value)
