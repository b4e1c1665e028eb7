"""Start and stop the demo: see scripts/demo."""

import argparse
from contextlib import ExitStack
from pathlib import Path
import shutil
import signal
import socket
import sys
import time
from typing import Final
from zipfile import ZipFile

from scripts._package import build_zip
from tests.fake_microsoft import closed_port
from tests.live_home_assistant import LiveHomeAssistant, complaints

from .api import USER, Api, RestartError
from .console import DemoError, detail, step
from .fakes import ADDRESS, PASSWORD, Fakes
from .standby import HELP, read_keyboard, stand_by
from .story import Story

STAGE: Final = Path(__file__).parents[1] / ".demo"  # Ignored by git.
STOPPED: Final = 130  # The exit code of a program that was stopped with Ctrl-C.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    about = "Shows the integration at work, in a Home Assistant of its own."
    parser = argparse.ArgumentParser(prog="scripts/demo", description=about)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--once", action="store_true", help="check that all works, and end")
    way.add_argument("--keep", action="store_true", help="go on with the last Home Assistant")
    parser.add_argument("--sign-in", action="store_true", help="sign in with a code")
    routes = "how the account sends; with graph, SMTP is switched off for it"
    parser.add_argument("--route", choices=("smtp", "graph"), default="smtp", help=routes)
    ports = "the port of the UI (default: 8123; with --once any free one)"
    parser.add_argument("--port", type=int, help=ports)
    options = parser.parse_args()
    if options.route == "graph" and not options.sign_in:
        parser.error("--route graph needs --sign-in: Microsoft Graph accepts no password")
    return options


def run(options: argparse.Namespace) -> None:
    """Set everything up, show it, and clean up in any case."""
    port = options.port or (closed_port() if options.once else 8123)
    mail_port = 0 if options.once else port + 1
    for number in (port, mail_port):
        require_port(number)
    folder = STAGE / str(port)
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    new = not folder.exists()
    with ExitStack() as stack:
        graph = options.route == "graph"
        running = Fakes.running(mail_port, sign_in=options.sign_in, graph=graph)
        fakes = stack.enter_context(running)
        identity, server = fakes.identity, fakes.server
        home = LiveHomeAssistant(
            folder,
            server.ca_file,
            port=port,
            # With a sign-in, the fakes act as Microsoft's servers.
            authority=identity.authority if identity else None,
            smtp_port=server.port if identity else None,
            graph=fakes.graph.base_url if fakes.graph else None,
        )
        home.write_configuration()
        home.log.unlink(missing_ok=True)
        if options.once:
            _install_package(folder)
        stack.callback(home.stop)
        step(f"Starting Home Assistant in {folder.relative_to(STAGE.parent)}")
        api = Api(home)
        story = Story(api, home, fakes)
        if new:
            story.set_up()
            story.send()
            story.survive_outage()
        story.see_connection()
        require_clean_log(home.log)
        if not options.once:
            _stay_up(home, api, fakes)
    require_clean_log(home.log)
    shutil.rmtree(folder)


def _install_package(folder: Path) -> None:
    """Install the integration from the zip of a release, instead of a link to its folder."""
    target = folder / "custom_components" / "outlook_smtp"
    target.unlink()
    with ZipFile(build_zip(folder / "outlook_smtp.zip")) as archive:
        archive.extractall(target)


def _stay_up(home: LiveHomeAssistant, api: Api, fakes: Fakes) -> None:
    """Let a person click around until Ctrl-C."""
    step("All works. Now it is yours, until Ctrl-C:")
    detail(f"Home Assistant   {home.url}/mail-demo   user {USER}, password {USER}")
    server = fakes.server
    detail(f"Mail server      {server.host}, port {server.port}, STARTTLS")
    detail(f"Mailbox          {ADDRESS}, password {PASSWORD}")
    print(HELP, flush=True)
    fakes.receiver.received.clear()
    typed = read_keyboard()
    while True:
        try:
            stand_by(api, fakes, typed)
        except RestartError:
            step("Starting Home Assistant again")
            api = Api(home)


def require_port(port: int) -> None:
    """Fail if a port is already in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            hint = f"Stop what uses it, or choose another: scripts/demo --port {port + 10}"
            raise DemoError(f"Port {port} is taken. {hint}") from error


def require_clean_log(log: Path) -> None:
    """Fail if Home Assistant's log has errors from the integration."""
    try:
        found = complaints(log.read_text(errors="replace"))
    except (OSError, ValueError) as error:
        raise DemoError(f"Cannot read {log}. {error}") from error
    if found:
        raise DemoError("Home Assistant's log complains:\n\n" + "\n".join(found))


def end_on_signal(number: int, _: object) -> None:
    """Shut down cleanly; later signals do not interrupt that."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    step("Stopping")
    sys.exit(STOPPED)


def main() -> int:
    """Run the demo until it ends or is stopped, and return the exit code."""
    began = time.monotonic()
    options = parse_arguments()
    for number in SIGNALS:
        signal.signal(number, end_on_signal)
    try:
        run(options)
    except (DemoError, TimeoutError, OSError) as error:
        print(f"\033[1;31m✗ {str(error) or repr(error)}\033[0m", file=sys.stderr, flush=True)
        return 1
    step(f"All works; {time.monotonic() - began:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
