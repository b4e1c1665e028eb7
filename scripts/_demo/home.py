"""The demo's Home Assistant: its folder, its process and its log."""

import asyncio
import asyncio.subprocess
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import pairwise
import json
import os
from pathlib import Path
import re
import shutil
import socket
from string import Template
from typing import Any, Final
from zipfile import ZipFile

import certifi

from scripts._package import build_zip

from .console import DemoError

PROJECT: Final = Path(__file__).parents[2]
# The variables that say where the stand-ins for Microsoft's servers are, and after how many
# seconds a server that is away shows, for those who cannot wait a minute.
AUTHORITY: Final = "DEMO_AUTHORITY"
SMTP_PORT: Final = "DEMO_SMTP_PORT"
REPEAT_AFTER: Final = "DEMO_REPEAT_AFTER"
STOP_TIMEOUT: Final = 20.0  # Seconds; after that it is killed.
RESTART: Final = 100  # Home Assistant's exit code when a user asks it to restart.

# A log line begins with the time of day, since Home Assistant 2026.11 with its offset from UTC.
_RECORD: Final = re.compile(
    r"^\d{4}-\d\d-\d\d[ T][\d:.,]+(?:Z|[+-]\d\d:?\d\d)? (?P<level>[A-Z]+) ", re.MULTILINE
)
# Not the folder of that name into which somebody may have put the project.
_OURS: Final = re.compile(r"custom_components[./]outlook_smtp|(?<![\w/])outlook_smtp\b|aiosmtplib")


class RestartError(Exception):
    """A user asked Home Assistant to restart: it has ended and wants to be started."""


class Home:
    """A Home Assistant in a folder of its own."""

    def __init__(
        self, folder: Path, port: int, ca_file: Path, microsoft: Mapping[str, str] | None = None
    ) -> None:
        """Choose where it lives, where its UI is, and whom it trusts besides the usual.

        `microsoft` says where the stand-ins for Microsoft's servers are, if it is to use them.
        """
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "hass.log"
        self._ca_file = ca_file
        self._microsoft = microsoft
        self._process: asyncio.subprocess.Process | None = None

    def furnish(self, *, packaged: bool = False) -> None:
        """Write the configuration, install the integration and hang up the camera's picture.

        Args:
            packaged: Install it from the zip of a release, instead of a link to its folder.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        templates = Path(__file__).parent
        for name in ("configuration.yaml", "dashboard.yaml"):
            text = Template((templates / name).read_text())
            (self.folder / name).write_text(text.substitute(folder=self.folder))
        (self.folder / "automations.yaml").touch()
        for name in ("custom_components", "media"):
            (self.folder / name).mkdir(exist_ok=True)
        shutil.copy(templates / "front-door.jpg", self.folder / "media")
        self._install(packaged=packaged)
        # The usual authorities too: the variable replaces them, and other integrations need them.
        authorities = Path(certifi.where()).read_text() + self._ca_file.read_text()
        (self.folder / "authorities.pem").write_text(authorities)

    def _install(self, *, packaged: bool) -> None:
        """Put the integration where Home Assistant looks for it."""
        target = self.folder / "custom_components" / "outlook_smtp"
        if packaged:
            with ZipFile(build_zip(self.folder / "outlook_smtp.zip")) as archive:
                archive.extractall(target)
        else:
            target.unlink(missing_ok=True)
            target.symlink_to(PROJECT / "custom_components" / "outlook_smtp")

    def settle(self) -> None:
        """Write down what was decided already, before the first start.

        The UI is on the loopback alone. And of the onboarding only the user is left to be made:
        the other steps would add integrations that need the internet.
        """
        self._store("http", 1, {"server_host": ["127.0.0.1"], "server_port": self.port})
        self._store("onboarding", 4, {"done": ["core_config", "analytics", "integration"]})

    async def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C reaches the demo alone."""
        program = ["python", "-m", "scripts._demo.hass_at_standin"] if self._microsoft else ["hass"]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *program,
                "--config",
                self.folder,
                "--skip-pip",
                "--log-no-color",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ
                | (self._microsoft or {})
                | {
                    "PYTHONPATH": str(Path(__file__).parent / "absent"),
                    "REQUESTS_CA_BUNDLE": str(self.folder / "authorities.pem"),
                },
                start_new_session=True,
            )

    async def during[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work, and complain if Home Assistant ends meanwhile."""
        if self._process is None:
            raise DemoError("Home Assistant was not started.")
        working = asyncio.create_task(work)
        ending = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
        finally:
            working.cancel()
            ending.cancel()
        if ending.result() == RESTART:
            raise RestartError
        raise DemoError(f"Home Assistant ended. Its log: {self.log}")

    async def stop(self) -> None:
        """Stop it, gently at first."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _store(self, key: str, version: int, data: dict[str, Any]) -> None:
        """Write one of Home Assistant's own files."""
        store = {"version": version, "minor_version": 1, "key": key, "data": data}
        path = self.folder / ".storage" / key
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(store))

    def complaints(self) -> list[str]:
        """Return what the log holds against the integration: errors, tracebacks, misuse.

        Raises:
            DemoError: If the log cannot be read, or is none that Home Assistant writes.

        """
        try:
            text = self.log.read_text(errors="replace")
        except OSError as error:
            raise DemoError(f"Cannot read {self.log}: {error.strerror}.") from error
        return read_complaints(text)


def read_complaints(log: str) -> list[str]:
    """Return the records of a log that complain about the integration.

    Raises:
        DemoError: If the log has lines, and none of them begins with a time and a level.

    """
    starts = [match.start() for match in _RECORD.finditer(log)]
    if log.strip() and not starts:
        raise DemoError(
            "Home Assistant's log cannot be understood: no line begins with a time and a level. "
            f"It begins with: {log.strip().splitlines()[0][:200]}"
        )
    records = (log[begin:end].strip() for begin, end in pairwise([0, *starts, len(log)]))
    return [record for record in records if _is_complaint(record)]


def _is_complaint(record: str) -> bool:
    """Return whether a record of the log is an error or a misuse of the integration's."""
    if not _OURS.search(record):
        return False
    level = match["level"] if (match := _RECORD.match(record)) else ""
    return level in ("ERROR", "CRITICAL") or "Traceback" in record or "Detected " in record


def free_port() -> int:
    """Return a port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_port(port: int) -> None:
    """Complain if somebody uses a port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"Port {port} is taken. Stop what uses it, or choose another: "
                f"scripts/demo --port {port + 10}"
            ) from error
