"""A complete Home Assistant, as run by `hass`, with its REST API."""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.outlook_smtp.const import DOMAIN
from tests.fake_microsoft import closed_port

from .messages import message_of
from .supervisor import PROJECT, wait_until

START_LIMIT: Final = 60.0  # Seconds.
PROGRAM: Final = "tests.crash.hass_process"
CLIENT: Final = "http://127.0.0.1/"


class KilledError(Exception):
    """Home Assistant died before it responded."""


class Whole:
    """Home Assistant in a folder: start it, call it and kill it."""

    def __init__(self, folder: Path, ca_file: Path) -> None:
        """Set its folder, with the account set up, and its trusted CA."""
        self.folder = folder
        self.log = folder / "process.log"
        self._ca_file = ca_file
        self._port = closed_port()
        self._token: str | None = None
        self._process: int | None = None
        http = {"server_host": ["127.0.0.1"], "server_port": self._port}
        # Newer versions read the storage, older ones the configuration; JSON is valid YAML.
        configuration = json.dumps({"api": None, "http": http})
        (folder / "configuration.yaml").write_text(configuration)
        (folder / "custom_components").mkdir()
        link = folder / "custom_components" / DOMAIN
        link.symlink_to(PROJECT / "custom_components" / DOMAIN)
        store = {"version": 1, "minor_version": 1, "key": "http", "data": http}
        (folder / STORAGE_DIR / "http").write_text(json.dumps(store))

    def __enter__(self) -> Self:
        """Return it without starting it."""
        with self.log.open("ab") as log:
            self._program = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", PROGRAM],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave no process behind."""
        self.kill()
        self._program.communicate()

    def start(self) -> None:
        """Start it, and wait until the account is loaded."""
        order = {"folder": str(self.folder), "log": str(self.log), "ca_file": str(self._ca_file)}
        assert self._program.stdin
        self._program.stdin.write(f"{json.dumps(order)}\n")
        self._program.stdin.flush()
        self._process = self._hear()
        deadline = time.monotonic() + START_LIMIT
        while not self._is_up():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it if it is running."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            assert self._hear() == -signal.SIGKILL
            self._process = None

    def _hear(self) -> int:
        """Return the next number that the program reports."""
        assert self._program.stdout
        return int(self._program.stdout.readline())

    def send(self, number: int) -> dict[str, Any]:
        """Send a numbered message, and return the action's response.

        Raises:
            KilledError: If Home Assistant dies meanwhile.

        """
        return self._act("send_message", message_of(number))

    def _act(self, action: str, data: dict[str, Any]) -> dict[str, Any]:
        """Call an action of the integration, and return its response."""
        path = f"/api/services/{DOMAIN}/{action}?return_response"
        status, answer = self._ask("POST", path, json.dumps(data), "application/json")
        assert status == HTTPStatus.OK, answer
        response: dict[str, Any] = json.loads(answer)["service_response"]
        return response

    def _is_up(self) -> bool:
        """Return whether the account is loaded; sign in first if necessary."""
        try:
            if self._token is None and not self._sign_in():
                return False
            path = f"/api/services/{DOMAIN}/list_outbox?return_response"
            return self._ask("POST", path, "{}", "application/json")[0] == HTTPStatus.OK
        except KilledError:
            return False

    def _sign_in(self) -> bool:
        """Create the first user, as onboarding does, and keep its token."""
        user = {"client_id": CLIENT, "name": "Me", "username": "me", "password": "me"}
        status, answer = self._ask(
            "POST",
            "/api/onboarding/users",
            json.dumps(user | {"language": "en"}),
            "application/json",
        )
        if status != HTTPStatus.OK:
            return False
        code = {"client_id": CLIENT, "grant_type": "authorization_code"}
        code["code"] = json.loads(answer)["auth_code"]
        form = "application/x-www-form-urlencoded"
        status, answer = self._ask("POST", "/auth/token", urlencode(code), form)
        assert status == HTTPStatus.OK, answer
        self._token = json.loads(answer)["access_token"]
        # Home Assistant saves this a moment later, and must have done so before it is killed.
        kept = self.folder / STORAGE_DIR / "auth"
        wait_until(lambda: kept.exists() and CLIENT in kept.read_text())
        return True

    def _ask(self, method: str, path: str, body: str, kind: str) -> tuple[int, str]:
        """Send a request, and return the status and the response."""
        headers = {"Content-Type": kind}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (HTTPException, OSError) as error:
            raise KilledError from error
        finally:
            connection.close()
