"""What a person does with a page of Home Assistant: opens, reads, presses, types."""

import re
from typing import Final

from playwright.async_api import Locator, Page

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

    async def fill(self, label: str, value: str, within: Locator | None = None) -> None:
        """Type into a field of a form."""
        await self.field(label, within).locator(_INPUT).first.fill(value)

    async def fill_list(
        self, label: str, values: tuple[str, ...], within: Locator | None = None
    ) -> None:
        """Type into a field that takes several values, one below the other."""
        field = self.field(label, within)
        add = field.get_by_role("button", name=re.compile(r"^\s*Add"))
        for number, value in enumerate(values):
            line = field.locator(_INPUT).nth(number)
            if not await line.is_visible():
                await add.click()
            await line.fill(value)

    def field(self, label: str, within: Locator | None = None) -> Locator:
        """Return a field by its label, which stands in the field or beside it."""
        texts = re.compile(rf"^\s*(Add )?{re.escape(label)}\*?\s*$")
        place = within or self.page
        fields = place.locator("ha-settings-row:has(ha-selector), ha-form ha-selector")
        return fields.filter(has=self.page.get_by_text(texts)).last
