"""The walk's beginning and end: see scripts/e2e."""

import argparse
import asyncio
from contextlib import AsyncExitStack
import shutil
import signal
import sys
import time
from typing import Final

import aiohttp
from playwright.async_api import Error, Page

from scripts._demo.api import Api
from scripts._demo.console import DemoError, detail, step
from scripts._demo.dialogs import add_camera
from scripts._demo.home import AUTHORITY, PROJECT, REPEAT_AFTER, SMTP_PORT, Home, free_port
from scripts._demo.launch import USER, launch
from tests.standin import StandIn

from . import accounts, changes, farewell, outage, repairs, sending
from .chromium import open_page, sign_in
from .guard import Guard, visible_text
from .pictures import Album
from .screen import Screen
from .stage import OTHER, OWN, OWN_PASSWORD, FrontDoor, Stage

FOLDER: Final = PROJECT / ".demo" / "e2e"  # Ignored by git.
DOCUMENTATION: Final = PROJECT / "docs" / "pictures"
STOPPED: Final = 130  # The exit code of a program that Ctrl-C ended.
SUSPICION: Final = 5  # Seconds until a server that is away has to be back; usually a minute.

SCENES: Final = (
    accounts.add_with_password,
    accounts.add_first_recipient,
    accounts.passwords_refused,
    changes.add_recipient,
    changes.change_recipient,
    changes.change_options,
    changes.change_server,
    sending.notify_from_tools,
    sending.send_from_tools,
    sending.exclude_from_tools,
    sending.refuse_from_tools,
    sending.send_from_automation,
    sending.press_buttons,
    outage.see_dashboard,
    outage.lose_server,
    outage.list_outbox,
    outage.regain_server,
    repairs.passwords_no_longer_accepted,
    repairs.sign_in_again,
    farewell.download_diagnostics,
    farewell.remove_accounts,
)


async def run(*, pictures: bool) -> None:
    """Set everything up, play all scenes, and put everything away in any case."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    album_folder = DOCUMENTATION if pictures else FOLDER / "pictures"
    async with AsyncExitStack() as stack:
        standin = stack.enter_context(StandIn())
        standin.add_mailbox(OWN, OWN_PASSWORD)
        standin.add_mailbox(OTHER, "summer-2026")
        identity = stack.enter_context(FrontDoor(standin))
        identity.interval = 1
        places = {
            AUTHORITY: identity.address,
            SMTP_PORT: str(standin.port),
            REPEAT_AFTER: str(SUSPICION),
        }
        home = Home(FOLDER / "home", free_port(), standin.ca_file, places)
        api = await _start(stack, home)
        page = await stack.enter_async_context(open_page())
        names = {f"{standin.host}": "smtp-mail.outlook.com"}
        guard = Guard(page, home.url)
        stage = Stage(
            screen=Screen(page, guard),
            album=Album(page, album_folder, names),
            api=api,
            home=home,
            standin=standin,
            identity=identity,
        )
        await home.during(_play(stage, guard))
    if complaints := home.complaints():
        raise DemoError("Home Assistant's log complains:\n\n" + "\n".join(complaints))
    shutil.rmtree(home.folder)


async def _start(stack: AsyncExitStack, home: Home) -> Api:
    """Start a new Home Assistant with a user and a camera."""
    step("Starting Home Assistant")
    home.furnish()
    home.settle()
    api = await launch(stack, home, new=True)
    await add_camera(api, "Front door", str(home.folder / "media" / "front-door.jpg"))
    return api


async def _play(stage: Stage, guard: Guard) -> None:
    """Play all scenes; where one fails, keep what the browser shows."""
    page = stage.screen.page
    try:
        step("Signing in to Home Assistant")
        await sign_in(page, stage.home.url, USER)
        for scene in SCENES:
            step((scene.__doc__ or scene.__name__).strip())
            began = time.monotonic()
            await scene(stage)
            await guard.check()
            detail(f"{time.monotonic() - began:.0f} s")
    except (Error, DemoError, TimeoutError, LookupError, ValueError) as error:
        await _keep_evidence(page)
        what = str(error).strip() or repr(error)
        raise DemoError(
            f"{what}\n\nWhat the browser showed then: {FOLDER}/failure.png and failure.txt"
        ) from error


async def _keep_evidence(page: Page) -> None:
    """Keep what the browser shows, as a picture and as text."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        await page.screenshot(path=FOLDER / "failure.png")
        text = f"{page.url}\n\n{await visible_text(page)}\n"
    except Error as error:
        text = f"The browser does not answer any more: {error}\n"
    (FOLDER / "failure.txt").write_text(text)


async def main() -> int:
    """Walk until the end, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/e2e", description="Walks through the integration in a real browser."
    )
    parser.add_argument(
        "--pictures", action="store_true", help="take the documentation's pictures anew"
    )
    started = time.monotonic()
    walk = asyncio.create_task(run(pictures=parser.parse_args().pictures))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, walk.cancel)
    try:
        await walk
    except asyncio.CancelledError:
        return STOPPED
    except (DemoError, Error, TimeoutError, aiohttp.ClientError, OSError) as error:
        print(f"\033[1;31m✗ {str(error) or repr(error)}\033[0m", file=sys.stderr, flush=True)
        return 1
    step(f"All works; {time.monotonic() - started:.0f} seconds")
    return 0


sys.exit(asyncio.run(main()))
