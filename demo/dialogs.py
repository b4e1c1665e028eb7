"""Go through Home Assistant's dialogs as the UI does, and read what a user would read."""

from collections.abc import Callable, Iterable, Mapping
import json
from pathlib import Path
import re
import time
from typing import Any, Final

from .api import POLL_INTERVAL, Api
from .console import DemoError, detail

DOMAIN: Final = "outlook_smtp"
FLOW: Final = "/api/config/config_entries/flow"
RECIPIENT_FLOW: Final = "/api/config/config_entries/subentries/flow"

type Step = Mapping[str, Any]
type Values = Mapping[str, Any]
type SignIn = Callable[[str], None]


class Dialogs:
    """The dialogs that add something; prints every text on the way."""

    def __init__(self, api: Api, folder: Path) -> None:
        """Use a Home Assistant, and the integration's texts in its folder."""
        self._api = api
        english = folder / "custom_components" / DOMAIN / "translations" / "en.json"
        self._texts = json.loads(english.read_text())["config"]

    def add_account(self, account: Values, server: Values) -> Step:
        """Add an account that signs in with a password, with the values of its two forms."""
        step = self._choose("password")
        for form in (account, server):
            detail(f"Form: {self._text(f'step.{step["step_id"]}.title', step)}")
            step = self._submit(step, form)
        return self._follow(step)

    def add_account_by_code(self, client_id: str, sign_in: SignIn) -> Step:
        """Add an account that signs in with a code, which the callback has to approve."""
        step = self._choose("code")
        detail(f"Form: {self._text('step.code.title', step)}")
        step = self._submit(step, {"client_id": client_id, "advanced": {"tenant": "common"}})
        return self._sign_in(step, sign_in)

    def take_graph(self, step: Step, sign_in: SignIn) -> Step:
        """Send through Microsoft Graph, which a dialog offers, and approve the second code."""
        menu = f"step.{step['step_id']}"
        detail(f"Menu: {self._text(f'{menu}.title', step)}")
        for line in self._text(f"{menu}.description", step).split("\n\n"):
            detail(f"    {line}")
        detail(f"Choice: {self._text(f'{menu}.menu_options.graph', step)}")
        step = self._follow(self._submit(step, {"next_step_id": "graph"}))
        detail(f"Form: {self._text(f'step.{step["step_id"]}.title', step)}")
        return self._sign_in(self._submit(step, {}), sign_in)

    def _sign_in(self, step: Step, sign_in: SignIn) -> Step:
        """Read the code, let the callback approve it, and follow the check of the account."""
        shown = step["description_placeholders"]
        title = self._text("step.wait.title", step)
        detail(f"{title}: {shown['code']}, {shown['url']}")
        sign_in(shown["code"])
        return self._follow(step)

    def add_recipient(self, account: Step, name: str, recipients: Iterable[str]) -> None:
        """Complete the dialog offered after an account was added."""
        _, flow_id = account["next_flow"]
        values = {"name": name, "recipients": list(recipients)}
        step = self._api.post(f"{RECIPIENT_FLOW}/{flow_id}", values)
        if step["type"] != "create_entry":
            raise DemoError(f"The recipient was not added: {step.get('errors')}")

    def add_camera(self, name: str, picture: Path) -> None:
        """Add a camera with a picture; newer releases name it after the file."""
        step = self._api.post(FLOW, {"handler": "local_file"})
        values = pick_values(step["data_schema"], {"name": name, "file_path": str(picture)})
        step = self._api.post(f"{FLOW}/{step['flow_id']}", values)
        if step["type"] != "create_entry":
            raise DemoError(f"The camera was not added: {step.get('errors')}")

    def _choose(self, option: str) -> Step:
        """Open the dialog that adds an account, and choose how to sign in."""
        step = self._api.post(FLOW, {"handler": DOMAIN})
        detail(f"Menu: {self._text('step.user.title', step)}")
        detail(f"Choice: {self._text(f'step.user.menu_options.{option}', step)}")
        return self._submit(step, {"next_step_id": option})

    def _submit(self, step: Step, values: Values) -> Step:
        """Submit a form with the values that it asks for, or choose from a menu."""
        if step["type"] == "form":
            values = pick_values(step["data_schema"], values)
        return self._require_no_error(self._api.post(f"{FLOW}/{step['flow_id']}", values))

    def _follow(self, step: Step) -> Step:
        """Follow the progress until it ends."""
        shown = None
        while step["type"] == "progress":
            if shown != (shown := self._text(f"progress.{step['progress_action']}", step)):
                detail(f"Progress: {shown}")
            time.sleep(POLL_INTERVAL)
            step = self._api.get(f"{FLOW}/{step['flow_id']}")
        if step.get("step_id") == "works":
            detail(f"Form: {self._text('step.works.title', step)}")
            return self._submit(step, {"send_test": False})
        return self._require_no_error(step)

    def _require_no_error(self, step: Step) -> Step:
        """Fail with the dialog's own text if it shows an error or was aborted."""
        if step["type"] == "abort":
            raise DemoError(f"The dialog gave up: {self._text(f'abort.{step["reason"]}', step)}")
        for key in (step.get("errors") or {}).values():
            raise DemoError(f"The dialog shows an error: {self._text(f'error.{key}', step)}")
        return step

    def _text(self, key: str, step: Step) -> str:
        """Return a text with the placeholders of a step."""
        text: Any = self._texts
        for name in key.split("."):
            text = text.get(name, {})
        if not isinstance(text, str):
            raise DemoError(f"The text {key} is missing: a person would read its key.")
        values = step.get("description_placeholders") or {}
        text = re.sub(r"{(\w+)}", lambda match: str(values[match[1]]), text)
        return re.sub(r"\\([^\w\s])", r"\1", text)  # Markdown, as a person reads it.


def pick_values(fields: Iterable[Mapping[str, Any]], values: Values) -> dict[str, Any]:
    """Return the values that a form asks for; other releases ask for other ones.

    Raises:
        DemoError: If the form requires a value that is missing.

    """
    asked = {field["name"]: field for field in fields}
    missing = [
        name
        for name, field in asked.items()
        if field.get("required") and "default" not in field and name not in values
    ]
    if missing:
        raise DemoError(f"A form requires {', '.join(missing)}, which the demo does not know.")
    return {name: value for name, value in values.items() if name in asked}
