"""Home Assistant's REST API, used by the demo's user."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
import time
from typing import Any, Final

import requests

from tests.live_home_assistant import LiveHomeAssistant

from .console import DemoError

USER: Final = "demo"  # And the password.
POLL_INTERVAL: Final = 0.1  # Seconds.
TIMEOUT: Final = 60.0  # Seconds.
START_TIMEOUT: Final = 120.0  # Seconds.
RESTART: Final = 100  # Home Assistant's exit code after a user asked it to restart.


class RestartError(Exception):
    """A user restarted Home Assistant: it has ended and must be started again."""


class Api:
    """The API of a Home Assistant that it starts."""

    def __init__(self, home: LiveHomeAssistant) -> None:
        """Start it, wait until it responds, and sign in, as a new user the first time."""
        home.start()
        self._home = home
        self._session = requests.Session()
        self._refresh_token = None
        self._is_new = False
        self.until(self._answers, f"Home Assistant does not start: {home.log}", START_TIMEOUT)
        client = {"client_id": f"{home.url}/"}
        who = client | {"username": USER, "password": USER}
        if self._is_new:
            self.post("/api/onboarding/users", who | {"name": "Demo", "language": "en"})
        place = {"handler": ["homeassistant", None], "redirect_uri": f"{home.url}/"}
        flow = self.post("/auth/login_flow", client | place)
        code = self.post(f"/auth/login_flow/{flow['flow_id']}", who)["result"]
        granted = self._authorize(grant_type="authorization_code", code=code)
        self._refresh_token = granted["refresh_token"]
        self.until(
            lambda: self.get("/api/config")["state"] == "RUNNING",
            f"Home Assistant does not get ready: {home.log}",
            START_TIMEOUT,
        )
        self.get("/api/services")  # The UI asks for this first, and needs the response.
        # Home Assistant starts with some integrations that are not installed here.
        self.call("persistent_notification.dismiss", {"notification_id": "invalid_config"})

    def get(self, path: str) -> Any:
        """Send a GET request."""
        return self._request("GET", path)

    def post(self, path: str, data: Mapping[str, Any]) -> Any:
        """Send a POST request."""
        return self._request("POST", path, json=data)

    def call(self, action: str, data: Mapping[str, Any], *, respond: bool = False) -> Any:
        """Call an action, and return its response if requested."""
        query = "?return_response" if respond else ""
        result = self.post(f"/api/services/{action.replace('.', '/')}{query}", data)
        return result["service_response"] if respond else None

    def state(self, entity_id: str) -> dict[str, Any]:
        """Return an entity's state, or an empty one."""
        absent: dict[str, Any] = {"entity_id": entity_id, "state": None, "attributes": {}}
        found = (state for state in self.get("/api/states") if state["entity_id"] == entity_id)
        return next(found, absent)

    def wait_for_state(self, entity_id: str, wanted: str) -> dict[str, Any]:
        """Wait until an entity has a state, and return it."""
        complaint = f"{entity_id} does not become {wanted}"
        self.until(lambda: self.state(entity_id)["state"] == wanted, complaint)
        return self.state(entity_id)

    def until(self, is_so: Callable[[], object], complaint: str, timeout: float = TIMEOUT) -> None:
        """Wait until a condition is met; fail if it takes too long or Home Assistant ends."""
        end = time.monotonic() + timeout
        while not is_so():
            if self._home.exit_code == RESTART:
                raise RestartError
            if not self._home.is_running:
                raise DemoError(f"Home Assistant ended. Its log: {self._home.log}")
            if time.monotonic() > end:
                raise DemoError(f"{complaint}.")
            time.sleep(POLL_INTERVAL)

    def _answers(self) -> bool:
        """Return whether Home Assistant responds; only a new one needs onboarding."""
        with suppress(requests.ConnectionError):
            self._is_new = self._session.get(f"{self._home.url}/api/onboarding", timeout=TIMEOUT).ok
            return True
        return False

    def _authorize(self, **grant: str) -> Any:
        """Use a new access token from now on."""
        form = grant | {"client_id": f"{self._home.url}/"}
        granted = self._request("POST", "/auth/token", data=form)
        self._session.headers["Authorization"] = f"Bearer {granted['access_token']}"
        return granted

    def _request(self, method: str, path: str, **body: Any) -> Any:
        """Send a request, and turn a refusal into a readable error."""
        url = self._home.url + path
        try:
            response = self._session.request(method, url, timeout=TIMEOUT, **body)
        except requests.ConnectionError as error:
            self.until(lambda: False, f"Home Assistant does not answer: {error}")
            raise
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._refresh_token:
            # Access tokens are valid for half an hour, and people click around for longer.
            self._authorize(grant_type="refresh_token", refresh_token=self._refresh_token)
            response = self._session.request(method, url, timeout=TIMEOUT, **body)
        if not response.ok:
            answer = f"{response.status_code}: {response.text}"
            raise DemoError(f"Home Assistant answered {method} {path} with {answer}")
        return response.json()
