"""What a person does with a page of Home Assistant: opens, reads, presses, types."""

from collections.abc import Iterator
from contextlib import contextmanager
import re
from typing import Final
from urllib.parse import urljoin

from playwright.async_api import Error, Locator, Page, expect

from scripts._demo.console import DemoError

from .guard import Guard

TIMEOUT: Final = 15.0  # Seconds until something that is awaited has to be there.

_NAVIGATE: Final = """(path) => {
  history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""
_INPUT: Final = "input:not([type=checkbox], [type=radio]), textarea"


class Screen:
    """One page, looked at and handled as a person would; all that is read is guarded.

    Its parts are found by what a person sees, as far as there is anything to see.
    """

    def __init__(self, page: Page, guard: Guard) -> None:
        """Use a page on which somebody signs in to Home Assistant."""
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

    async def see(self, text: str, within: Locator | None = None) -> None:
        """Wait until a text can be read, and look whether all else on the page is right too."""
        with _or(f"“{text}” cannot be read."):
            await _seen((within or self.page).get_by_text(text)).wait_for()
        await self._guard.check()

    async def see_no_dialog(self) -> None:
        """Wait until the last dialog is closed."""
        with _or("The dialog stays open."):
            await self.frame.wait_for(state="hidden")

    async def see_no_entry(self, title: str) -> None:
        """Wait until an account is no longer on the integration's page."""
        with _or(f"“{title}” stays on the page."):
            await self.entry(title).wait_for(state="hidden")

    # What is done

    async def press(self, name: str, within: Locator | None = None) -> None:
        """Press a button."""
        button = (within or self.page).get_by_role("button", name=name, exact=True)
        with _or(f"The button “{name}” cannot be pressed."):
            await _seen(button).click()

    async def submit(self, name: str = "Submit") -> None:
        """Press the button at the end of a dialog."""
        await self.press(name, self.dialog)

    async def choose(self, text: str, within: Locator | None = None) -> None:
        """Click on a text: an option, a choice of a menu, a link."""
        with _or(f"“{text}” cannot be chosen."):
            await _seen((within or self.page).get_by_text(text, exact=True)).click()

    async def choose_item(self, text: str) -> None:
        """Choose from the menu that is open."""
        whole = re.compile(rf"^\s*{re.escape(text)}\s*$")
        with _or(f"The menu does not offer “{text}”."):
            await _seen(self.page.get_by_role("menuitem").filter(has_text=whole)).click()

    async def pick(self, name: str) -> None:
        """Search in the list that is open, and choose what is found."""
        box = self.page.locator("ha-picker-combo-box").locator("visible=true").last
        with _or(f"“{name}” cannot be searched for."):
            await box.locator("input").fill(name)
        await self.choose(name, box)

    async def tap(self, name: str) -> None:
        """Tap a card of a dashboard."""
        cards = self.page.locator("hui-tile-card, hui-button-card")
        with _or(f"The card “{name}” cannot be tapped."):
            await cards.filter(has_text=name).first.click()

    # What is typed into forms

    async def fill(self, label: str, value: str) -> None:
        """Type into a field of a form."""
        with _or(f"Nothing can be typed into “{label}”."):
            await self.field(label).locator(_INPUT).first.fill(value)

    async def fill_list(self, label: str, values: tuple[str, ...]) -> None:
        """Type into a field of a form that takes several values."""
        with _or(f"Nothing can be typed into “{label}”."):
            await _fill_lines(self.field(label), values)

    # What is typed into the fields of an action

    async def tick_row(self, label: str) -> None:
        """Tick the box of a field that may be left out."""
        row = self.row(label)
        with _or(f"There is no field “{label}” that can be ticked."):
            await row.wait_for()
            box = row.locator("ha-checkbox")
            if await box.count() and not await box.locator("input").is_checked():
                await box.click()
                await expect(box.locator("input")).to_be_checked()

    async def fill_row(self, label: str, value: str) -> None:
        """Type into a field."""
        await self.tick_row(label)
        with _or(f"Nothing can be typed into “{label}”."):
            await self.row(label).locator(_INPUT).first.fill(value)

    async def fill_row_list(self, label: str, values: tuple[str, ...]) -> None:
        """Type into a field that takes several values."""
        await self.tick_row(label)
        with _or(f"Nothing can be typed into “{label}”."):
            await _fill_lines(self.row(label), values)

    async def select_row(self, label: str, option: str) -> None:
        """Choose one of the values of a field."""
        await self.tick_row(label)
        with _or(f"“{label}” does not open."):
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
        return self._part("ha-settings-row", label)

    def entry(self, title: str) -> Locator:
        """Return an account on the integration's page."""
        return self._part("ha-config-entry-row", title)

    def subentry(self, title: str) -> Locator:
        """Return a recipient on the integration's page."""
        return self._part("ha-config-sub-entry-row", title)

    def _part(self, kind: str, text: str) -> Locator:
        """Return the first component of a kind in which a text stands by itself."""
        parts = self.page.locator(kind)
        return parts.filter(has=self.page.get_by_text(text, exact=True)).first


def _seen(places: Locator) -> Locator:
    """Return the first place that a person sees."""
    return places.locator("visible=true").first


async def _fill_lines(field: Locator, values: tuple[str, ...]) -> None:
    """Type several values one below the other, with a new line for each that has none."""
    for number, value in enumerate(values):
        line = field.locator(_INPUT).nth(number)
        if not await line.is_visible():
            await field.get_by_role("button", name=re.compile(r"^\s*Add")).click()
        await line.fill(value)


@contextmanager
def _or(complaint: str) -> Iterator[None]:
    """Turn what the browser says of a failure into a sentence, and add its own words."""
    try:
        yield
    except (Error, AssertionError) as error:
        raise DemoError(f"{complaint}\n\n{error}") from error
