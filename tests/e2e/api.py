"""Home Assistant's REST API, for the set-up that a test is not about."""

from collections.abc import Callable, Mapping
import time
from typing import Any, Final

from playwright.sync_api import APIRequestContext, Error, Playwright

PATIENCE: Final = 20.0  # Seconds until an expected event must have happened.
START_TIMEOUT: Final = 120.0  # Seconds.
POLL_INTERVAL: Final = 0.1  # Seconds.
PROGRESS_INTERVAL: Final = 0.4  # Seconds, for what takes a second or more.
FLOW: Final = "/api/config/config_entries/flow"
RECIPIENT_FLOW: Final = "/api/config/config_entries/subentries/flow"
ENTRIES: Final = "/api/config/config_entries/entry"

type Tokens = dict[str, Any]


def until(
    is_so: Callable[[], object],
    complaint: Callable[[], str],
    timeout: float = PATIENCE,
    interval: float = POLL_INTERVAL,
) -> None:
    """Wait until a condition is met, and fail if it is not."""
    end = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < end, complaint()
        time.sleep(interval)


def make_user(playwright: Playwright, url: str, name: str) -> Tokens:
    """Wait until a new Home Assistant responds, and create its owner as onboarding does."""
    request = playwright.request.new_context(base_url=url, fail_on_status_code=True)

    def answers() -> bool:
        """Request the remaining onboarding steps."""
        try:
            request.get("/api/onboarding")
        except Error:
            return False
        return True

    silence = f"Home Assistant does not answer at {url}."
    until(answers, lambda: silence, START_TIMEOUT, PROGRESS_INTERVAL)
    client = {"client_id": f"{url}/"}
    user = client | {"username": name, "password": name, "name": name.title(), "language": "en"}
    made = request.post("/api/onboarding/users", data=user).json()
    code = {"grant_type": "authorization_code", "code": made["auth_code"]}
    tokens: Tokens = request.post("/auth/token", form=client | code).json()
    return tokens | {"hassUrl": url, "clientId": client["client_id"]}


class Api:
    """The API, with the token of the signed-in user."""

    def __init__(self, request: APIRequestContext) -> None:
        """Use authenticated requests."""
        self._request = request

    def get(self, path: str) -> Any:
        """Send a GET request."""
        return self._request.get(path).json()

    def post(self, path: str, data: Mapping[str, Any]) -> Any:
        """Send a POST request."""
        return self._request.post(path, data=data).json()

    def call(self, action: str, data: Mapping[str, Any]) -> None:
        """Call an action."""
        self.post(f"/api/services/{action.replace('.', '/')}", data)

    def render(self, template: str) -> str:
        """Render a template."""
        text: str = self._request.post("/api/template", data={"template": template}).text()
        return text

    def wait_for_state(self, entity_id: str, wanted: str | None) -> None:
        """Wait until an entity has a state, or None if it should be gone."""
        state = None

        def is_so() -> bool:
            """Query Home Assistant."""
            nonlocal state
            states = {item["entity_id"]: item["state"] for item in self.get("/api/states")}
            state = states.get(entity_id)
            return state == wanted

        until(is_so, lambda: f"{entity_id} does not become {wanted}, but is {state}.")

    # Dialogs

    def start_flow(self, handler: str, *answers: Mapping[str, Any]) -> Any:
        """Open the dialog that adds something, submit its first forms, and return the last step."""
        step = self.post(FLOW, {"handler": handler})
        for answer in answers:
            step = self.answer(step, answer)
        return step

    def answer(self, step: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
        """Submit a form."""
        return self.post(f"{FLOW}/{step['flow_id']}", answer)

    def finish_flow(self, step: Mapping[str, Any]) -> str:
        """Follow a dialog's progress, and return the ID of the entry that it creates."""
        while step["type"] == "progress":
            time.sleep(PROGRESS_INTERVAL)
            step = self.get(f"{FLOW}/{step['flow_id']}")
        if step.get("step_id") == "works":
            step = self.answer(step, {"send_test": False})
        assert step["type"] == "create_entry", step
        entry_id: str = step["result"]["entry_id"]
        return entry_id

    def add_recipient(self, entry_id: str, name: str, addresses: tuple[str, ...]) -> None:
        """Add a recipient to an account, and wait until the account has reloaded with it."""
        step = self.post(RECIPIENT_FLOW, {"handler": [entry_id, "recipient"]})
        answer = {"name": name, "recipients": list(addresses)}
        step = self.post(f"{RECIPIENT_FLOW}/{step['flow_id']}", answer)
        assert step["type"] == "create_entry", step
        self.wait_for_state(f"notify.{name.lower()}", "unknown")
        until(
            lambda: {entry["state"] for entry in self.accounts()} == {"loaded"},
            lambda: f"Not every account is set up: {self.accounts()}",
        )

    def accounts(self) -> list[dict[str, Any]]:
        """Return all accounts."""
        accounts: list[dict[str, Any]] = self.get(f"{ENTRIES}?domain=outlook_smtp")
        return accounts

    def remove_accounts(self) -> None:
        """Remove all accounts."""
        for entry in self.accounts():
            self._request.delete(f"{ENTRIES}/{entry['entry_id']}")
