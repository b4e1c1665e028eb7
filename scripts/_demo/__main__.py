"""The demo's beginning and end: see scripts/demo."""

import argparse
import asyncio
from contextlib import AsyncExitStack
import shutil
import signal
import sys
import time
from typing import Final

import aiohttp

from tests.standin import Identity, StandIn

from .api import Api
from .console import DemoError, detail, step
from .home import AUTHORITY, PROJECT, SMTP_PORT, Home, RestartError, free_port, require_port
from .launch import USER, launch
from .standby import HELP, Standby, read_keyboard
from .tour import ADDRESS, PASSWORD, Tour

STAGE: Final = PROJECT / ".demo"  # Ignored by git.
STOPPED: Final = 130  # The exit code of a program that Ctrl-C ended.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Shows the integration at work, in a Home Assistant of its own.",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--once", action="store_true", help="check that all works, and end")
    way.add_argument(
        "--keep", action="store_true", help="go on with the Home Assistant of the last time"
    )
    parser.add_argument(
        "--sign-in", action="store_true", help="sign in with a code instead of a password"
    )
    parser.add_argument(
        "--port", type=int, help="the port of the UI (default: 8123; with --once any free one)"
    )
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    """Set everything up, show it, and put everything away in any case."""
    port: int = options.port or (free_port() if options.once else 8123)
    mail_port = 0 if options.once else port + 1
    for number in (port, mail_port):
        require_port(number)
    folder = STAGE / str(port)
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    new = not folder.exists()
    async with AsyncExitStack() as stack:
        standin = stack.enter_context(StandIn(mail_port))
        standin.add_mailbox(ADDRESS, PASSWORD)
        identity = stack.enter_context(Identity(standin)) if options.sign_in else None
        home = Home(folder, port, standin.ca_file, _microsoft(standin, identity))
        home.furnish(packaged=options.once)
        if new:
            home.settle()
        api = await _start(stack, home, new=new)
        tour = Tour(api, home, standin)
        if new:
            await home.during(tour.sign_in(identity) if identity else tour.add_account())
            await home.during(tour.send())
            await home.during(tour.survive_outage())
        await home.during(tour.see_connection())
        if identity:
            tour.require_tokens()
        _require_clean_log(home)
        if not options.once:
            await _stay_up(stack, home, api, standin)
    _require_clean_log(home)
    shutil.rmtree(folder)


def _microsoft(standin: StandIn, identity: Identity | None) -> dict[str, str] | None:
    """Return where the stand-ins are, for a Home Assistant that takes them for Microsoft's."""
    if identity is None:
        return None
    identity.interval = 1
    return {AUTHORITY: identity.authority, SMTP_PORT: str(standin.port)}


async def _start(stack: AsyncExitStack, home: Home, *, new: bool) -> Api:
    """Start Home Assistant, and say so."""
    step(f"Starting Home Assistant in {home.folder.relative_to(PROJECT)}")
    return await launch(stack, home, new=new)


async def _stay_up(stack: AsyncExitStack, home: Home, api: Api, standin: StandIn) -> None:
    """Let a person click around until Ctrl-C."""
    step("All works. Now it is yours, until Ctrl-C:")
    detail(f"Home Assistant   {home.url}/mail-demo   user {USER}, password {USER}")
    detail(f"Mail server      {standin.host}, port {standin.port}, STARTTLS")
    detail(f"Mailbox          {ADDRESS}, password {PASSWORD}")
    print(HELP, flush=True)
    typed = read_keyboard()
    while True:
        try:
            await home.during(Standby(api, standin, typed).run())
        except RestartError:
            api = await _start(stack, home, new=False)


def _require_clean_log(home: Home) -> None:
    """Complain about what Home Assistant's log holds against the integration."""
    if complaints := home.complaints():
        raise DemoError("Home Assistant's log complains:\n\n" + "\n".join(complaints))


async def main() -> int:
    """Run the demo until its end or until somebody ends it, and return the exit code."""
    started = time.monotonic()
    task = asyncio.create_task(run(parse_arguments()))
    _end_on_signal(task)
    try:
        await task
    except asyncio.CancelledError:
        return STOPPED
    except (DemoError, TimeoutError, aiohttp.ClientError, OSError) as error:
        print(f"\033[1;31m✗ {str(error) or repr(error)}\033[0m", file=sys.stderr, flush=True)
        return 1
    step(f"All works; {time.monotonic() - started:.0f} seconds")
    return 0


def _end_on_signal(task: asyncio.Task[None]) -> None:
    """Let the first signal end the demo in order; later ones do not disturb that."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        """Begin the end."""
        for number in SIGNALS:
            loop.add_signal_handler(number, step, "Stopping already")
        step("Stopping")
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, end)


sys.exit(asyncio.run(main()))
