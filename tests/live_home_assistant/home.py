"""Home Assistant's folder and process."""

import json
import os
from pathlib import Path
import shutil
import socket
from string import Template
import subprocess
import sys
from typing import Any, Final

import certifi

PROJECT: Final = Path(__file__).parents[2]
STOP_TIMEOUT: Final = 20.0  # Seconds; after that it is killed.


class LiveHomeAssistant:
    """A Home Assistant in its own folder, with the integration and without a user."""

    def __init__(
        self,
        folder: Path,
        ca_file: Path,
        *,
        port: int | None = None,
        authority: str | None = None,
        smtp_port: int | None = None,
        graph: str | None = None,
        repeat_after: float | None = None,
    ) -> None:
        """Set its folder and the fakes it uses.

        Args:
            folder: Its configuration folder, which `write_configuration` fills.
            ca_file: The CA that it trusts in addition to the usual ones.
            port: The loopback port of its UI; any free one by default.
            authority: The URL of the identity platform, if it is a fake.
            smtp_port: The port of the submission server, if it is a fake on localhost.
            graph: The URL of Microsoft Graph, if it is a fake.
            repeat_after: Seconds until an unreachable server counts; usually a minute.

        """
        self.folder = folder
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "hass.log"
        self._ca_file = ca_file
        self._fakes = {
            name: str(value)
            for name, value in {
                "FAKE_AUTHORITY": authority,
                "FAKE_SMTP_PORT": smtp_port,
                "FAKE_GRAPH": graph,
                "FAKE_REPEAT_AFTER": repeat_after,
            }.items()
            if value is not None
        }
        self._process: subprocess.Popen[bytes] | None = None

    def write_configuration(self) -> None:
        """Write the configuration, link the integration, and add a camera picture.

        Existing storage in the folder is kept.
        """
        templates = Path(__file__).parent
        for name in ("custom_components", "media", ".storage"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("configuration.yaml", "dashboard.yaml"):
            text = Template((templates / name).read_text())
            (self.folder / name).write_text(text.substitute(folder=self.folder))
        example = (PROJECT / "docs" / "dashboard.yaml").read_text(encoding="utf-8")
        account = example.replace("me_outlook_com", "demo_outlook_com")
        (self.folder / "example.yaml").write_text(account, encoding="utf-8")
        (self.folder / "automations.yaml").touch()
        shutil.copy(templates / "front-door.jpg", self.folder / "media")
        integration = self.folder / "custom_components" / "outlook_smtp"
        integration.unlink(missing_ok=True)
        integration.symlink_to(PROJECT / "custom_components" / "outlook_smtp")
        # Include the usual CAs: the variable replaces them, and other integrations need them.
        authorities = Path(certifi.where()).read_text() + self._ca_file.read_text()
        (self.folder / "authorities.pem").write_text(authorities)
        self._store("http", 1, {"server_host": ["127.0.0.1"], "server_port": self.port})
        # Only the user is left to create: the other steps add integrations that need the internet.
        self._store("onboarding", 4, {"done": ["core_config", "analytics", "integration"]})

    def start(self) -> None:
        """Start it in its own session, so that Ctrl-C reaches only its parent."""
        with self.log.open("ab") as log:
            program = [sys.executable, "-m", "tests.live_home_assistant"]
            arguments = ["--config", str(self.folder), "--skip-pip", "--log-no-color"]
            authorities = {"REQUESTS_CA_BUNDLE": str(self.folder / "authorities.pem")}
            self._process = subprocess.Popen(  # noqa: S603 - A fixed command.
                program + arguments,
                cwd=PROJECT,
                env=os.environ | self._fakes | authorities,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Return whether the process is running."""
        return self._process is not None and self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of a process that has ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Stop it, gently at first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _store(self, key: str, version: int, data: dict[str, Any]) -> None:
        """Write one of Home Assistant's own files, before the first start."""
        store = {"version": version, "minor_version": 1, "key": key, "data": data}
        path = self.folder / ".storage" / key
        if not path.exists():
            path.write_text(json.dumps(store))


def _free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
