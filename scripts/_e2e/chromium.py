"""The browser: a Chromium without a window, without the internet, and signed in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import os
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

from scripts._demo.console import DemoError

from .guard import TELL_REJECTIONS

ARGUMENTS: Final = (
    "--no-sandbox",  # As root there is none.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT = 1100, 1000  # Wide enough for the sidebar, high enough for the longest dialog.
LANGUAGE: Final = "en-GB"
TIME_ZONE: Final = "Europe/London"


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    """Open a page in a browser of its own."""
    program = os.environ.get("CHROMIUM")
    if not program:
        raise DemoError("CHROMIUM does not name a browser. Start this with scripts/e2e.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=ARGUMENTS,
            handle_sigint=False,  # Ctrl-C ends the walk, which then ends the browser.
            handle_sigterm=False,
            handle_sighup=False,
        )
        context = await browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=2,
            color_scheme="light",
            reduced_motion="reduce",
            locale=LANGUAGE,
            timezone_id=TIME_ZONE,
            accept_downloads=True,
            service_workers="block",
        )
        await context.add_init_script(TELL_REJECTIONS)
        await context.route(_is_elsewhere, lambda route: route.abort())
        try:
            yield await context.new_page()
        finally:
            await browser.close()


async def sign_in(page: Page, url: str, user: str) -> None:
    """Sign in to Home Assistant; the user's password is its name."""
    await page.goto(url)
    for name in ("username", "password"):
        await page.locator(f"input[name={name}]").fill(user)
    await page.get_by_role("button", name="Log in").click()
    await page.locator("home-assistant-main").wait_for()


def _is_elsewhere(address: str) -> bool:
    """Return whether an address is not on this machine."""
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and parts.hostname != "127.0.0.1"
